//! Builds TensorRT engines in a child process while the mirror runs on the CPU. If memory runs out, the kernel kills
//! the child first.

use super::child;
use super::event::JobProgress;
use crate::fault::{Fault, Kind, Result};
use crate::live::{Links, LiveSettings};
use crate::pipeline::recognizer::Recognizer;
use crate::shutdown::Token;
use std::ffi::OsString;
use std::sync::Arc;

/// Builds the missing engines and returns the model loaded on them. Writes its progress to the status. Ends when
/// `token` is cancelled.
pub fn build(settings: &LiveSettings, links: &Arc<Links>, token: &Token) -> Result<Recognizer> {
    log::info!("building TensorRT engines for this machine; using the CPU meanwhile");
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
        let text = format!("no engine in {} matches after the build", settings.engines.engines.display());
        Fault::new(Kind::Storage, text).cure("check that the folder can be read and written")
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

/// The line on the screen, for example "for the GPU: engine 1 of 4, trunk in fp16, 35 %".
fn words(progress: &JobProgress) -> String {
    format!("for the GPU: {}, {} %", progress.what, 100 * progress.done / progress.of.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_shown_in_percent() {
        let progress = JobProgress { what: "engine 1 of 4, trunk in fp16".into(), done: 35, of: 100 };
        assert_eq!(words(&progress), "for the GPU: engine 1 of 4, trunk in fp16, 35 %");
    }
}
