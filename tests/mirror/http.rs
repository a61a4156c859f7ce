//! Plain HTTP requests to the mirror's page.

use super::Mirror;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The address in the log.
pub fn address(mirror: &mut Mirror) -> String {
    let words = "the mirror's page: http://";
    mirror.wait_for_log(words);
    let log = mirror.log();
    let rest = &log[log.find(words).unwrap() + words.len()..];
    rest.split('/').next().unwrap().to_owned()
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub fn connect(address: &str, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    // A server with too many clients may answer and close before it has read anything.
    let _ = write!(stream, "GET {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
    stream
}

pub fn get_with(address: &str, path: &str, headers: &str) -> Answer {
    answer(connect(address, path, headers))
}

pub fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: bytes[end + 4..].to_vec() }
}

pub fn get(address: &str, path: &str) -> Answer {
    get_with(address, path, "")
}

/// The value of a metric without labels.
pub fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Posts `body` as the page does, with additional headers.
pub fn post(address: &str, path: &str, headers: &str, body: &str) -> Answer {
    request(address, "POST", path, headers, body)
}

/// A request of any method with a body.
pub fn request(address: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    request_bytes(address, method, path, headers, body.as_bytes())
}

/// As [`request`], for a body that is no text.
pub fn request_bytes(address: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    // A server that refuses by the head alone may answer and close before it has read all.
    let _ = write!(stream, "{head}{headers}\r\n").and_then(|()| stream.write_all(body));
    answer(stream)
}
