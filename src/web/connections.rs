//! Connections: how many are open at a time, from where, and when a slow client is disconnected. No client can use up the file
//! descriptors that the mirror needs for its files, camera and screen.

use super::client::ClientAddress;
use axum::extract::Request;
use axum::response::Response;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::future::Future;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutWriter;

/// Descriptors that are reserved for camera, screen, model and catalogue, for an import's pipes and for refusals.
const KEPT_BACK: u64 = 160;
/// The longest request head that is accepted, bytes.
const LONGEST_HEAD: usize = 16 << 10;
/// Refused clients whose request is still read, for a while: closing a socket with unread bytes would discard the answer.
const REFUSED: usize = 16;
const REFUSED_FOR: Duration = Duration::from_secs(1);
/// The answer to a client beyond the limits.
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 47\r\n\
    Retry-After: 10\r\nConnection: close\r\n\r\nthe mirror has too many connections: try again\n";
/// Time until the next try where the system has no descriptor or memory for a connection.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);
/// Refusals are logged once in this time.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections at a time. A quarter of them is reserved for this machine, and one other machine gets a quarter at most.
    pub connections: usize,
    /// Within this time after the connection was opened, or after its last response, a complete request head must have arrived.
    pub head: Duration,
    /// A client that reads nothing of its response for this long is disconnected.
    pub write: Duration,
    /// Requests that are being answered when the server stops get this long.
    pub farewell: Duration,
}

impl Limits {
    /// For a process that may open this many descriptors.
    pub fn of(descriptors: u64) -> Self {
        Limits {
            connections: descriptors.saturating_sub(KEPT_BACK).clamp(4, 64) as usize,
            head: Duration::from_secs(10),
            write: Duration::from_secs(10),
            farewell: Duration::from_millis(250),
        }
    }
}

/// The open connections.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    state: Mutex<Occupancy>,
}

#[derive(Debug, Default)]
struct Occupancy {
    by_machine: HashMap<IpAddr, usize>,
    refused: u64,
    logged: Option<Instant>,
}

impl Connections {
    /// At most `most` connections at a time.
    pub fn new(most: usize) -> Self {
        Connections { most, state: Mutex::default() }
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.lock().by_machine.values().sum()
    }

    /// Connections that were refused since the start.
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    /// `None` beyond the limits.
    fn admit(self: &Arc<Self>, client: IpAddr) -> Option<ConnectionPermit> {
        let machine = machine(client);
        let mut state = self.lock();
        if !self.has_room(&state.by_machine, machine) {
            state.refused += 1;
            return None;
        }
        *state.by_machine.entry(machine).or_default() += 1;
        Some(ConnectionPermit { connections: self.clone(), machine })
    }

    fn has_room(&self, by_machine: &HashMap<IpAddr, usize>, machine: IpAddr) -> bool {
        let (all, share): (usize, usize) = (by_machine.values().sum(), self.most / 4);
        if machine.is_loopback() {
            return all < self.most;
        }
        let own: usize = by_machine.iter().filter(|(machine, _)| machine.is_loopback()).map(|(_, count)| count).sum();
        let here = by_machine.get(&machine).copied().unwrap_or(0);
        all < self.most && all - own < self.most - share && here < share
    }

    /// Logs that clients are refused, but not each time.
    fn log_refusal(&self) {
        let mut state = self.lock();
        if state.logged.is_none_or(|logged| logged.elapsed() > SAY_AGAIN) {
            state.logged = Some(Instant::now());
            let open: usize = state.by_machine.values().sum();
            log::warn!("the page refuses connections: {open} of at most {} are open", self.most);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Occupancy> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands for the machine of an address: of IPv6, one machine may use a whole /64.
fn machine(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

/// Held by an open connection, and counted until it is dropped.
#[derive(Debug)]
struct ConnectionPermit {
    connections: Arc<Connections>,
    machine: IpAddr,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut state = self.connections.lock();
        if let Some(count) = state.by_machine.get_mut(&self.machine) {
            *count -= 1;
            if *count == 0 {
                state.by_machine.remove(&self.machine);
            }
        }
    }
}

/// Serves until `stopped`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    connections: Arc<Connections>,
    stopped: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let refused = Arc::new(Semaphore::new(REFUSED));
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => break,
        };
        match accepted {
            Ok((stream, client)) => match connections.admit(client.ip()) {
                Some(place) => begin(stream, place, &router, limits, &graceful),
                None => {
                    connections.log_refusal();
                    refuse(stream, &refused);
                }
            },
            Err(error) => accept_failed(&error).await,
        }
    }
    drop(listener);
    // Connections that take longer are dropped with the runtime.
    let _ = timeout(limits.farewell, graceful.shutdown()).await;
}

fn begin(stream: TcpStream, place: ConnectionPermit, router: &Router, limits: Limits, graceful: &GracefulShutdown) {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(limits.write));
    let client = ClientAddress(place.machine);
    let service = TowerToHyperService::new(router.clone().layer(Extension(client)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        // A broken connection is no fault of the mirror.
        let _ = connection.await;
        drop(place);
    });
}

/// The answer to one request, without a connection.
pub async fn answer(router: &Router, request: Request) -> Response {
    let Ok(response) = TowerToHyperService::new(router.clone()).call(request).await;
    response
}

