//! Enrolling by wearing: somebody puts a product on and turns once before the camera; up to eight views of it are chosen and kept, as
//! numbers. No picture outlives its frame.

pub mod barcode;
pub mod doubt;
pub mod good_frame;
pub mod scan;
pub mod spread;
pub mod watch;

use self::good_frame::{GoodFrame, is_whole, sharpness};
use crate::catalogue::{Catalogue, MOST_VIEWS, WornProduct, WornView};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use crate::network::Manifest;
use crate::seam::region::may_be;
use crate::seam::{Region, ScoreHead, Track, TrackId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is kept, in the words that whoever enrols agrees to.
pub const CONSENT: &str = "For each product up to eight lists of numbers that describe the garment are kept, with time and camera. \
                           No picture is kept, and nothing about the person.";

/// Garments that are enrolled at one time at most: one for each part of the body.
const MOST_PRODUCTS: usize = 3;
/// Good frames of one garment are this far apart: of two neighbours the second shows nothing new.
const APART: Duration = Duration::from_millis(250);
/// Good frames that are remembered of one garment.
const MOST_FRAMES: usize = 128;
/// A track that begins anew is the same garment if it looks as much like it. Score, as [`crate::seam::TrackSettings::similarity`].
const SAME_GARMENT: f32 = 0.3;

/// How long an enrolment takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnrolSettings {
    /// From the first frame until views are taken: time to step back.
    pub countdown: Duration,
    /// Views are taken for at least so long: time to turn.
    pub least: Duration,
    /// And for so long at most.
    pub most: Duration,
    /// After `least` so many good frames of each garment are enough.
    pub enough: usize,
}

impl Default for EnrolSettings {
    fn default() -> Self {
        EnrolSettings {
            countdown: Duration::from_secs(3),
            least: Duration::from_secs(10),
            most: Duration::from_secs(20),
            enough: 2 * MOST_VIEWS,
        }
    }
}

/// The part of the body where products are worn, by their ids.
pub type WornAt = BTreeMap<String, Region>;

/// A product that is worn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolTarget {
    pub id: String,
    pub title: String,
    /// The part of the body; `None`: it is not known, and the most prominent garment is meant.
    pub region: Option<Region>,
}

impl EnrolTarget {
    /// The products of these ids, or numbers of labels. `class_regions`: of the model's classes, for a product whose texts say none. `said`: the part of the
    /// body that whoever enrols says of a product, whatever the catalogue says.
    ///
    /// # Errors
    /// [`Kind::Usage`] where there is no such product, or two are worn on the same part of the body.
    pub fn find(
        catalogue: &Catalogue,
        ids: &[String],
        class_regions: &[Option<Region>],
        said: &WornAt,
    ) -> Result<Vec<EnrolTarget>> {
        let mut targets: Vec<EnrolTarget> = Vec::new();
        for id in ids {
            let detail = catalogue.named(id)?.map_or_else(|| catalogue.require(id), Ok)?;
            let seen = detail.pictures.first().and_then(|main| class_regions.get(main.class).copied().flatten());
            let region = said.get(id).copied().or(detail.product.region()).or(seen);
            if let Some(other) = targets.iter().find(|other| may_be(region, other.region)) {
                let text = format!("{id} and {} are worn on the same part of the body, as far as is known", other.id);
                let cure = "enrol them one after the other, or say which part of the body each is worn on";
                return Err(Fault::new(Kind::Usage, text).cure(cure));
            }
            targets.push(EnrolTarget { id: detail.product.id, title: detail.product.title, region });
        }
        if targets.is_empty() || targets.len() > MOST_PRODUCTS {
            let text = format!("an enrolment is of one to {MOST_PRODUCTS} products, not of {}", targets.len());
            return Err(Fault::new(Kind::Usage, text));
        }
        Ok(targets)
    }

    /// The product of this number is worn on the next part of the body; one that is worn there takes its place. An unknown number
    /// changes nothing.
    pub fn next_region(targets: &mut [&mut EnrolTarget], at: usize) {
        let Some(before) = targets.get(at).map(|target| target.region) else { return };
        let place = before.and_then(|before| Region::ALL.iter().position(|region| *region == before));
        let next = Region::ALL[place.map_or(0, |place| (place + 1) % Region::ALL.len())];
        for other in targets.iter_mut().filter(|other| may_be(Some(next), other.region)) {
            other.region = before;
        }
        targets[at].region = Some(next);
    }
}

