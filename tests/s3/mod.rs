//! An S3-compatible server (moto, from PyPI) of the test's own.

#![allow(dead_code)]

use crate::mirror::repository;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct S3 {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub endpoint: String,
    pub key: String,
    pub secret: String,
}

impl S3 {
    /// With an empty bucket `chain`. `None`, with a word, where there is no moto.
    pub fn start() -> Option<Self> {
        let mut child = Command::new("python3")
            .arg(repository("tests/s3/server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (input, mut output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let [port, key, secret] =
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().try_into().ok().or_else(|| {
                let _ = child.wait();
                eprintln!("skipped: no S3-compatible server is here; pip install 'moto[server]'");
                None
            })?;
        Some(S3 { child, input, output, endpoint: format!("http://127.0.0.1:{port}"), key, secret })
    }

    /// Tells the server one of its words.
    pub fn say(&mut self, word: &str) {
        writeln!(self.input, "{word}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
