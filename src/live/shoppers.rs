//! From what is tracked, matched and shown to events: who comes and leaves, and what is said of their garments. Pure: no clock, no
//! thread.
//!
//! A person is a group of garments that lie on one another, as the screen groups them. Nobody is recognized: who has been away for
//! longer than `LEFT_AFTER` is somebody new.

use super::events::Happening;
use crate::geometry::{Camera, Rect};
use crate::pipeline::same_person::{REACH, same_person};
use crate::seam::{Region, TrackId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Who is not seen for this long has left: turning round and bending down take less.
const LEFT_AFTER: Duration = Duration::from_secs(5);
/// A product that was on the screen for this long counts as shown.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// Observations of a garment that make a person, as for a dark screen: one false detection makes none.
const PERSON: usize = 2;

/// A product of the catalogue, as it is said of a garment.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedProduct {
    /// The group of the product's variants, or its id where it has none.
    pub product: String,
    /// 0 to 1.
    pub score: f32,
    /// Said to be this one; otherwise it is like it.
    pub likely: bool,
}

/// A garment as it stands.
#[derive(Clone, Debug)]
pub struct SeenGarment {
    pub track: TrackId,
    pub bounds: Rect<Camera>,
    pub region: Option<Region>,
    /// Observations of it.
    pub gathered: usize,
    /// The catalogue was asked for it.
    pub answered: bool,
    /// The best product that is good enough to be shown.
    pub best: Option<NamedProduct>,
    /// What the screen shows for it.
    pub shown: Vec<NamedProduct>,
}

/// Everybody who is before the mirror, and what was said of them.
#[derive(Debug, Default)]
pub struct ShopperWatch {
    people: BTreeMap<u64, Person>,
    garments: BTreeMap<TrackId, WatchedGarment>,
    /// People since the program's start.
    came: u64,
}

#[derive(Debug)]
struct Person {
    came: Duration,
    seen: Duration,
    /// Around all their garments, when they were last seen.
    bounds: Rect<Camera>,
}

#[derive(Debug)]
struct WatchedGarment {
    person: u64,
    region: Option<Region>,
    seen: Duration,
    /// The catalogue was asked.
    answered: bool,
    matched: BTreeSet<String>,
    /// When each product was first on the screen; `None` once that is said.
    shown: BTreeMap<String, Option<Duration>>,
}

impl ShopperWatch {
    /// Takes in what stands at `now`.
    pub fn update(&mut self, now: Duration, seen: &[SeenGarment]) -> Vec<Happening> {
        let mut happenings = Vec::new();
        let seen: Vec<&SeenGarment> = seen.iter().filter(|garment| garment.gathered >= PERSON).collect();
        for group in groups(&seen) {
            self.see(now, &group, &mut happenings);
        }
        for garment in seen {
            if let Some(watched) = self.garments.get_mut(&garment.track) {
                watched.say(now, garment, &mut happenings);
            }
        }
        self.leave(now, &mut happenings);
        happenings
    }

    /// Everybody leaves: there is no camera any more, or the program ends.
    pub fn end(&mut self, now: Duration) -> Vec<Happening> {
        let mut happenings = Vec::new();
        self.leave(now + LEFT_AFTER + Duration::from_millis(1), &mut happenings);
        happenings
    }

    /// A person's garments are seen.
    fn see(&mut self, now: Duration, group: &[&SeenGarment], happenings: &mut Vec<Happening>) {
        let Some(bounds) = group.iter().map(|garment| garment.bounds).reduce(|a, b| a.hull(&b)) else { return };
        let known = group.iter().filter_map(|garment| self.garments.get(&garment.track).map(|known| known.person));
        let known = known.filter(|person| self.people.contains_key(person)).min();
        // New tracks where somebody was a moment ago: their tracks were lost while they turned.
        let back = || {
            let missed = self.people.iter().filter(|(_, person)| person.seen < now);
            missed.filter(|(_, person)| person.bounds.touches(&bounds.grown(REACH))).map(|(number, _)| *number).min()
        };
        let person = known.or_else(back).unwrap_or_else(|| {
            self.came += 1;
            happenings.push(Happening::PersonCame { person: self.came });
            self.came
        });
        let stands = self.people.entry(person).or_insert(Person { came: now, seen: now, bounds });
        (stands.seen, stands.bounds) = (now, bounds);
        for garment in group {
            let watched = self.garments.entry(garment.track).or_insert_with(|| WatchedGarment {
                person,
                region: garment.region,
                seen: now,
                answered: false,
                matched: BTreeSet::new(),
                shown: BTreeMap::new(),
            });
            watched.seen = now;
        }
    }

    /// Garments and people who were not seen for long.
    fn leave(&mut self, now: Duration, happenings: &mut Vec<Happening>) {
        let gone = |seen: Duration| now.saturating_sub(seen) > LEFT_AFTER;
        self.garments.retain(|track, garment| {
            let over = gone(garment.seen);
            if over && garment.answered && garment.matched.is_empty() {
                let (person, region) = (garment.person, garment.region);
                happenings.push(Happening::GarmentRefused { person, garment: track.to_string(), region });
            }
            !over
        });
        self.people.retain(|number, person| {
            let over = gone(person.seen);
            if over {
                // To the millisecond, as times are.
                let seconds = person.seen.saturating_sub(person.came).as_millis() as f64 / 1e3;
                happenings.push(Happening::PersonLeft { person: *number, seconds });
            }
            !over
        });
    }
}

