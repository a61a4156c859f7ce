//! From tracked garments and their matches to the scene on the screen: the only step that knows both. It remembers what the shopper
//! has chosen; where they choose nothing, the garments take turns.

use super::matcher::Match;
use super::product_card::card;
use super::settings::PipelineSettings;
use super::shown_products::ShownGarment;
use super::tracking::TrackedGarment;
use crate::display::scene::{Garment, GarmentMatches, Scene, StatusLine, columns};
use crate::frame::Picture;
use crate::language::{Language, Words};
use crate::seam::TrackId;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// A garment is featured for this long before the next one is.
const TURN: Duration = Duration::from_secs(8);
/// What a shopper has chosen stays for this long.
const CHOICE: Duration = Duration::from_secs(30);
/// The screen says for this long that the staff was called.
const CALLED: Duration = Duration::from_secs(20);
/// A language stays for this long before the next.
const LANGUAGE_TURN: Duration = Duration::from_secs(10);

/// The view has gone two thirds of its way after this time.
const FOLLOWS: Duration = Duration::from_millis(600);
/// The view stays while what it shows moves by less than this share of its width.
const CALM: f32 = 0.05;

/// Makes scenes, one after the other. Times are the frames' or the program's clock, the same in all calls.
#[derive(Debug, Default)]
pub struct Presenter {
    featured: Option<TrackId>,
    /// Since when it is featured.
    since: Duration,
    /// Whether the shopper has chosen it.
    is_choice: bool,
    /// The product that the shopper has chosen for it, from the best.
    product: usize,
    /// How many products the featured garment has.
    products: usize,
    called: Option<Duration>,
    /// Whether the operator's lines are shown, or are not, against the settings.
    toggled: bool,
    /// The garments of the last scene that have products, most prominent first.
    matched: Vec<TrackId>,
    /// Of the last scene's garments.
    tracks: Vec<TrackId>,
    /// Languages that have letters in no font.
    undrawable: Vec<Language>,
    /// The columns of the camera picture that the last scene shows, and when it was.
    view: Option<(Range<f32>, Duration)>,
}

impl Presenter {
    /// What the screen shows: the picture, and the garments with their products.
    pub fn scene(
        &mut self,
        now: Duration,
        settings: &PipelineSettings,
        camera: Option<Arc<Picture>>,
        shown: &[ShownGarment],
        status: StatusLine,
    ) -> Scene {
        self.tracks = shown.iter().map(|one| one.garment.track).collect();
        let with_products = |one: &&ShownGarment| one.products.as_ref().is_some_and(|products| !products.is_empty());
        self.matched = shown.iter().filter(with_products).map(|one| one.garment.track).collect();
        let garments: Vec<Garment> = shown.iter().map(|one| garment(one.garment)).collect();
        self.follow(now, columns(&garments[..garments.len().min(settings.max_garments)]));
        let cards = |products: &Vec<&Match>| products.iter().map(|found| card(found, settings)).collect();
        let matches: Vec<GarmentMatches> = shown
            .iter()
            .enumerate()
            .filter_map(|(garment, one)| Some(GarmentMatches { garment, cards: one.products.as_ref().map(cards)? }))
            .collect();
        self.take_turns(now);
        let featured = self.featured.and_then(|track| self.tracks.iter().position(|other| *other == track));
        let of_featured = matches.iter().find(|matched| Some(matched.garment) == featured);
        self.products = of_featured.map_or(0, |matched| matched.cards.len());
        let turn = (now.as_secs() / LANGUAGE_TURN.as_secs()) as usize;
        Scene {
            shop: settings.shop_name.clone(),
            words: self.words(settings, turn),
            camera,
            view: self.view.as_ref().map(|(view, _)| view.clone()),
            garments,
            max_garments: settings.max_garments,
            matches,
            featured,
            chosen: self.product,
            recording: false,
            screen_kept: settings.screen_kept,
            enrol: None,
            staff_called: self.called.is_some_and(|called| now.saturating_sub(called) < CALLED),
            status,
            operator: settings.operator != self.toggled,
        }
    }

