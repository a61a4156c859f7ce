//! Which views of a worn garment are good enough to be kept: sure, whole and sharp.

use crate::frame::Picture;
use crate::geometry::{Camera, Rect, Size};
use crate::seam::Detection;
use std::time::Duration;

/// The least detection score of a view that is kept.
const SURE: f32 = 0.5;
/// A box that comes nearer to a side of the picture is cut off by it. Share of the side.
const MARGIN: f32 = 0.005;
/// Places a side at which the sharpness is sampled.
const SAMPLES: usize = 48;

/// A view of a garment that is sure and whole. How sharp it is can be told only beside the others of the same garment.
#[derive(Clone, Debug)]
pub struct GoodFrame {
    /// When its frame was captured.
    pub captured: Duration,
    pub view: Detection,
    /// [`sharpness`] in the box.
    pub sharpness: f32,
}

/// Whether a view shows a garment surely and whole. The lower side of the picture may cut a garment off: a mirror that hangs high
/// cuts everybody's trousers, those of shoppers too.
pub fn is_whole(view: &Detection, bounds: &Rect<Camera>, picture: Size) -> bool {
    let (width, height) = (picture.width as f32, picture.height as f32);
    view.score >= SURE
        && bounds.x1 > MARGIN * width
        && bounds.x2 < (1.0 - MARGIN) * width
        && bounds.y1 > MARGIN * height
}

/// How sharp a part of a picture is: the mean of the Laplacian's magnitude, in levels of brightness. To be compared among pictures of
/// one thing only.
pub fn sharpness(picture: &Picture, bounds: &Rect<Camera>) -> f32 {
    let size = picture.size();
    if size.width < 3 || size.height < 3 {
        return 0.0;
    }
    let part = bounds.clip(size.width as f32, size.height as f32);
    let place = |from: f32, to: f32, step: usize, most: usize| {
        let at = from + (to - from) * (step as f32 + 0.5) / SAMPLES as f32;
        (at as usize).clamp(1, most - 2)
    };
    let mut sum = 0u64;
    for row in 0..SAMPLES {
        let y = place(part.y1, part.y2, row, size.height);
        let lines = [picture.row(y - 1), picture.row(y), picture.row(y + 1)];
        for column in 0..SAMPLES {
            let x = place(part.x1, part.x2, column, size.width);
            let around = luma(lines[0], x) + luma(lines[2], x) + luma(lines[1], x - 1) + luma(lines[1], x + 1);
            sum += u64::from((4 * luma(lines[1], x) - around).unsigned_abs());
        }
    }
    sum as f32 / (SAMPLES * SAMPLES) as f32 / 4.0
}

/// Four times the brightness of a pixel.
fn luma(line: &[u8], x: usize) -> i32 {
    i32::from(line[3 * x]) + 2 * i32::from(line[3 * x + 1]) + i32::from(line[3 * x + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(score: f32) -> Detection {
        let bounds = Rect::new(10.0, 10.0, 60.0, 90.0);
        Detection { bounds, class: 0, score, match_embedding: [0.0].into(), aggregation_embedding: [0.0].into() }
    }

    #[test]
    fn a_garment_that_a_side_cuts_off_is_not_whole_but_the_lower_one_may() {
        let size = Size::new(100, 100);
        let whole = |x1, y1, x2, y2| is_whole(&detection(0.9), &Rect::new(x1, y1, x2, y2), size);
        assert!(whole(10.0, 10.0, 60.0, 90.0) && whole(10.0, 10.0, 60.0, 100.0));
        assert!(!whole(0.0, 10.0, 60.0, 90.0) && !whole(10.0, 10.0, 100.0, 90.0) && !whole(10.0, 0.2, 60.0, 90.0));
        assert!(!is_whole(&detection(0.4), &Rect::new(10.0, 10.0, 60.0, 90.0), size));
    }

    #[test]
    fn stripes_are_sharper_than_the_same_stripes_in_motion() {
        let picture = |blur: usize| {
            let bright = |x: usize| if (x / 4).is_multiple_of(2) { 40u32 } else { 200 };
            let level = |x: usize| ((x..x + blur).map(bright).sum::<u32>() / blur as u32) as u8;
            let line: Vec<u8> = (0..120).flat_map(|x| [level(x); 3]).collect();
            Picture::new(Size::new(120, 90), line.repeat(90))
        };
        let bounds = Rect::new(8.0, 8.0, 110.0, 80.0);
        let [still, slow, fast] = [1, 3, 6].map(|blur| sharpness(&picture(blur), &bounds));
        assert!(still > 2.0 * slow && slow > fast, "{still} {slow} {fast}");
        assert_eq!(sharpness(&Picture::filled(Size::new(50, 50), [90, 90, 90]), &bounds), 0.0);
        assert_eq!(sharpness(&Picture::filled(Size::new(2, 2), [90, 90, 90]), &bounds), 0.0);
        // A box that is not in the picture panics no more than one that is.
        assert!(sharpness(&picture(1), &Rect::new(-50.0, -50.0, 900.0, 900.0)).is_finite());
    }
}
