//! Loads model and catalogue on a background thread; the screen shows "One moment" meanwhile.

use super::LiveSettings;
use super::stages::stage::{no_thread, panicked};
use crate::fault::Result;
use crate::network::Manifest;
use crate::pipeline::matcher::Matcher;
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::settings::OutOfStock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, available_parallelism};

/// A model and a matching catalogue.
pub struct Loaded {
    pub recognizer: Recognizer,
    pub matcher: Matcher,
    /// TensorRT is available, but its engines are not built yet: the recognizer runs on the CPU until they are.
    pub unbuilt: bool,
}

/// Loads model and catalogue.
pub fn everything(settings: &LiveSettings) -> Result<Loaded> {
    let (recognizer, unbuilt) = Recognizer::load_meanwhile(&settings.model, &settings.engines)?;
    let recognizer = recognizer.at_most(settings.max_detections);
    let matcher = matcher(settings, recognizer.manifest())?;
    Ok(Loaded { recognizer, matcher, unbuilt })
}

/// Opens the catalogue and loads its index.
pub fn matcher(settings: &LiveSettings, manifest: &Manifest) -> Result<Matcher> {
    let matcher = Matcher::load(&settings.catalogue, manifest)?;
    let matcher = matcher.with_false_accept(settings.pipeline.false_accept);
    Ok(if settings.pipeline.out_of_stock == OutOfStock::Hide { matcher.without_out_of_stock() } else { matcher })
}

/// Creates the frame workers for these settings.
pub fn workers(settings: &LiveSettings, recognizer: &Recognizer) -> Vec<Recognizer> {
    let cores = available_parallelism().map_or(1, usize::from).min(4);
    let count = if settings.workers == 0 { cores } else { settings.workers };
    (0..count).map(|_| recognizer.share()).collect()
}

/// Runs `work` on a new thread. The receiver gets its result.
pub fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<Receiver<Result<T>>> {
    let (outbox, inbox) = channel();
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked("load", panic.as_ref())));
        let _ = outbox.send(result);
    };
    Builder::new().name("load".into()).spawn(run).map_err(no_thread)?;
    Ok(inbox)
}