impl WatchedGarment {
    /// What is new of it.
    fn say(&mut self, now: Duration, garment: &SeenGarment, happenings: &mut Vec<Happening>) {
        let (person, region, track) = (self.person, self.region, garment.track.to_string());
        self.answered |= garment.answered;
        if let Some(best) = garment.best.as_ref().filter(|best| self.matched.insert(best.product.clone())) {
            let NamedProduct { product, score, likely } = best.clone();
            happenings.push(Happening::GarmentMatched {
                person,
                garment: track.clone(),
                region,
                product,
                score,
                likely,
            });
        }
        // What went from the screen before it was seen begins again when it comes back.
        self.shown.retain(|id, since| since.is_none() || garment.shown.iter().any(|shown| shown.product == *id));
        for NamedProduct { product, score, .. } in &garment.shown {
            let since = self.shown.entry(product.clone()).or_insert(Some(now));
            if since.is_some_and(|since| now.saturating_sub(since) >= SHOWN_AFTER) {
                *since = None;
                let (product, score) = (product.clone(), *score);
                happenings.push(Happening::ProductShown { person, garment: track.clone(), region, product, score });
            }
        }
    }
}

/// The garments of each person: those that lie on one another, directly or through others.
fn groups<'a>(seen: &[&'a SeenGarment]) -> Vec<Vec<&'a SeenGarment>> {
    let mut groups: Vec<Vec<&SeenGarment>> = Vec::new();
    for &garment in seen {
        let touches = |group: &Vec<&SeenGarment>| group.iter().any(|other| same_person(&garment.bounds, &other.bounds));
        let (joined, mut others): (Vec<_>, Vec<_>) = groups.into_iter().partition(touches);
        others.push(joined.into_iter().flatten().chain([garment]).collect());
        groups = others;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIRT: Rect<Camera> = Rect::new(100.0, 100.0, 160.0, 200.0);
    const JEANS: Rect<Camera> = Rect::new(105.0, 205.0, 155.0, 330.0);
    const OTHERS: Rect<Camera> = Rect::new(400.0, 100.0, 460.0, 200.0);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn garment(number: u64, bounds: Rect<Camera>) -> SeenGarment {
        let track = TrackId { generation: 1, number };
        SeenGarment {
            track,
            bounds,
            region: Some(Region::Upper),
            gathered: 5,
            answered: false,
            best: None,
            shown: Vec::new(),
        }
    }

    fn tee() -> NamedProduct {
        NamedProduct { product: "TEE".into(), score: 0.75, likely: true }
    }

    #[test]
    fn a_person_in_two_garments_comes_once_and_leaves_once() {
        let mut watch = ShopperWatch::default();
        let both = [garment(1, SHIRT), garment(2, JEANS)];
        let faint = SeenGarment { gathered: 1, ..garment(3, OTHERS) };
        assert_eq!(watch.update(seconds(1.0), &[faint]), [], "one false detection is nobody");
        assert_eq!(watch.update(seconds(2.0), &both), [Happening::PersonCame { person: 1 }]);
        assert_eq!(watch.update(seconds(5.5), &both), []);
        // Turns round: other tracks, in the same place.
        assert_eq!(watch.update(seconds(8.0), &[]), []);
        assert_eq!(watch.update(seconds(9.25), &[garment(4, SHIRT.shifted(10.0, 0.0))]), []);
        // And somebody else beside.
        let other = watch.update(seconds(9.5), &[garment(4, SHIRT), garment(5, OTHERS)]);
        assert_eq!(other, [Happening::PersonCame { person: 2 }]);
        assert_eq!(watch.update(seconds(14.0), &[]), []);
        let left = watch.update(seconds(15.0), &[]);
        let expected =
            [Happening::PersonLeft { person: 1, seconds: 7.5 }, Happening::PersonLeft { person: 2, seconds: 0.0 }];
        assert_eq!(left, expected);
        assert_eq!(watch.update(seconds(16.0), &both), [Happening::PersonCame { person: 3 }], "nobody is known again");
    }

    #[test]
    fn a_product_is_matched_at_once_and_shown_when_it_could_be_seen() {
        let mut watch = ShopperWatch::default();
        let seen = SeenGarment { answered: true, best: Some(tee()), shown: vec![tee()], ..garment(1, SHIRT) };
        let kinds = |happenings: Vec<Happening>| happenings.iter().map(|one| one.kind().name()).collect::<Vec<_>>();
        assert_eq!(kinds(watch.update(seconds(1.0), std::slice::from_ref(&seen))), ["person_came", "garment_matched"]);
        // It flickers: a second on the screen is one without a gap.
        let gap = SeenGarment { shown: Vec::new(), ..seen.clone() };
        assert_eq!(watch.update(seconds(1.5), &[gap]), []);
        assert_eq!(watch.update(seconds(2.2), std::slice::from_ref(&seen)), []);
        let shown = watch.update(seconds(3.2), std::slice::from_ref(&seen));
        let expected = Happening::ProductShown {
            person: 1,
            garment: "1-1".into(),
            region: Some(Region::Upper),
            product: "TEE".into(),
            score: 0.75,
        };
        assert_eq!(shown, [expected]);
        assert_eq!(watch.update(seconds(9.0), &[seen]), [], "once for each garment and product");
        assert_eq!(kinds(watch.end(seconds(9.5))), ["person_left"]);
    }

    #[test]
    fn a_garment_is_refused_when_it_has_gone_without_a_product() {
        let mut watch = ShopperWatch::default();
        let refused = SeenGarment { answered: true, ..garment(1, SHIRT) };
        let unasked = garment(2, OTHERS);
        assert_eq!(watch.update(seconds(1.0), &[refused.clone(), unasked]).len(), 2);
        assert_eq!(watch.update(seconds(4.0), &[refused]), []);
        let gone = watch.end(seconds(5.0));
        let expected = Happening::GarmentRefused { person: 1, garment: "1-1".into(), region: Some(Region::Upper) };
        assert!(gone.contains(&expected) && gone.len() == 3, "{gone:?}");
    }
}