/// How far an enrolment is, for one garment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ViewsTaken {
    pub id: String,
    pub title: String,
    /// "upper", "lower", "dress"; `None`: the most prominent garment.
    pub region: Option<Region>,
    /// Sharp frames of the whole garment, and how many are wanted.
    pub good: usize,
    pub wanted: usize,
    /// It is in the picture now.
    pub seen: bool,
}

struct EnrolledGarment {
    target: EnrolTarget,
    track: Option<TrackId>,
    frames: Vec<GoodFrame>,
    seen: bool,
}

/// An enrolment under way: takes in tracked frames, then gives the chosen views.
pub struct EnrolSession {
    settings: EnrolSettings,
    garments: Vec<EnrolledGarment>,
    regions: Vec<Option<Region>>,
    match_head: ScoreHead,
    aggregation_head: ScoreHead,
    /// Capture times of the first frame and of the newest.
    first: Option<Duration>,
    newest: Duration,
}

impl EnrolSession {
    pub fn new(targets: Vec<EnrolTarget>, manifest: &Manifest, settings: EnrolSettings) -> Self {
        let watched = |target| EnrolledGarment { target, track: None, frames: Vec::new(), seen: false };
        EnrolSession {
            settings,
            garments: targets.into_iter().map(watched).collect(),
            regions: manifest.class_regions(),
            match_head: manifest.match_score(),
            aggregation_head: manifest.aggregation_score(),
            first: None,
            newest: Duration::ZERO,
        }
    }

    /// Takes in a frame. `tracks`: as they stand after it, the most prominent first.
    pub fn observe(&mut self, frame: &Frame, tracks: &[Track]) {
        self.newest = frame.meta.captured;
        self.first.get_or_insert(self.newest);
        let counts = self.countdown().is_zero() && !self.is_over();
        let mut taken: Vec<TrackId> = Vec::new();
        for garment in &mut self.garments {
            let track = garment.choose(tracks, &self.regions, &self.match_head, &taken);
            garment.seen = track.is_some();
            let Some(track) = track else { continue };
            taken.push(track.id);
            if counts {
                garment.take(frame, track);
            }
        }
    }

    /// As [`EnrolTarget::next_region`], while no views are taken. Whether it was in time.
    pub fn next_region(&mut self, at: usize) -> bool {
        let in_time = !self.countdown().is_zero();
        if in_time {
            let mut targets: Vec<&mut EnrolTarget> = self.garments.iter_mut().map(|one| &mut one.target).collect();
            EnrolTarget::next_region(&mut targets, at);
        }
        in_time
    }

    /// Time until views are taken.
    pub fn countdown(&self) -> Duration {
        self.settings.countdown.saturating_sub(self.watched_for())
    }

    /// Time until it is over at the latest.
    pub fn left(&self) -> Duration {
        (self.settings.countdown + self.settings.most).saturating_sub(self.watched_for())
    }

    fn watched_for(&self) -> Duration {
        self.newest.saturating_sub(self.first.unwrap_or(self.newest))
    }

    /// Whether nothing more is taken: the time is over, or there are good frames enough.
    pub fn is_over(&self) -> bool {
        let taking = self.watched_for().saturating_sub(self.settings.countdown);
        let enough = || self.garments.iter().all(|garment| garment.good() >= self.settings.enough);
        taking >= self.settings.most || taking >= self.settings.least && enough()
    }

    pub fn progress(&self) -> Vec<ViewsTaken> {
        let of = |garment: &EnrolledGarment| ViewsTaken {
            id: garment.target.id.clone(),
            title: garment.target.title.clone(),
            region: garment.target.region,
            good: garment.good(),
            wanted: self.settings.enough,
            seen: garment.seen,
        };
        self.garments.iter().map(of).collect()
    }

    /// The chosen views of every product, the best choice of any number first.
    pub fn chosen(&self) -> Vec<WornProduct> {
        let of = |garment: &EnrolledGarment| {
            let sharp = spread::sharp(&garment.frames);
            let views = spread::spread(&sharp, MOST_VIEWS, &self.aggregation_head).into_iter().map(|place| {
                let (frame, sharpness) = sharp[place];
                WornView {
                    class: frame.view.class,
                    score: frame.view.score,
                    sharpness,
                    match_embedding: frame.view.match_embedding.clone(),
                    aggregation_embedding: frame.view.aggregation_embedding.clone(),
                }
            });
            WornProduct { id: garment.target.id.clone(), views: views.collect() }
        };
        self.garments.iter().map(of).collect()
    }
}

