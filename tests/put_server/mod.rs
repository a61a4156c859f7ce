//! A web server for a folder that takes PUT, MKCOL and DELETE as WebDAV has them, from those who know its password, and can refuse one file.

#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct PutServer {
    pub address: String,
    refused: Arc<Mutex<Option<&'static str>>>,
    puts: Arc<Mutex<Vec<String>>>,
}

impl PutServer {
    /// Serves until the test ends; who writes must bring the header `Authorization: {authorization}`.
    pub fn start(root: PathBuf, authorization: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = PutServer { address, refused: Arc::default(), puts: Arc::default() };
        let (refused, puts) = (server.refused.clone(), server.puts.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that has gone is no fault of the test.
                let _ = serve(stream, &root, authorization, &refused, &puts);
            }
        });
        server
    }

    /// Refuses to take a file of this name from now on; `None`: takes all.
    pub fn refuse(&self, name: Option<&'static str>) {
        *self.refused.lock().unwrap() = name;
    }

    /// The paths that were put since the last call.
    pub fn puts(&self) -> Vec<String> {
        std::mem::take(&mut self.puts.lock().unwrap())
    }
}

fn serve(
    mut stream: TcpStream,
    root: &Path,
    authorization: &str,
    refused: &Mutex<Option<&'static str>>,
    puts: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let (method, path) = line.split_once(' ').map(|(method, rest)| (method.to_owned(), rest.to_owned())).unwrap();
    let path = path.split(' ').next().unwrap().trim_start_matches('/').to_owned();
    let (mut length, mut may) = (0, false);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => may = value == authorization,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let file = root.join(&path);
    let (status, answer) = match method.as_str() {
        "GET" | "HEAD" => fs::read(&file).map_or(("404 Not Found", Vec::new()), |bytes| ("200 OK", bytes)),
        _ if !may => ("401 Unauthorized", Vec::new()),
        "PUT" if refused.lock().unwrap().is_some_and(|name| path.ends_with(name)) => ("403 Forbidden", Vec::new()),
        "PUT" if !file.parent().unwrap().is_dir() => ("409 Conflict", Vec::new()),
        "PUT" => {
            puts.lock().unwrap().push(path);
            fs::write(&file, body)?;
            ("201 Created", Vec::new())
        }
        "DELETE" => fs::remove_file(&file).map_or(("404 Not Found", Vec::new()), |()| ("204 No Content", Vec::new())),
        "MKCOL" => fs::create_dir(&file).map_or(("405 Not Allowed", Vec::new()), |()| ("201 Created", Vec::new())),
        _ => ("405 Not Allowed", Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len())?;
    if method == "GET" { stream.write_all(&answer) } else { Ok(()) }
}
