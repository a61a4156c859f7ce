//! Offline tracking of the published evaluation, over all boxes of one video (docs/seam.md §8).

/// Minimum similarity (0 to 1) of a box to join a track.
pub const SIMILARITY: f32 = 0.3;

/// Groups boxes into tracks. `frames` and `scores`: per box. `similarity(i, j)`: by the match head, 0 to 1. A track
/// lists its boxes in the order in which they joined.
pub fn greedy_tracks(frames: &[i64], scores: &[f32], similarity: impl Fn(usize, usize) -> f32) -> Vec<Vec<usize>> {
    let mut free: Vec<usize> = (0..frames.len()).collect();
    free.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mut tracks = Vec::new();
    while !free.is_empty() {
        let mut newest = free.remove(0);
        let mut track = vec![newest];
        // Highest similarity of each free box to any box of the track.
        let mut nearest = vec![f32::NEG_INFINITY; frames.len()];
        loop {
            for &candidate in &free {
                nearest[candidate] = nearest[candidate].max(similarity(newest, candidate));
            }
            let open = |&&candidate: &&usize| track.iter().all(|&taken| frames[taken] != frames[candidate]);
            let best =
                free.iter().filter(open).copied().max_by(|&a, &b| nearest[a].total_cmp(&nearest[b]).then(b.cmp(&a)));
            match best.filter(|&best| nearest[best] > SIMILARITY) {
                Some(best) => {
                    free.retain(|&other| other != best);
                    track.push(best);
                    newest = best;
                }
                None => break,
            }
        }
        tracks.push(track);
    }
    tracks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_takes_one_box_per_frame_and_stops_below_the_limit() {
        let frames = [0, 0, 1, 2];
        let scores = [0.9, 0.8, 0.7, 0.6];
        let table = [[1.0, 0.9, 0.5, 0.1], [0.9, 1.0, 0.2, 0.2], [0.5, 0.2, 1.0, 0.4], [0.1, 0.2, 0.4, 1.0]];
        let tracks = greedy_tracks(&frames, &scores, |a, b| table[a][b]);
        assert_eq!(tracks, [vec![0, 2, 3], vec![1]]);
    }
}
