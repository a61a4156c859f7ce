//! RoIAlign on the GPU, except the launch: the compiled kernel, its arguments, and a check that this GPU computes it
//! correctly.

use crate::fault::{Fault, Kind, Result};
use crate::seam::RoiGrid;
use crate::tensor::Tensor;

/// Compiled from `roi_align.cu` by scripts/compile-kernel. The driver compiles it for its GPU.
pub const PTX: &str = concat!(include_str!("roi_align.ptx"), "\0");
/// Channels per thread block.
const BLOCK: usize = 32;

/// Address and sizes of a feature map on the device.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub address: u64,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

/// Must match `roi_align.cu`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Roi {
    map: u64,
    height: i32,
    width: i32,
    x: f32,
    y: f32,
    bin_width: f32,
    bin_height: f32,
}

/// One launch of the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// Kernel arguments between `rois` and `out`: count, channels, side, samples.
    pub numbers: [i32; 4],
    /// Thread blocks: RoIs including padding, groups of channels.
    pub grid: [u32; 2],
    /// Threads in a block: channels, rows of bins.
    pub block: [u32; 2],
    /// Number of values written.
    length: usize,
}

impl Job {
    /// Plans a launch that fills `shape` (RoIs x side x side x channels), and replaces `rois` with the kernel's input.
    ///
    /// # Errors
    /// [`Kind::Model`]: maps, RoIs and shape do not fit together. The kernel is never launched then.
    pub fn new(
        shape: &[usize],
        maps: &[Place],
        grids: &[RoiGrid],
        samples: usize,
        rois: &mut Vec<Roi>,
    ) -> Result<Self> {
        let fault = || {
            let text = format!("cannot read {} RoIs of {maps:?} as {shape:?}", grids.len());
            Fault::new(Kind::Model, text).cure("check that the manifest's shapes are the graphs'")
        };
        let &[padded, side, width, channels] = shape else { return Err(fault()) };
        let small = |value: usize| i32::try_from(value).map_err(|_| fault());
        let length = [side, side, channels].into_iter().try_fold(1usize, usize::checked_mul).ok_or_else(fault)?;
        small(length)?;
        let square = side == width && (1..=BLOCK).contains(&side) && padded > 0 && channels > 0 && samples > 0;
        if !square || grids.len() > padded {
            return Err(fault());
        }
        rois.clear();
        for grid in grids {
            let map = maps.get(grid.level).filter(|map| map.channels == channels).ok_or_else(fault)?;
            small(map.height.saturating_mul(map.width))?;
            let (height, width) = (small(map.height)?, small(map.width)?);
            let RoiGrid { x, y, bin_width, bin_height, .. } = *grid;
            rois.push(Roi { map: map.address, height, width, x, y, bin_width, bin_height });
        }
        Ok(Job {
            numbers: [small(grids.len())?, small(channels)?, small(side)?, small(samples)?],
            grid: [small(padded)? as u32, small(channels.div_ceil(BLOCK))? as u32],
            block: [BLOCK as u32, side as u32],
            length: padded.checked_mul(length).ok_or_else(fault)?,
        })
    }

    /// Size of the output in bytes.
    pub fn bytes(&self) -> usize {
        self.length * size_of::<f32>()
    }
}

/// Test case: two maps of linear ramps, two RoIs and one padding row. Bilinear sampling gives the ramp's value at each
/// bin's centre.
struct Slopes {
    maps: Vec<Tensor>,
    grids: [RoiGrid; 2],
}

const SHAPE: [usize; 4] = [3, 7, 7, 40];

impl Slopes {
    fn new() -> Self {
        let maps = [[20, 30], [11, 9]].into_iter().enumerate().map(|(level, [height, width])| {
            let places = (0..SHAPE[3]).flat_map(|channel| (0..height * width).map(move |place| (channel, place)));
            let value =
                |(channel, place)| Slopes::value(level, channel, (place % width) as f32, (place / width) as f32);
            Tensor::new([1, SHAPE[3], height, width], places.map(value).collect())
        });
        let grid = |level, x, y, bin_width, bin_height| RoiGrid { level, x, y, bin_width, bin_height };
        Slopes { maps: maps.collect(), grids: [grid(1, 0.5, 1.25, 1.0, 1.2), grid(0, 3.0, 2.0, 3.7, 2.25)] }
    }

