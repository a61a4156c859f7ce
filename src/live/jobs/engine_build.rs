//! TensorRT's engines while the mirror runs: a child process builds them, and the system ends that first where memory runs out;
//! the mirror meanwhile serves on the CPU.

use super::child;
use super::event::JobProgress;
use crate::fault::{Fault, Kind, Result};
use crate::live::{Links, LiveSettings};
use crate::pipeline::recognizer::Recognizer;
use crate::shutdown::Token;
use std::ffi::OsString;
use std::sync::Arc;

/// Builds the engines that are missing, loads the model on them, and gives it back. Says in the status how far it is. When
/// `token` is cancelled, the build ends.
pub fn build(settings: &LiveSettings, links: &Arc<Links>, token: &Token) -> Result<Recognizer> {
    log::info!("TensorRT's engines are built for this machine; meanwhile the network runs on the CPU");
    links.status.building.set(Some("engines for the GPU are being built".into()));
    let built = child::run(&arguments(settings), None, token, |progress| {
        links.status.building.set(Some(words(&progress)));
    });
    links.status.building.set(None);
    let report = built.map_err(|fault| {
        Fault::new(Kind::Unavailable, format!("cannot build the engines: {fault}")).cure("see the log")
    })?;
    report.as_array().into_iter().flatten().filter_map(|line| line.as_str()).for_each(|line| log::info!("{line}"));
    let recognizer = Recognizer::load_tensorrt(&settings.model, &settings.engines)?;
    recognizer.ok_or_else(|| {
        let text = format!("the engines that were built are not in {}", settings.engines.engines.display());
        Fault::new(Kind::Storage, text).cure("see whether that folder can be written and read")
    })
}

fn arguments(settings: &LiveSettings) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["engine", "build", "--progress", "json", "--background", "--model"].map(Into::into).into();
    arguments.push(settings.model.clone().into());
    arguments.extend(["--engines".into(), settings.engines.engines.clone().into()]);
    if let Some(precision) = settings.engines.precision {
        arguments.extend(["--precision".into(), precision.name().into()]);
    }
    arguments
}

/// The line on the screen: "for the GPU: engine 1 of 4, trunk in fp16, 35 %".
fn words(progress: &JobProgress) -> String {
    format!("for the GPU: {}, {} %", progress.what, 100 * progress.done / progress.of.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_said_in_percent() {
        let progress = JobProgress { what: "engine 1 of 4, trunk in fp16".into(), done: 35, of: 100 };
        assert_eq!(words(&progress), "for the GPU: engine 1 of 4, trunk in fp16, 35 %");
    }
}
