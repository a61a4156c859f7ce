//! A web server for a folder that cuts connections off, forgets ranges, lies or refuses, as it is told.

#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Default)]
struct Behaviour {
    /// Files whose path begins so end after so many bytes.
    cut: Option<(String, usize)>,
    no_ranges: bool,
    lies: bool,
    refuses: bool,
    last_range: Option<u64>,
    not_modified: usize,
}

pub struct CuttingServer {
    address: String,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl CuttingServer {
    /// Serves until the test ends.
    pub fn start(root: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let behaviour = Arc::new(Mutex::new(Behaviour::default()));
        let shared = behaviour.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that has gone is no fault of the test.
                let _ = serve(stream, &root, &shared);
            }
        });
        CuttingServer { address, behaviour }
    }

    pub fn address(&self, shop: &str) -> String {
        format!("http://{}/{shop}", self.address)
    }

    /// Files whose path begins with `path` end after so many bytes of the file.
    pub fn cut(&self, path: &str, bytes: usize) {
        self.behaviour.lock().unwrap().cut = Some((path.to_owned(), bytes));
    }

    pub fn cut_nothing(&self) {
        self.behaviour.lock().unwrap().cut = None;
    }

    /// Ranges are not known; or they are, and other bytes are sent.
    pub fn behave(&self, lies: bool) {
        let mut behaviour = self.behaviour.lock().unwrap();
        (behaviour.lies, behaviour.no_ranges) = (lies, !lies);
    }

    pub fn honest(&self) {
        let mut behaviour = self.behaviour.lock().unwrap();
        (behaviour.lies, behaviour.no_ranges) = (false, false);
    }

    pub fn refuse(&self, refuses: bool) {
        self.behaviour.lock().unwrap().refuses = refuses;
    }

    /// Where the last request with a range began.
    pub fn last_range(&self) -> Option<u64> {
        self.behaviour.lock().unwrap().last_range
    }

    pub fn not_modified(&self) -> usize {
        self.behaviour.lock().unwrap().not_modified
    }
}

fn serve(mut stream: TcpStream, root: &Path, behaviour: &Mutex<Behaviour>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    let mut range = None;
    let mut known = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "range" => range = value.trim_start_matches("bytes=").trim_end_matches('-').parse::<u64>().ok(),
            "if-none-match" => known = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut behaviour = behaviour.lock().unwrap();
    behaviour.last_range = range;
    if behaviour.refuses {
        return write!(stream, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let Ok(bytes) = fs::read(root.join(&path)) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let is_object = path.starts_with("objects/");
    let etag = format!("\"{}\"", bytes.iter().fold(7u64, |all, byte| all.wrapping_mul(31) ^ u64::from(*byte)));
    if known.as_ref() == Some(&etag) && !is_object {
        behaviour.not_modified += 1;
        return write!(stream, "HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\nConnection: close\r\n\r\n");
    }
    let from = range.filter(|_| !behaviour.no_ranges).map_or(0, |from| from as usize).min(bytes.len());
    let cut = behaviour.cut.as_ref().filter(|(begin, _)| path.starts_with(begin)).map(|(_, bytes)| *bytes);
    let end = cut.unwrap_or(bytes.len()).clamp(from, bytes.len());
    let head = match from {
        0 => "200 OK\r\n".to_owned(),
        from => format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len()),
    };
    let length = bytes.len() - from;
    write!(stream, "HTTP/1.1 {head}ETag: {etag}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    let mut sent = bytes[from..end].to_vec();
    if behaviour.lies && from > 0 {
        sent.iter_mut().for_each(|byte| *byte ^= 0x55);
    }
    stream.write_all(&sent)
}
