//! Enrolling on the running mirror: what staff asks for, on its way to the recognize stage; what was chosen, on its way to the match
//! stage, which owns the catalogue; and how far it is, for the screen and the page.

use super::status::Shared;
use crate::catalogue::WornProduct;
use crate::drop_oldest::DropOldestQueue;
use crate::pipeline::enrol::{EnrolTarget, ViewsTaken};
use crate::seam::Region;
use serde::Serialize;

/// Orders that may wait: the page sends one at a time, and a finger is quick.
const ORDERS: usize = 32;

/// What staff asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnrolOrder {
    /// These products are worn: the screen says what would be kept, and waits for a yes.
    Ask(Vec<EnrolTarget>),
    /// Whoever wears them agrees.
    Agree,
    /// The product of this number is worn on another part of the body: the next one. Until views are taken.
    NextRegion(usize),
    Cancel,
}

/// Where an enrolment stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EnrolPhase {
    #[default]
    Idle,
    /// It waits for a yes.
    Asking,
    /// Time to step back.
    Countdown,
    /// Views are taken.
    Watching,
    /// The catalogue is written.
    Storing,
    Done,
    /// Or cancelled.
    Failed,
}

/// How far an enrolment is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EnrolState {
    pub phase: EnrolPhase,
    pub garments: Vec<ViewsTaken>,
    /// Until the phase is over at the latest.
    pub seconds_left: u64,
    /// The enrolment's number once it is done, by which it can be undone.
    pub number: Option<i64>,
    /// What was kept, or why nothing was; for people.
    pub words: Option<String>,
}

impl EnrolState {
    /// An enrolment that ended without a view; `words` say why.
    pub fn failed(garments: Vec<ViewsTaken>, words: impl Into<String>) -> Self {
        EnrolState { phase: EnrolPhase::Failed, garments, words: Some(words.into()), ..EnrolState::default() }
    }

    /// Whether another enrolment may begin.
    pub fn is_free(&self) -> bool {
        matches!(self.phase, EnrolPhase::Idle | EnrolPhase::Done | EnrolPhase::Failed)
    }
}

/// The views that were chosen, to be stored.
#[derive(Debug)]
pub struct ChosenViews {
    pub products: Vec<WornProduct>,
    /// As it stands when they were chosen.
    pub garments: Vec<ViewsTaken>,
}

/// What the threads share of enrolments.
#[derive(Debug)]
pub struct EnrolDesk {
    /// From the page to the recognize stage.
    pub orders: DropOldestQueue<EnrolOrder>,
    /// From the recognize stage to the match stage.
    pub chosen: DropOldestQueue<ChosenViews>,
    /// By the recognize stage until views are chosen, then by the match stage.
    pub state: Shared<EnrolState>,
    /// Of the model's classes; by the match stage.
    pub regions: Shared<Vec<Option<Region>>>,
}

impl Default for EnrolDesk {
    fn default() -> Self {
        EnrolDesk {
            orders: DropOldestQueue::with_room(ORDERS),
            chosen: DropOldestQueue::default(),
            state: Shared::default(),
            regions: Shared::default(),
        }
    }
}