impl EnrolledGarment {
    /// The track that shows it: of those of its region the one that is followed already, or else the most prominent.
    fn choose<'t>(
        &self,
        tracks: &'t [Track],
        regions: &[Option<Region>],
        head: &ScoreHead,
        taken: &[TrackId],
    ) -> Option<&'t Track> {
        let region = |track: &Track| regions.get(track.class).copied().flatten();
        let possible = || {
            let free = tracks.iter().filter(|track| track.seen_in_last_frame && !taken.contains(&track.id));
            free.filter(|track| may_be(region(track), self.target.region))
        };
        let same_region = |track: &&Track| self.target.region.is_none() || region(track) == self.target.region;
        let followed = possible().find(|track| Some(track.id) == self.track);
        followed.or_else(|| possible().find(same_region)).or_else(|| possible().next()).filter(|track| {
            // Somebody else may step before the mirror: what looks like none of the views is another garment.
            Some(track.id) == self.track
                || self.frames.is_empty()
                || track.views.latest().is_some_and(|latest| {
                    let alike =
                        |known: &GoodFrame| head.score(&known.view.match_embedding, &latest.detection.match_embedding);
                    self.frames.iter().any(|known| alike(known) > SAME_GARMENT)
                })
        })
    }

    fn take(&mut self, frame: &Frame, track: &Track) {
        self.track = Some(track.id);
        let Some(latest) = track.views.latest().filter(|latest| latest.meta == frame.meta) else { return };
        let soon = self.frames.last().is_some_and(|last| frame.meta.captured.saturating_sub(last.captured) < APART);
        if soon || self.frames.len() >= MOST_FRAMES || !is_whole(&latest.detection, &track.bounds, frame.picture.size())
        {
            return;
        }
        let sharpness = sharpness(&frame.picture, &track.bounds);
        let view = latest.detection.clone();
        self.frames.push(GoodFrame { captured: frame.meta.captured, view, sharpness });
    }

    /// Its frames that are sharp, too.
    fn good(&self) -> usize {
        spread::sharp(&self.frames).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameMeta, Picture};
    use crate::geometry::{Rect, Size};
    use crate::seam::Detection;
    use std::path::Path;

    fn good_frame() -> GoodFrame {
        let view = Detection {
            bounds: Rect::new(10.0, 10.0, 60.0, 90.0),
            class: 0,
            score: 0.9,
            match_embedding: [0.0].into(),
            aggregation_embedding: [0.0].into(),
        };
        GoodFrame { captured: Duration::ZERO, view, sharpness: 1.0 }
    }

    /// Milliseconds after the first frame at which a session with so many good frames is over.
    fn over_after(good: usize) -> u64 {
        let manifest = Manifest::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact")).unwrap();
        let target = EnrolTarget { id: "1".into(), title: "Skirt".into(), region: Some(Region::Lower) };
        let mut session = EnrolSession::new(vec![target], &manifest, EnrolSettings::default());
        session.garments[0].frames = vec![good_frame(); good];
        let picture = std::sync::Arc::new(Picture::filled(Size::new(4, 4), [0; 3]));
        // The camera began an hour ago.
        let frame = |at: u64| {
            let captured = Duration::from_secs(3600) + Duration::from_millis(at);
            Frame { meta: FrameMeta { source: 0, sequence: at, captured }, picture: picture.clone() }
        };
        let over = (0..40_000).step_by(100).find(|at| {
            session.observe(&frame(*at), &[]);
            session.is_over()
        });
        over.unwrap()
    }

    #[test]
    fn one_product_goes_through_all_parts_of_the_body_until_views_are_taken() {
        let manifest = Manifest::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact")).unwrap();
        let target = EnrolTarget { id: "1".into(), title: "Poncho".into(), region: None };
        let mut session = EnrolSession::new(vec![target], &manifest, EnrolSettings::default());
        let mut regions = Vec::new();
        for _ in 0..4 {
            assert!(session.next_region(0));
            regions.extend(session.progress()[0].region);
        }
        assert_eq!(regions, [Region::Upper, Region::Lower, Region::Dress, Region::Upper]);
        let picture = std::sync::Arc::new(Picture::filled(Size::new(4, 4), [0; 3]));
        for seconds in [0, 3] {
            let meta = FrameMeta { source: 0, sequence: 0, captured: Duration::from_secs(seconds) };
            session.observe(&Frame { meta, picture: picture.clone() }, &[]);
        }
        assert!(!session.next_region(0), "the countdown is over");
        assert_eq!(session.progress()[0].region, Some(Region::Upper));
    }

    #[test]
    fn it_ends_ten_to_twenty_seconds_after_the_countdown() {
        let enough = EnrolSettings::default().enough;
        assert_eq!([0, enough - 1, enough, 3 * enough].map(over_after), [23_000, 23_000, 13_000, 13_000]);
    }
}