    /// Moves the view towards the `wanted` columns: slowly, and not at all for what a standing person moves, so that the mirror stays
    /// calm.
    fn follow(&mut self, now: Duration, wanted: Option<Range<f32>>) {
        self.view = match (self.view.take(), wanted) {
            (Some((view, last)), Some(wanted)) => {
                let share = 1.0 - (-now.saturating_sub(last).as_secs_f32() / FOLLOWS.as_secs_f32()).exp();
                let calm = CALM * (wanted.end - wanted.start);
                let moved = |from: f32, to: f32| from + share * ((to - from).abs() - calm).max(0.0).copysign(to - from);
                Some((moved(view.start, wanted.start)..moved(view.end, wanted.end), now))
            }
            (_, wanted) => wanted.map(|wanted| (wanted, now)),
        };
    }

    /// The language whose turn it is, of those that can be drawn; English where none can.
    fn words(&self, settings: &PipelineSettings, turn: usize) -> Words {
        let drawable = |words: &&Words| !self.undrawable.contains(&words.language());
        let languages: Vec<&Words> = settings.languages.iter().filter(drawable).collect();
        languages.get(turn % languages.len().max(1)).map_or_else(Words::default, |words| (*words).clone())
    }

    /// These languages have letters in no font: they are left out.
    pub fn leave_out(&mut self, undrawable: Vec<Language>) {
        self.undrawable = undrawable;
    }

    /// Keeps what is featured while its time lasts; then the next has its turn.
    fn take_turns(&mut self, now: Duration) {
        let place = self.featured.and_then(|track| self.matched.iter().position(|other| *other == track));
        let lasts = if self.is_choice { CHOICE } else { TURN };
        match place {
            Some(_) if now.saturating_sub(self.since) < lasts => {}
            Some(_) if self.matched.len() == 1 => self.is_choice = false,
            Some(place) => self.feature(now, self.matched[(place + 1) % self.matched.len()], false),
            None => match self.matched.first() {
                Some(first) => self.feature(now, *first, false),
                None => (self.featured, self.is_choice, self.product) = (None, false, 0),
            },
        }
    }

    fn feature(&mut self, now: Duration, track: TrackId, is_choice: bool) {
        if self.featured != Some(track) {
            self.product = 0;
        }
        (self.featured, self.since, self.is_choice) = (Some(track), now, is_choice);
    }

    /// The shopper wants the next garment, or the one before.
    pub fn choose_next(&mut self, now: Duration, forward: bool) {
        let count = self.matched.len();
        let place = self.featured.and_then(|track| self.matched.iter().position(|other| *other == track));
        if let Some(place) = place {
            let next = if forward { place + 1 } else { place + count - 1 };
            self.feature(now, self.matched[next % count], true);
        }
    }

    /// The shopper wants this garment of the last scene.
    pub fn choose(&mut self, now: Duration, garment: usize) {
        if let Some(track) = self.tracks.get(garment).copied().filter(|track| self.matched.contains(track)) {
            self.feature(now, track, true);
        }
    }

    /// The shopper wants to see the next product that is like the featured garment; after the last the first.
    pub fn choose_product(&mut self, now: Duration) {
        if let Some(track) = self.featured {
            self.feature(now, track, true);
            self.product = (self.product + 1) % self.products.max(1);
        }
    }

    /// The featured garment, and which of its products has the card.
    pub fn chosen(&self) -> Option<(TrackId, usize)> {
        Some((self.featured?, self.product))
    }

    /// The staff was called.
    pub fn call_staff(&mut self, now: Duration) {
        self.called = Some(now);
    }

    /// The operator's lines are shown where they were not, and the other way round.
    pub fn toggle_operator(&mut self) {
        self.toggled = !self.toggled;
    }
}

/// "compact on the CPU, 72 products"
pub fn status_text(model: &str, runs_on: &str, products: usize) -> String {
    format!("{model} on {runs_on}, {products} products")
}

