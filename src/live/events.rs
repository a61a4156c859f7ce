//! What happens before the mirror, as plain data, and the one place where it is published. Numbers, ids and scores: no picture, and
//! nothing that tells one person from another after they have left.

use crate::clock::UtcTime;
use crate::drop_oldest::DropOldestQueue;
use crate::metrics::Counter;
use crate::seam::Region;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShopperEvent {
    /// Counts from 1 since the program's start. Whoever reads all events and misses a number has lost one.
    pub number: u64,
    /// Coordinated universal time, to the millisecond.
    pub time: UtcTime,
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened. `person` counts the people since the program's start; `garment` is a track, as in `/status.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// Somebody has come before the mirror.
    PersonCame { person: u64 },
    /// And has left, after so many seconds.
    PersonLeft { person: u64, seconds: f64 },
    /// The catalogue has this product for a garment: said once for each garment and product. `score`: 0 to 1.
    GarmentMatched { person: u64, garment: String, region: Option<Region>, product: String, score: f32, likely: bool },
    /// A garment has gone, and the catalogue had nothing like it all the time.
    GarmentRefused { person: u64, garment: String, region: Option<Region> },
    /// The screen has shown a product for a garment long enough to be seen: once for each garment and product.
    ProductShown { person: u64, garment: String, region: Option<Region>, product: String, score: f32 },
    /// A shopper asks for help.
    StaffCalled,
}

/// The kinds of events, by the names that configuration and JSON have for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    PersonCame,
    PersonLeft,
    GarmentMatched,
    GarmentRefused,
    ProductShown,
    StaffCalled,
}

impl EventKind {
    pub const ALL: [EventKind; 6] = [
        EventKind::PersonCame,
        EventKind::PersonLeft,
        EventKind::GarmentMatched,
        EventKind::GarmentRefused,
        EventKind::ProductShown,
        EventKind::StaffCalled,
    ];

    /// As configuration and JSON write it.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::PersonCame => "person_came",
            EventKind::PersonLeft => "person_left",
            EventKind::GarmentMatched => "garment_matched",
            EventKind::GarmentRefused => "garment_refused",
            EventKind::ProductShown => "product_shown",
            EventKind::StaffCalled => "staff_called",
        }
    }
}

impl Happening {
    /// Which kind of event this is.
    pub fn kind(&self) -> EventKind {
        match self {
            Happening::PersonCame { .. } => EventKind::PersonCame,
            Happening::PersonLeft { .. } => EventKind::PersonLeft,
            Happening::GarmentMatched { .. } => EventKind::GarmentMatched,
            Happening::GarmentRefused { .. } => EventKind::GarmentRefused,
            Happening::ProductShown { .. } => EventKind::ProductShown,
            Happening::StaffCalled => EventKind::StaffCalled,
        }
    }
}

impl ShopperEvent {
    /// As JSON, on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

type Queue = DropOldestQueue<Arc<ShopperEvent>>;

/// Hands every event to every reader, and waits for none of them: a slow reader loses the oldest, and that is counted.
#[derive(Debug, Default)]
pub struct EventBus {
    number: AtomicU64,
    readers: Mutex<Vec<Weak<Queue>>>,
    /// Events that a reader did not take in time, over all readers.
    lost: Counter,
}

impl EventBus {
    /// Gives `what` a number and a time, and hands it to whoever reads now.
    pub fn publish(&self, what: Happening) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that every reader gets the numbers in order.
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        let event = Arc::new(ShopperEvent { number, time: UtcTime::now(), what });
        readers.retain(|reader| match reader.upgrade() {
            Some(queue) => {
                if queue.put(event.clone()) {
                    self.lost.count();
                }
                true
            }
            None => false,
        });
    }

    /// A reader of all events from now on; at most `room` wait for it.
    pub fn subscribe(&self, room: usize) -> EventReader {
        let queue = Arc::new(Queue::with_room(room));
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&queue));
        EventReader { queue }
    }

    /// Events since the program's start.
    pub fn published(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }

    /// Events that readers have lost.
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }
}

/// One reader's place. Nothing is kept for it any more once this is dropped.
#[derive(Debug)]
pub struct EventReader {
    queue: Arc<Queue>,
}

impl EventReader {
    /// The next event; `None` where none came within `patience`.
    pub fn take(&self, patience: Duration) -> Option<Arc<ShopperEvent>> {
        match self.queue.take(patience) {
            crate::drop_oldest::Taken::Value(event) => Some(event),
            _ => None,
        }
    }

    /// The next event if there is one.
    pub fn take_now(&self) -> Option<Arc<ShopperEvent>> {
        self.queue.take_now()
    }

    /// Events that this reader has lost.
    pub fn lost(&self) -> u64 {
        self.queue.skipped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_gets_every_event_and_a_slow_one_loses_the_oldest() {
        let bus = EventBus::default();
        bus.publish(Happening::StaffCalled);
        let (quick, slow) = (bus.subscribe(10), bus.subscribe(2));
        for person in 1..=4 {
            bus.publish(Happening::PersonCame { person });
        }
        let numbers =
            |reader: &EventReader| std::iter::from_fn(|| reader.take_now()).map(|event| event.number).collect();
        let (all, last): (Vec<u64>, Vec<u64>) = (numbers(&quick), numbers(&slow));
        assert_eq!((all, last), (vec![2, 3, 4, 5], vec![4, 5]));
        assert_eq!((bus.published(), bus.lost(), slow.lost(), quick.lost()), (5, 2, 2, 0));
        drop(slow);
        for person in 5..=8 {
            bus.publish(Happening::PersonCame { person });
        }
        assert_eq!(bus.lost(), 2, "nothing is kept for who has gone");
    }

    #[test]
    fn an_event_is_one_flat_object_with_its_kinds_name() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let matched = Happening::GarmentMatched {
            person: 3,
            garment: "2-17".into(),
            region: Some(Region::Upper),
            product: "TEE".into(),
            score: 0.5,
            likely: true,
        };
        let event = ShopperEvent { number: 7, time: "2026-11-27T18:30:00.250Z".parse().unwrap(), what: matched };
        let expected = r#"{"number":7,"time":"2026-11-27T18:30:00.25Z","event":"garment_matched","person":3,"garment":"2-17","region":"upper","product":"TEE","score":0.5,"likely":true}"#;
        assert_eq!(event.to_json(), expected);
        assert_eq!(event.what.kind().name(), "garment_matched");
        let called = ShopperEvent { what: Happening::StaffCalled, ..event };
        assert_eq!(called.to_json(), r#"{"number":7,"time":"2026-11-27T18:30:00.25Z","event":"staff_called"}"#);
    }
}
