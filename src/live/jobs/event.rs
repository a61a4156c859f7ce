//! Events that a child process writes to stdout with `--progress json`: one JSON object per line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One event, one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum JobEvent {
    Progress(JobProgress),
    /// The work is done. Contains its result.
    Done {
        report: Value,
    },
    /// The work failed. Contains the fault as one line.
    Failed {
        error: String,
    },
}

/// Progress of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    /// What is counted: "pictures recognized", or "engine 1 of 4, trunk in fp16" (then in hundredths).
    pub what: String,
    pub done: u64,
    pub of: u64,
}

impl JobEvent {
    /// The JSON line, without a newline.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// `None`: the line is not an event.
    pub fn from_line(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_round_trip() {
        let progress = JobProgress { what: "pictures recognized".into(), done: 12, of: 72 };
        let events = [
            JobEvent::Progress(progress),
            JobEvent::Done { report: json!({ "products": 3 }) },
            JobEvent::Failed { error: "cannot read \"a\nb\"".into() },
        ];
        let lines = events.each_ref().map(JobEvent::to_line);
        assert_eq!(lines[0], r#"{"event":"progress","what":"pictures recognized","done":12,"of":72}"#);
        for (event, line) in events.iter().zip(&lines) {
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(JobEvent::from_line(line).as_ref(), Some(event));
        }
        for line in ["", "12 of 72 pictures recognized", "{\"event\":\"lunch\"}", "[1]"] {
            assert_eq!(JobEvent::from_line(line), None, "{line}");
        }
    }
}