/// Sends [`REFUSAL`] without waiting for the client.
fn refuse(stream: TcpStream, refused: &Arc<Semaphore>) {
    let Ok(mut stream) = stream.into_std() else { return };
    // The socket does not block, and the send buffer of a new connection has room for this.
    let told = stream.write_all(REFUSAL).and_then(|()| stream.shutdown(Shutdown::Write));
    let (Ok(()), Ok(place)) = (told, refused.clone().try_acquire_owned()) else { return };
    let Ok(mut stream) = TcpStream::from_std(stream) else { return };
    tokio::spawn(async move {
        let mut unread = [0; 1024];
        let read = async { while stream.read(&mut unread).await.is_ok_and(|count| count > 0) {} };
        let _ = timeout(REFUSED_FOR, read).await;
        drop(place);
    });
}

async fn accept_failed(error: &std::io::Error) {
    let by_the_client = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset];
    if !by_the_client.contains(&error.kind()) {
        log::error!("the page cannot take a connection: {error}");
        sleep(ACCEPT_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use std::convert::Infallible;
    use std::io::Read;
    use std::net::{SocketAddr, TcpStream as Client};

    const PATIENCE: Duration = Duration::from_secs(60);
    const BRIEF: Duration = Duration::from_millis(100);

    #[test]
    fn limits_leave_descriptors_to_the_mirror() {
        assert_eq!([100, 200, 224, 1024, 4096].map(|all| Limits::of(all).connections), [4, 40, 64, 64, 64]);
    }

    fn admit(connections: &Arc<Connections>, client: &str, count: usize) -> Vec<ConnectionPermit> {
        (0..count).map_while(|_| connections.admit(client.parse().unwrap())).collect()
    }

    #[test]
    fn no_other_machine_takes_every_place_and_this_one_always_has_some() {
        let connections = Arc::new(Connections::new(64));
        let one = admit(&connections, "192.0.2.1", 100);
        assert_eq!(one.len(), 16);
        let many: Vec<_> = (2..100).flat_map(|n| admit(&connections, &format!("192.0.2.{n}"), 100)).collect();
        assert_eq!(many.len(), 32, "a quarter is for this machine");
        let own = admit(&connections, "127.0.0.1", 100);
        assert_eq!((own.len(), connections.open()), (16, 64));
        assert_eq!(connections.refused(), 1 + 2 + 96 + 1);
        drop(many);
        assert_eq!(admit(&connections, "::ffff:192.0.2.1", 1).len(), 0, "the same machine by another name");
        drop(one);
        let neighbours: Vec<_> = (0..40).flat_map(|n| admit(&connections, &format!("2001:db8:0:1::{n}"), 1)).collect();
        assert_eq!(neighbours.len(), 16, "one machine has a whole /64");
        drop((neighbours, own));
        assert_eq!(connections.open(), 0);
    }

    /// A server with these limits; it ends with the test's process.
    fn server(connections: usize, head: Duration, write: Duration) -> (SocketAddr, Arc<Connections>) {
        let limits = Limits { connections, head, write, farewell: BRIEF };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Connections::new(connections));
        let blocks = || futures_util::stream::repeat_with(|| Ok::<_, Infallible>(vec![7u8; 1 << 16]));
        let endless = move || async move { Body::from_stream(blocks()) };
        let router = Router::new().route("/", get(|| async { "here" })).route("/endless", get(endless));
        let counted = connections.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                serve(listener, router, limits, connections, std::future::pending()).await;
            });
        });
        (address, counted)
    }

    fn client(address: SocketAddr, request: &str) -> Client {
        let mut client = Client::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client
    }

    fn read_all(mut client: Client) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn half_a_request_and_an_idle_connection_are_closed_and_so_is_silence() {
        let (address, connections) = server(8, BRIEF, PATIENCE);
        assert_eq!(read_all(client(address, "")), "");
        assert_eq!(read_all(client(address, "GET / HTTP/1.1\r\nHost: localhost\r\nX-a: ")), "");
        let text = read_all(client(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("here"), "{text}");
        let endless = format!("GET / HTTP/1.1\r\nX-a: {}\r\n\r\n", "a".repeat(LONGEST_HEAD));
        assert!(read_all(client(address, &endless)).starts_with("HTTP/1.1 431"));
        wait_until(|| connections.open() == 0);
    }

    fn wait_until(so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !so() {
            assert!(Instant::now() < deadline, "waited in vain");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_client_that_never_reads_is_given_up_and_one_that_does_is_not() {
        // Longer than a busy machine keeps the reader from reading.
        let (address, connections) = server(8, PATIENCE, Duration::from_secs(2));
        let request = "GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let mut reader = client(address, request);
        let stuck: Vec<Client> = (0..7).map(|_| client(address, request)).collect();
        let mut block = vec![0; 1 << 16];
        // For far longer than the time-out.
        wait_until(|| {
            (&reader).read_exact(&mut block.clone()).unwrap();
            connections.open() == 1
        });
        reader.read_exact(&mut block).unwrap();
        drop(stuck);
    }

    #[test]
    fn beyond_the_limit_a_client_is_told_so_until_a_place_is_free() {
        let (address, connections) = server(4, PATIENCE, PATIENCE);
        let mut held: Vec<Client> = (0..4).map(|_| client(address, "")).collect();
        wait_until(|| connections.open() == 4);
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        for _ in 0..2 * REFUSED {
            let text = read_all(client(address, request));
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 503"), "{text}");
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
        }
        held.pop();
        wait_until(|| connections.open() == 3);
        assert!(read_all(client(address, request)).ends_with("here"));
    }
}
