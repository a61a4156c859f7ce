//! Conversion between layouts: planar (NCHW), channels last (NHWC) and blocked (NCHW16c).

use crate::{Block, LANES};

/// Places converted together, so that source and destination stay in the L1 cache.
const TURN: usize = 64;

/// Planar to blocked. Each channel has `places` values.
pub fn planar_to_blocked(places: usize, input: &[f32], output: &mut [Block]) {
    let channels = input.len() / places;
    for (block, output) in output.chunks_exact_mut(places).enumerate() {
        let count = (channels - block * LANES).min(LANES);
        if count < LANES {
            output.fill([0.0; LANES]);
        }
        for start in (0..places).step_by(TURN) {
            let end = places.min(start + TURN);
            for lane in 0..count {
                let plane = &input[(block * LANES + lane) * places..][start..end];
                for (slot, value) in output[start..end].iter_mut().zip(plane) {
                    slot[lane] = *value;
                }
            }
        }
    }
}

/// Blocked to planar. Writes as many channels as `output` has room for.
pub fn blocked_to_planar(places: usize, input: &[Block], output: &mut [f32]) {
    let channels = output.len() / places;
    for (block, input) in input.chunks_exact(places).enumerate() {
        let count = channels.saturating_sub(block * LANES).min(LANES);
        for start in (0..places).step_by(TURN) {
            let end = places.min(start + TURN);
            for lane in 0..count {
                let plane = &mut output[(block * LANES + lane) * places..][start..end];
                for (slot, value) in plane.iter_mut().zip(&input[start..end]) {
                    *slot = value[lane];
                }
            }
        }
    }
}

/// Blocked to channels last, for the first `channels`: they start at `offset` in each place of `pitch` values.
pub fn blocked_to_last(
    channels: usize,
    places: usize,
    input: &[Block],
    pitch: usize,
    offset: usize,
    output: &mut [f32],
) {
    for (place, output) in output.chunks_exact_mut(pitch).enumerate().take(places) {
        for (block, slot) in output[offset..offset + channels].chunks_mut(LANES).enumerate() {
            let value = &input[block * places + place];
            match slot.first_chunk_mut() {
                Some(slot) => *slot = *value,
                None => slot.copy_from_slice(&value[..slot.len()]),
            }
        }
    }
}

/// Channels last, `channels` values per place, to blocked.
pub fn last_to_blocked(channels: usize, input: &[f32], output: &mut [Block]) {
    let places = input.len() / channels;
    for (place, input) in input.chunks_exact(channels).enumerate() {
        for (block, value) in input.chunks(LANES).enumerate() {
            let slot = &mut output[block * places + place];
            match value.first_chunk() {
                Some(value) => *slot = *value,
                None => {
                    *slot = [0.0; LANES];
                    slot[..value.len()].copy_from_slice(value);
                }
            }
        }
    }
}
