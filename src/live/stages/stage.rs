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
    Recognize,
    Match,
    Render,
}

impl Stage {
    pub const ALL: [Stage; 4] = [Stage::Capture, Stage::Recognize, Stage::Match, Stage::Render];

    /// Its name, in the log and as its thread's.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Capture => "capture",
            Stage::Recognize => "recognize",
            Stage::Match => "match",
            Stage::Render => "render",
        }
    }

    /// Whether a thread of this name works for it.
    pub fn owns(self, thread: &str) -> bool {
        thread == self.name() || self == Stage::Recognize && thread.starts_with("frame-")
    }
}

/// What a stage's thread is given.
pub struct StageContext {
    pub links: Arc<Links>,
    stage: Stage,
    token: Token,
}

impl StageContext {
    /// Tells the supervisor that the stage makes progress.
    pub fn heartbeat(&self) {
        self.links.status.heartbeat(self.stage, self.links.clock.now());
    }

    /// Whether it is to end: the program ends, or a restarted thread of this stage has taken over.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    pub fn token(&self) -> &Token {
        &self.token
    }
}

/// A stage's thread has ended.
pub struct StageEnded {
    pub stage: Stage,
    /// Which of its threads: counts the starts of stages.
    pub generation: u32,
    pub result: Result<StageEnd>,
}

/// A stage's end without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageEnd {
    /// It was told to end.
    Cancelled,
    /// There is nothing more to do: the recording is over, the window was closed.
    Finished,
}

/// A running stage.
pub struct RunningStage {
    pub generation: u32,
    token: Token,
    thread: JoinHandle<()>,
}

impl RunningStage {
    /// Starts `body` on a thread of the stage's name. Its end, a panic included, is sent to `ended`.
    pub fn start(
        stage: Stage,
        generation: u32,
        links: &Arc<Links>,
        ended: Sender<StageEnded>,
        body: impl FnOnce(&StageContext) -> Result<StageEnd> + Send + 'static,
    ) -> Result<Self> {
        let token = Token::new();
        let given = StageContext { links: links.clone(), stage, token: token.clone() };
        given.heartbeat();
        let run = move || {
            let result = catch_unwind(AssertUnwindSafe(|| body(&given)));
            let result = result.unwrap_or_else(|panic| Err(panicked(stage.name(), panic.as_ref())));
            // The supervisor may have gone already.
            let _ = ended.send(StageEnded { stage, generation, result });
        };
        let thread = Builder::new().name(stage.name().into()).spawn(run).map_err(no_thread)?;
        Ok(RunningStage { generation, token, thread })
    }

    /// Tells it to end.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// The system starts no thread.
pub fn no_thread(error: std::io::Error) -> Fault {
    Fault::new(Kind::Unavailable, "cannot start a thread").cause(error).cure("see what else runs on this machine")
}

/// A panic as a fault.
pub fn panicked(name: &str, panic: &(dyn Any + Send)) -> Fault {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault::new(Kind::Internal, format!("the stage {name} panicked: {}", words.unwrap_or("no message")))
}