fn garment(seen: &TrackedGarment) -> Garment {
    let TrackedGarment { bounds, ref label, gathered, wanted, .. } = *seen;
    Garment { bounds, label: label.clone(), gathered, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn track(number: u64) -> TrackId {
        TrackId { generation: 1, number }
    }

    fn presenter(matched: u64) -> Presenter {
        let tracks: Vec<TrackId> = (0..matched).map(track).collect();
        let mut presenter = Presenter { matched: tracks.clone(), tracks, ..Presenter::default() };
        presenter.take_turns(Duration::ZERO);
        presenter
    }

    #[test]
    fn the_view_follows_people_calmly() {
        let mut presenter = Presenter::default();
        let mut seen = |milliseconds: u64, wanted: Option<Range<f32>>| {
            presenter.follow(Duration::from_millis(milliseconds), wanted);
            presenter.view.as_ref().map(|(view, _)| view.clone())
        };
        assert_eq!(seen(0, Some(100.0..300.0)), Some(100.0..300.0), "at once where nobody was");
        assert_eq!(seen(100, Some(109.0..292.0)), Some(100.0..300.0), "somebody moves a little");
        let step = seen(200, Some(100.0..700.0)).expect("a view");
        assert!(step.start == 100.0 && (320.0..420.0).contains(&step.end), "{step:?}");
        let there = (3..60).filter_map(|tenth| seen(100 * tenth, Some(100.0..700.0))).last().expect("a view");
        assert!((660.0..=700.0).contains(&there.end), "{there:?}");
        assert_eq!(seen(6000, None), None);
    }

    #[test]
    fn garments_take_turns_until_the_shopper_chooses() {
        let mut presenter = presenter(3);
        let featured = |presenter: &mut Presenter, seconds: u32| {
            presenter.take_turns(seconds * SECOND);
            presenter.featured
        };
        assert_eq!(
            [0, 7, 8, 15, 16, 24].map(|at| featured(&mut presenter, at)),
            [0, 0, 1, 1, 2, 0].map(|n| Some(track(n)))
        );
        presenter.choose_next(25 * SECOND, false);
        assert_eq!(featured(&mut presenter, 50), Some(track(2)), "a choice stays");
        assert_eq!(featured(&mut presenter, 56), Some(track(0)));
        presenter.choose(57 * SECOND, 1);
        assert_eq!(featured(&mut presenter, 60), Some(track(1)));
        presenter.choose(57 * SECOND, 9);
        assert_eq!(featured(&mut presenter, 60), Some(track(1)), "there is no such garment");
    }

    #[test]
    fn languages_that_cannot_be_drawn_have_no_turn() {
        let words = |tag: &str| Words::of(Language::parse(tag).unwrap());
        let settings =
            PipelineSettings { languages: ["de", "ja", "it"].map(words).to_vec(), ..PipelineSettings::default() };
        let mut presenter = Presenter::default();
        let turns = |presenter: &Presenter| {
            (0..4).map(|turn| presenter.words(&settings, turn).language().tag()).collect::<Vec<_>>()
        };
        assert_eq!(turns(&presenter), ["de", "ja", "it", "de"]);
        presenter.leave_out(vec![Language::Ja]);
        assert_eq!(turns(&presenter), ["de", "it", "de", "it"]);
        presenter.leave_out(vec![Language::De, Language::Ja, Language::It]);
        assert_eq!(turns(&presenter), ["en"; 4]);
    }

    #[test]
    fn what_is_gone_is_not_featured_and_a_product_belongs_to_its_garment() {
        let mut presenter = presenter(2);
        presenter.products = 3;
        presenter.choose_product(SECOND);
        assert_eq!((presenter.featured, presenter.product), (Some(track(0)), 1));
        presenter.matched.remove(0);
        presenter.take_turns(2 * SECOND);
        assert_eq!((presenter.featured, presenter.product), (Some(track(1)), 0));
        presenter.matched.clear();
        presenter.take_turns(3 * SECOND);
        assert_eq!(presenter.featured, None);
        presenter.choose_next(4 * SECOND, true);
        assert_eq!(presenter.featured, None);
    }
}
