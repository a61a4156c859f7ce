//! The second pass over people who are small in the network's input: which of them, and what part of the picture.
//!
//! A person at the far end of a shop, or anyone in a landscape frame before an upright network, leaves garments of thirty
//! pixels. The camera has more: the picture around that person is recognized again, larger, and the detections of that pass count instead.
//! Pure geometry; [`super::recognizer`] runs the pass.

use super::same_person::{REACH, same_person};
use crate::frame::Picture;
use crate::geometry::{Camera, Letterbox, Network, Rect, Size};
use crate::seam::RawDetection;
use crate::seam::settings::SecondPassSettings;
use std::borrow::Cow;

/// A detection of this score is a person.
const SURE: f32 = 0.5;
/// The first pass saw the picture at this scale or more: a second one sees no more.
const ENOUGH: f32 = 0.8;
/// The second pass enlarges the picture's own pixels by no more than this: there is nothing between them.
const MOST_ZOOM: f32 = 2.0;

/// A part of a picture, whole pixels, not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    pub x: usize,
    pub y: usize,
    pub size: Size,
}

impl Crop {
    /// All of a picture.
    pub fn whole(size: Size) -> Self {
        Crop { x: 0, y: 0, size }
    }

    /// The part of a picture of size `source` around `bounds`: with the sides' ratio of `input`, `bounds` filling the share
    /// `fill` of it by its larger side. It stays inside the picture, and gives up its ratio where the picture is too small.
    pub fn around(bounds: Rect<Camera>, source: Size, input: Size, fill: f32) -> Self {
        let ratio = input.width as f32 / input.height as f32;
        let least = input.height as f32 / MOST_ZOOM;
        let height = (bounds.height() / fill).max(bounds.width() / fill / ratio).max(least);
        let (x, y) = bounds.centre();
        let (x, width) = span(x, height * ratio, source.width);
        let (y, height) = span(y, height, source.height);
        Crop { x, y, size: Size::new(width, height) }
    }

    /// The pixels; copies only what is less than the whole.
    pub fn of<'p>(&self, picture: &'p Picture) -> Cow<'p, Picture> {
        if *self == Crop::whole(picture.size()) {
            Cow::Borrowed(picture)
        } else {
            Cow::Owned(picture.part(self.x, self.y, self.size))
        }
    }

    /// A box of the part as one of the whole picture.
    pub fn to_picture(&self, bounds: Rect<Camera>) -> Rect<Camera> {
        bounds.shifted(self.x as f32, self.y as f32)
    }

    /// A box of the whole picture as one of the part.
    pub fn to_part(&self, bounds: Rect<Camera>) -> Rect<Camera> {
        bounds.shifted(-(self.x as f32), -(self.y as f32))
    }
}

/// Start and length of a span around `centre` that lies within 0..`limit`.
fn span(centre: f32, length: f32, limit: usize) -> (usize, usize) {
    let length = (length.round() as usize).clamp(1, limit.max(1));
    let start = (centre - length as f32 / 2.0).round().max(0.0) as usize;
    (start.min(limit.saturating_sub(length)), length)
}

/// The groups of `detections`, each one person or so, that are worth a second pass: largest first, camera pixels. None
/// where a person stands near: that person is served first, and must not wait for those behind.
pub fn groups(detections: &[RawDetection], fit: &Letterbox, settings: &SecondPassSettings) -> Vec<Rect<Camera>> {
    let scale = fit.scaled.height as f32 / fit.source.height as f32;
    if settings.max_groups == 0 || scale >= ENOUGH {
        return Vec::new();
    }
    let of_score = |least: f32| {
        let sure = detections.iter().filter(|detection| detection.score >= least);
        joined(sure.map(|detection| detection.bounds).collect())
    };
    let (width, height) = (settings.below * fit.input.width as f32, settings.below * fit.input.height as f32);
    let is_small = |group: &Rect<Network>| group.width() < width && group.height() < height;
    if !of_score(SURE).iter().all(is_small) {
        return Vec::new();
    }
    let mut groups = of_score(settings.score);
    groups.retain(is_small);
    groups.sort_by(|a, b| b.area().total_cmp(&a.area()));
    groups.truncate(settings.max_groups);
    groups.into_iter().map(|group| fit.to_camera(group)).collect()
}

/// Whether a detection shows a garment of the group: half of it lies in the group's box, grown a little.
pub fn belongs(bounds: Rect<Camera>, group: Rect<Camera>) -> bool {
    2.0 * bounds.intersection(&group.grown(REACH)) >= bounds.area()
}