    fn value(level: usize, channel: usize, x: f32, y: f32) -> f32 {
        level as f32 + 0.1 * channel as f32 + 0.05 * x - 0.02 * y
    }

    /// Expected RoIAlign value at index `place` of `SHAPE`.
    fn wanted(&self, place: usize) -> f32 {
        let [_, side, _, channels] = SHAPE;
        let (roi, bin, channel) =
            (place / (side * side * channels), place / channels % (side * side), place % channels);
        let centre = |start: f32, size: f32, bin: usize| start + (bin as f32 + 0.5) * size;
        self.grids.get(roi).map_or(0.0, |grid| {
            let x = centre(grid.x, grid.bin_width, bin % side);
            let y = centre(grid.y, grid.bin_height, bin / side);
            Slopes::value(grid.level, channel, x, y)
        })
    }
}

/// Checks a RoIAlign function (maps, grids, samples, shape of the result) against a known result.
///
/// # Errors
/// [`Kind::Unavailable`]: the result is wrong.
pub fn check(align: impl FnOnce(&[Tensor], &[RoiGrid], usize, &[usize]) -> Result<Vec<f32>>) -> Result<()> {
    let slopes = Slopes::new();
    let found = align(&slopes.maps, &slopes.grids, 2, &SHAPE)?;
    let error = |(place, value): (usize, &f32)| (value - slopes.wanted(place)).abs();
    // NaN fails too.
    if found.len() == SHAPE.iter().product::<usize>() && found.iter().enumerate().map(error).all(|error| error <= 1e-4)
    {
        return Ok(());
    }
    Err(Fault::new(Kind::Unavailable, "cannot use TensorRT: RoIAlign on this GPU gives wrong values")
        .cure("update the NVIDIA driver, or set backend = \"cpu\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(channels: usize) -> Place {
        Place { address: 7, channels, height: 5, width: 4 }
    }

    fn grid(level: usize) -> RoiGrid {
        RoiGrid { level, x: 1.0, y: 2.0, bin_width: 0.5, bin_height: 0.25 }
    }

    #[test]
    fn a_launch_covers_every_channel_and_the_padding() {
        let mut rois = vec![];
        let job = Job::new(&[8, 14, 14, 214], &[place(214); 3], &[grid(2)], 2, &mut rois).unwrap();
        assert_eq!((job.numbers, job.grid, job.block), ([1, 214, 14, 2], [8, 7], [32, 14]));
        assert_eq!(job.bytes(), 8 * 14 * 14 * 214 * 4);
        let roi = Roi { map: 7, height: 5, width: 4, x: 1.0, y: 2.0, bin_width: 0.5, bin_height: 0.25 };
        assert_eq!(rois, [roi]);
    }

    #[test]
    fn mismatched_shapes_are_refused() {
        let wrong: [(&[usize], usize, usize, usize); 7] = [
            (&[1, 7, 7], 4, 0, 2),
            (&[1, 7, 8, 4], 4, 0, 2),
            (&[0, 7, 7, 4], 4, 0, 2),
            (&[1, 7, 7, 4], 5, 0, 2),
            (&[1, 7, 7, 4], 4, 1, 2),
            (&[1, 7, 7, 4], 4, 0, 0),
            (&[1, 33, 33, 4], 4, 0, 2),
        ];
        for (shape, channels, level, samples) in wrong {
            let job = Job::new(shape, &[place(channels)], &[grid(level)], samples, &mut vec![]);
            assert_eq!(job.unwrap_err().kind(), Kind::Model, "{shape:?} {channels} {level} {samples}");
        }
        assert!(Job::new(&[1, 7, 7, 4], &[place(4)], &[grid(0); 2], 2, &mut vec![]).is_err());
    }

    #[test]
    fn a_wrong_value_anywhere_is_detected() {
        let slopes = Slopes::new();
        let right: Vec<f32> = (0..SHAPE.iter().product()).map(|place| slopes.wanted(place)).collect();
        assert!(check(|_, _, _, _| Ok(right.clone())).is_ok());
        for (place, value) in [(0, f32::NAN), (right.len() - 1, 0.5), (77, right[78])] {
            let mut wrong = right.clone();
            wrong[place] = value;
            assert_eq!(check(|_, _, _, _| Ok(wrong)).unwrap_err().kind(), Kind::Unavailable, "{place}");
        }
    }
}
