//! Runs a command of this program as a child process that reports its progress.

use super::event::{JobEvent, JobProgress};
use crate::fault::{Fault, Kind, Result};
use crate::shutdown::Token;
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Interval at which the child and the token are checked.
const ROUND: Duration = Duration::from_millis(100);

/// Last event of a job's output.
#[derive(Debug, Default)]
struct Outcome {
    report: Option<Value>,
    error: Option<String>,
}

/// Runs `vetrina` with these arguments (among them `--progress json`) and `input` on stdin, until it exits. Returns its
/// report. Kills the child when `token` is cancelled.
///
/// # Errors
/// [`Kind::Unavailable`], with the child's own error if it reported one.
pub fn run(
    arguments: &[OsString],
    input: Option<&[u8]>,
    token: &Token,
    on_progress: impl FnMut(JobProgress) + Send,
) -> Result<Value> {
    let program = std::env::current_exe().map_err(no_process)?;
    let mut command = Command::new(program);
    command.args(arguments);
    run_command(command, input, token, on_progress)
}

fn run_command(
    mut command: Command,
    input: Option<&[u8]>,
    token: &Token,
    on_progress: impl FnMut(JobProgress) + Send,
) -> Result<Value> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    // The child's log goes to the mirror's log.
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().map_err(no_process)?;
    let (pipe, output) = (child.stdin.take(), child.stdout.take());
    let over = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            if let (Some(mut pipe), Some(input)) = (pipe, input) {
                // If the child ended early, its own error explains why.
                let _ = pipe.write_all(input);
            }
        });
        let over = &over;
        let reader = scope.spawn(move || {
            let outcome = output.map(|output| read_events(output, on_progress)).unwrap_or_default();
            over.store(true, Ordering::Relaxed);
            outcome
        });
        wait(&mut child, token, over);
        reader.join().unwrap_or_default()
    });
    result(outcome, child.wait().map_err(no_process)?)
}

/// Waits until the child has ended or closed its output. Kills it when the token is cancelled.
fn wait(child: &mut Child, token: &Token, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) && child.try_wait().is_ok_and(|ended| ended.is_none()) {
        if token.wait(ROUND) {
            let _ = child.kill();
            return;
        }
    }
}

fn read_events(output: impl Read, mut on_progress: impl FnMut(JobProgress)) -> Outcome {
    let mut outcome = Outcome::default();
    for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
        match JobEvent::from_line(&line) {
            Some(JobEvent::Progress(progress)) => on_progress(progress),
            Some(JobEvent::Done { report }) => outcome.report = Some(report),
            Some(JobEvent::Failed { error }) => outcome.error = Some(error),
            None => log::warn!("a job wrote a line that is not an event: {line}"),
        }
    }
    outcome
}

fn result(outcome: Outcome, status: ExitStatus) -> Result<Value> {
    match outcome.report.filter(|_| status.success()) {
        Some(report) => Ok(report),
        None => {
            Err(Fault::new(Kind::Unavailable, outcome.error.unwrap_or_else(|| format!("the process ended: {status}"))))
        }
    }
}

fn no_process(error: std::io::Error) -> Fault {
    Fault::new(Kind::Unavailable, "cannot start another process")
        .cause(error)
        .cure("check what else is running on this machine")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn progress_and_report_are_read_and_the_input_arrives() {
        let script = r#"read line; echo '{"event":"progress","what":"lines","done":1,"of":1}'
            echo noise; echo "{\"event\":\"done\",\"report\":\"$line\"}""#;
        let mut steps = Vec::new();
        let report = run_command(shell(script), Some(b"a feed\n"), &Token::new(), |step| steps.push(step));
        assert_eq!(report.unwrap(), json!("a feed"));
        assert_eq!(steps, [JobProgress { what: "lines".into(), done: 1, of: 1 }]);
    }

    #[test]
    fn a_failure_quotes_the_childs_error_or_its_exit_status() {
        let fault = |script| run_command(shell(script), None, &Token::new(), |_| ()).unwrap_err().to_string();
        assert!(fault(r#"echo '{"event":"failed","error":"no feed"}'; exit 3"#).contains("no feed"));
        assert!(fault("exit 4").contains("exit status: 4"));
        // A report does not count if the child fails afterwards.
        assert!(fault(r#"echo '{"event":"done","report":1}'; exit 5"#).contains("exit status: 5"));
    }

    #[test]
    fn a_child_is_killed_when_the_token_is_cancelled() {
        let token = Token::new();
        let script = r#"echo '{"event":"progress","what":"x","done":0,"of":1}'; exec sleep 600"#;
        let fault = run_command(shell(script), None, &token, |_| token.cancel()).unwrap_err();
        assert!(fault.to_string().contains("signal: 9"), "{fault}");
    }
}
