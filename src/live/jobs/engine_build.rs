//! TensorRT's engines while the mirror runs: they are built by a process of their own, whose memory and crashes are its own
//! and which the system ends first where memory runs out; the mirror meanwhile serves on the CPU.

use crate::fault::{Fault, Kind, Result};
use crate::live::{Links, LiveSettings};
use crate::pipeline::recognizer::Recognizer;
use crate::shutdown::Token;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// How often the process is looked at.
const ROUND: Duration = Duration::from_millis(200);

/// Builds the engines that are missing, loads the model on them, and gives it back. Says in the status how far it is. Ends
/// early, with the process, when it is told to.
pub fn build(settings: &LiveSettings, links: &Arc<Links>, token: &Token) -> Result<Recognizer> {
    log::info!("TensorRT's engines are built for this machine; meanwhile the network runs on the CPU");
    links.status.building.set(Some("engines for the GPU are being built".into()));
    let built = run(settings, links, token);
    links.status.building.set(None);
    built?;
    let recognizer = Recognizer::load_tensorrt(&settings.model, &settings.engines)?;
    recognizer.ok_or_else(|| {
        let text = format!("the engines that were built are not in {}", settings.engines.engines.display());
        Fault::new(Kind::Storage, text).cure("see whether that folder can be written and read")
    })
}

fn run(settings: &LiveSettings, links: &Arc<Links>, token: &Token) -> Result<()> {
    let mut child = spawn(settings)?;
    let errors = child.stderr.take();
    let last = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_along(errors, links));
        while !token.wait(ROUND) && child.try_wait().is_ok_and(|ended| ended.is_none()) {}
        // It is over, or it shall be.
        let _ = child.kill();
        reader.join().unwrap_or_default()
    });
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let why = if last.is_empty() { status.to_string() } else { last };
            Err(Fault::new(Kind::Unavailable, format!("cannot build the engines: {why}")).cure("see the log"))
        }
        Err(error) => Err(no_process(error)),
    }
}

fn spawn(settings: &LiveSettings) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe().map_err(no_process)?);
    command.args(["engine", "build", "--background", "--model"]).arg(&settings.model);
    command.arg("--engines").arg(&settings.engines.engines);
    if let Some(precision) = settings.engines.precision {
        command.args(["--precision", precision.name()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(no_process)
}

fn no_process(error: std::io::Error) -> Fault {
    Fault::new(Kind::Unavailable, "cannot start a process to build engines").cause(error)
}

/// Puts the process's progress into the status; the last line that was none.
fn read_along(errors: Option<ChildStderr>, links: &Arc<Links>) -> String {
    let mut last = String::new();
    let lines = errors.into_iter().flat_map(|errors| BufReader::new(errors).lines()).map_while(std::io::Result::ok);
    for line in lines {
        match progress(&line) {
            Some(words) => drop(links.status.building.set(Some(words))),
            None => last = line.strip_prefix("vetrina: ").unwrap_or(&line).to_owned(),
        }
    }
    last
}

/// "35 of 100 hundredths of engine 1 of 4, trunk in fp16" as the screen says it.
fn progress(line: &str) -> Option<String> {
    let (done, engine) = line.split_once(" of 100 hundredths of ")?;
    let done: u8 = done.parse().ok()?;
    Some(format!("for the GPU: {engine}, {done} %"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_the_lines_of_a_build() {
        let line = "35 of 100 hundredths of engine 1 of 4, trunk in fp16";
        assert_eq!(progress(line).as_deref(), Some("for the GPU: engine 1 of 4, trunk in fp16, 35 %"));
        for line in ["", "vetrina: cannot use TensorRT", "x of 100 hundredths of y"] {
            assert_eq!(progress(line), None, "{line}");
        }
    }
}