/// The hulls of boxes that show the same person, directly or through others.
fn joined(boxes: Vec<Rect<Network>>) -> Vec<Rect<Network>> {
    // (hull, members): a box joins all groups of its person, which thereby become one.
    let mut groups: Vec<(Rect<Network>, Vec<Rect<Network>>)> = Vec::new();
    for bounds in boxes {
        let joins = |members: &Vec<Rect<Network>>| members.iter().any(|member| same_person(&bounds, member));
        let (near, far): (Vec<_>, Vec<_>) = groups.into_iter().partition(|(_, members)| joins(members));
        groups = far;
        let mut one = (bounds, vec![bounds]);
        for (hull, members) in near {
            one.0 = one.0.hull(&hull);
            one.1.extend(members);
        }
        groups.push(one);
    }
    groups.into_iter().map(|(hull, _)| hull).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INPUT: Size = Size::new(256, 384);

    fn settings() -> SecondPassSettings {
        SecondPassSettings { below: 0.5, fill: 0.7, score: 0.1, max_groups: 2 }
    }

    fn found(x: f32, y: f32, width: f32, height: f32, score: f32) -> RawDetection {
        RawDetection { bounds: Rect::new(x, y, x + width, y + height), class: 0, score }
    }

    #[test]
    fn two_garments_of_one_person_are_one_group() {
        let fit = Letterbox::fit(Size::new(1920, 1080), INPUT);
        let person = [found(60.0, 20.0, 20.0, 24.0, 0.8), found(62.0, 46.0, 16.0, 40.0, 0.4)];
        let other = found(180.0, 30.0, 14.0, 20.0, 0.3);
        let noise = found(84.0, 20.0, 90.0, 24.0, 0.06);
        let groups = groups(&[person[0], person[1], other, noise], &fit, &settings());
        assert_eq!(groups.len(), 2);
        let scale = 1920.0 / 256.0;
        assert!((groups[0].x1 - 60.0 * scale).abs() < 0.1 && (groups[0].y2 - 86.0 * scale).abs() < 1.0, "{groups:?}");
    }

    #[test]
    fn two_people_side_by_side_are_two_groups() {
        let fit = Letterbox::fit(Size::new(1920, 1080), INPUT);
        let shirts = [found(60.0, 20.0, 20.0, 24.0, 0.8), found(82.0, 20.0, 18.0, 24.0, 0.7)];
        let trousers = [found(62.0, 46.0, 16.0, 40.0, 0.6), found(83.0, 46.0, 16.0, 38.0, 0.6)];
        let groups = groups(&[shirts, trousers].concat(), &fit, &settings());
        assert_eq!(groups.len(), 2, "{groups:?}");
    }

    #[test]
    fn who_is_large_or_has_no_more_pixels_is_not_looked_at_again() {
        let small = found(60.0, 20.0, 20.0, 24.0, 0.8);
        let near = Letterbox::fit(Size::new(270, 400), INPUT);
        assert!(groups(&[small], &near, &settings()).is_empty());
        let far = Letterbox::fit(Size::new(1080, 1920), INPUT);
        assert_eq!(groups(&[small], &far, &settings()).len(), 1);
        assert!(groups(&[found(10.0, 10.0, 90.0, 200.0, 0.8)], &far, &settings()).is_empty());
        assert!(groups(&[found(10.0, 10.0, 140.0, 90.0, 0.8)], &far, &settings()).is_empty());
        assert!(groups(&[small], &far, &SecondPassSettings { max_groups: 0, ..settings() }).is_empty());
    }

    #[test]
    fn a_crop_has_the_inputs_ratio_where_the_picture_allows() {
        let crop = Crop::around(Rect::new(900.0, 300.0, 1000.0, 650.0), Size::new(1920, 1080), INPUT, 0.7);
        assert_eq!(crop.size, Size::new(333, 500));
        assert_eq!((crop.x, crop.y), (784, 225));
        let edge = Crop::around(Rect::new(0.0, 900.0, 80.0, 1080.0), Size::new(1920, 1080), INPUT, 0.7);
        assert_eq!((edge.x, edge.y + edge.size.height), (0, 1080));
        // Never more than twice the picture's own pixels.
        assert_eq!(Crop::around(Rect::new(5.0, 5.0, 15.0, 15.0), Size::new(640, 480), INPUT, 0.7).size.height, 192);
    }

    #[test]
    fn where_somebody_stands_near_nobody_else_is_looked_at_again() {
        let fit = Letterbox::fit(Size::new(1080, 1920), INPUT);
        let small = found(200.0, 20.0, 20.0, 24.0, 0.8);
        let near = |score| found(10.0, 10.0, 90.0, 250.0, score);
        assert!(groups(&[small, near(0.9)], &fit, &settings()).is_empty());
        assert_eq!(groups(&[small, near(0.3)], &fit, &settings()).len(), 1, "it may be nobody");
    }

    proptest! {
        #[test]
        fn a_crop_lies_in_the_picture_and_holds_its_box(
            w in 1usize..3000, h in 1usize..3000, a in prop::array::uniform4(0f32..1.0), fill in 0.2f32..1.0,
        ) {
            let (x, y) = (a[0] * w as f32, a[1] * h as f32);
            let bounds = Rect::new(x, y, x + a[2] * (w as f32 - x), y + a[3] * (h as f32 - y));
            let crop = Crop::around(bounds, Size::new(w, h), INPUT, fill);
            prop_assert!(crop.x + crop.size.width <= w && crop.y + crop.size.height <= h);
            prop_assert!(crop.size.width > 0 && crop.size.height > 0);
            let part = crop.to_part(bounds);
            prop_assert!(part.x1 >= -1.0 && part.x2 <= crop.size.width as f32 + 1.0, "{part:?} in {crop:?}");
            prop_assert!(part.y1 >= -1.0 && part.y2 <= crop.size.height as f32 + 1.0, "{part:?} in {crop:?}");
            prop_assert!((crop.to_picture(part).x1 - bounds.x1).abs() < 0.01);
        }
    }
}
