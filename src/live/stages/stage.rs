//! The thread of a stage: its context, heartbeat and end.

use crate::fault::{Fault, Kind, Result};
use crate::live::Links;
use crate::live::control::{Stage, StageEnd, StageMessage};
use crate::shutdown::Token;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{Builder, JoinHandle};

/// Context of a stage's thread.
pub struct StageContext {
    pub links: Arc<Links>,
    stage: Stage,
    token: Token,
    messages: Sender<StageMessage>,
}

impl StageContext {
    /// Reports progress to the supervisor.
    pub fn heartbeat(&self) {
        self.links.control.heartbeat(self.stage, self.links.clock.now());
    }

    /// Sends a message to the supervisor.
    pub fn send(&self, message: StageMessage) {
        // The supervisor may have ended already.
        let _ = self.messages.send(message);
    }

    /// Whether the stage must end: the program ends, or a restarted thread has replaced it.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Cancelled when the stage must end.
    pub fn token(&self) -> &Token {
        &self.token
    }
}

/// A running stage.
pub struct RunningStage {
    pub generation: u32,
    token: Token,
    thread: JoinHandle<()>,
}

impl RunningStage {
    /// Starts `body` on a thread named after the stage. Its end, including a panic, is sent as a message.
    pub fn start(
        stage: Stage,
        generation: u32,
        links: &Arc<Links>,
        messages: Sender<StageMessage>,
        body: impl FnOnce(&StageContext) -> Result<StageEnd> + Send + 'static,
    ) -> Result<Self> {
        let token = Token::new();
        let given = StageContext { links: links.clone(), stage, token: token.clone(), messages };
        given.heartbeat();
        let run = move || {
            let result = catch_unwind(AssertUnwindSafe(|| body(&given)));
            let result = result.unwrap_or_else(|panic| Err(panicked(stage.name(), panic.as_ref())));
            given.send(StageMessage::Ended { stage, generation, result });
        };
        let thread = Builder::new().name(stage.name().into()).spawn(run).map_err(no_thread)?;
        Ok(RunningStage { generation, token, thread })
    }

    /// Tells the stage to end.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Whether its thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// The fault if a thread cannot be started.
pub fn no_thread(error: std::io::Error) -> Fault {
    Fault::new(Kind::Unavailable, "cannot start a thread")
        .cause(error)
        .cure("check what else is running on this machine")
}

/// Converts a panic into a fault.
pub fn panicked(name: &str, panic: &(dyn Any + Send)) -> Fault {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault::new(Kind::Internal, format!("the stage {name} panicked: {}", words.unwrap_or("no message")))
}
