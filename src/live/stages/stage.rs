//! A stage's thread: its name, its end, its heartbeat.

use crate::fault::{Fault, Kind, Result};
use crate::live::Links;
use crate::shutdown::Token;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{Builder, JoinHandle};

/// The stages, in the order in which they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Capture,
    Look,
    Match,
    Show,
}

impl Stage {
    pub const ALL: [Stage; 4] = [Stage::Capture, Stage::Look, Stage::Match, Stage::Show];

    /// Its name, in the log and as its thread's.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Capture => "capture",
            Stage::Look => "look",
            Stage::Match => "match",
            Stage::Show => "show",
        }
    }

    /// Whether a thread of this name works for it.
    pub fn owns(self, thread: &str) -> bool {
        thread == self.name() || self == Stage::Look && thread.starts_with("frame-")
    }
}

/// One life of a stage: what its thread is given.
pub struct Life {
    pub links: Arc<Links>,
    stage: Stage,
    token: Token,
}

impl Life {
    /// Says that the stage is getting on.
    pub fn beat(&self) {
        self.links.status.beat(self.stage, self.links.clock.now());
    }

    /// Whether it is time to go: the program ends, or another life of this stage has taken over.
    pub fn is_over(&self) -> bool {
        self.token.is_cancelled()
    }

    pub fn token(&self) -> &Token {
        &self.token
    }
}

/// What the supervisor hears of a stage.
pub struct Ended {
    pub stage: Stage,
    /// Which of its lives.
    pub life: u32,
    pub result: Result<End>,
}

/// A stage's end without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Told,
    /// There is nothing more to do: the recording is over, the window was closed.
    Done,
}

/// A running stage.
pub struct Running {
    pub life: u32,
    token: Token,
    thread: JoinHandle<()>,
}

impl Running {
    /// Starts `body` on a thread of the stage's name. Its end, a panic included, is told to `ended`.
    pub fn start(
        stage: Stage,
        life: u32,
        links: &Arc<Links>,
        ended: Sender<Ended>,
        body: impl FnOnce(&Life) -> Result<End> + Send + 'static,
    ) -> Result<Self> {
        let token = Token::new();
        let given = Life { links: links.clone(), stage, token: token.clone() };
        given.beat();
        let run = move || {
            let result = catch_unwind(AssertUnwindSafe(|| body(&given)));
            let result = result.unwrap_or_else(|panic| Err(panicked(stage.name(), panic.as_ref())));
            // The supervisor may have gone already.
            let _ = ended.send(Ended { stage, life, result });
        };
        let thread = Builder::new().name(stage.name().into()).spawn(run).map_err(no_thread)?;
        Ok(Running { life, token, thread })
    }

    /// Tells it to go.
    pub fn tell(&self) {
        self.token.cancel();
    }

    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// The system gave no thread.
pub fn no_thread(error: std::io::Error) -> Fault {
    Fault::new(Kind::Unavailable, "cannot start a thread").cause(error).cure("see what else runs on this machine")
}

/// A panic as a fault.
pub fn panicked(name: &str, panic: &(dyn Any + Send)) -> Fault {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault::new(Kind::Internal, format!("the stage {name} panicked: {}", words.unwrap_or("without a word")))
}
