//! A stage's thread: what it is given, its heartbeat, its end.

use crate::fault::{Fault, Kind, Result};
use crate::live::Links;
use crate::live::control::{Stage, StageEnd, StageMessage};
use crate::shutdown::Token;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{Builder, JoinHandle};

/// What a stage's thread is given.
pub struct StageContext {
    pub links: Arc<Links>,
    stage: Stage,
    token: Token,
    messages: Sender<StageMessage>,
}

impl StageContext {
    /// Tells the supervisor that the stage makes progress.
    pub fn heartbeat(&self) {
        self.links.control.heartbeat(self.stage, self.links.clock.now());
    }

    /// Tells the supervisor something.
    pub fn send(&self, message: StageMessage) {
        // It may have ended already.
        let _ = self.messages.send(message);
    }

    /// Whether it is to end: the program ends, or a restarted thread of this stage has taken over.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

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
    /// Starts `body` on a thread of the stage's name. Its end, a panic included, is a message.
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
