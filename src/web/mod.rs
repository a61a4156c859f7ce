//! The page for whoever looks after the mirror, and what monitoring asks: health, metrics, status. HTTP on this machine only, unless
//! a password is set.
//!
//! Everything here reads what [`crate::live`] says of itself. One thing is changed from here, and only with a password: the
//! catalogue, by a process of its own (`import`). Tokio lives here and nowhere else, on one thread.

mod answers;
mod api;
mod guard;
mod import;
mod metrics;
mod view;

use crate::fault::{Fault, Kind, Result};
use crate::live::Links;
use crate::shutdown::Token;
use crate::tail::Tail;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The user name that belongs to the password.
pub const USER: &str = "vetrina";

/// How long the server may take to end.
const FAREWELL: Duration = Duration::from_millis(300);

/// Where to listen, and for whom.
#[derive(Clone, Debug)]
pub struct WebSettings {
    pub listen: SocketAddr,
    /// `None`: whoever is on this machine.
    pub password: Option<String>,
    /// With it a program may change prices and stock; `None`: none may.
    pub token: Option<String>,
    /// Where the feeds and pictures lie that may be imported; `None`: nothing may.
    pub images: Option<PathBuf>,
    /// Model folder, for an import.
    pub model: PathBuf,
}

/// What the handlers read.
#[derive(Clone)]
struct App {
    links: Arc<Links>,
    guard: Arc<guard::Guard>,
    viewers: Arc<tokio::sync::Semaphore>,
    importer: Arc<import::Importer>,
    tail: Arc<Tail>,
    token: Token,
}

/// The running server. It ends when this is dropped.
pub struct Server {
    token: Token,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    importer: Arc<import::Importer>,
    address: SocketAddr,
}

impl Server {
    /// Binds the address and serves from a thread of its own.
    ///
    /// # Errors
    /// [`Kind::Busy`] where another program listens there.
    pub fn start(settings: &WebSettings, links: Arc<Links>, tail: Arc<Tail>) -> Result<Self> {
        let listener = bind(settings.listen)?;
        let fail = |error| Fault::new(Kind::Unavailable, "cannot start the web server").cause(error);
        let address = listener.local_addr().map_err(fail)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
        let token = Token::new();
        let importer = Arc::new(import::Importer::new(settings));
        let app = App {
            links,
            guard: Arc::new(guard::Guard::new(settings.password.as_deref(), settings.token.as_deref())),
            viewers: Arc::new(tokio::sync::Semaphore::new(view::VIEWERS)),
            importer: importer.clone(),
            tail,
            token: token.clone(),
        };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serve = move || {
            let served = runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let ended = async move { drop(stopped.await) };
                axum::serve(listener, router(app)).with_graceful_shutdown(ended).await
            });
            if let Err(error) = served {
                log::error!("the web server has ended: {error}");
            }
            runtime_ends(runtime);
        };
        let thread = Builder::new().name("web".into()).spawn(serve).map_err(fail)?;
        log::info!("the mirror's page: http://{address}/");
        Ok(Server { token, stop: Some(stop), thread: Some(thread), importer, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Work that still runs in the background, a picture being encoded say, is left behind.
fn runtime_ends(runtime: tokio::runtime::Runtime) {
    runtime.shutdown_background();
}

impl Drop for Server {
    fn drop(&mut self) {
        self.token.cancel();
        self.importer.stop();
        drop(self.stop.take());
        let deadline = Instant::now() + FAREWELL;
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| {
        let (kind, cure) = match error.kind() {
            ErrorKind::AddrInUse => (Kind::Busy, "another program listens there: set web.listen to another port"),
            ErrorKind::PermissionDenied => (Kind::Usage, "set web.listen to a port above 1023"),
            _ => (Kind::Usage, "set web.listen to an address of this machine"),
        };
        Fault::new(kind, format!("cannot listen on {address}")).cause(error).cure(cure)
    })
}

fn router(app: App) -> Router {
    Router::new()
        .route("/", get(view::page))
        .route("/page.css", get(view::style))
        .route("/page.js", get(view::script))
        .route("/healthz", get(answers::health))
        .route("/metrics", get(answers::metrics))
        .route("/status.json", get(answers::status))
        .route("/catalogue.json", get(answers::catalogue))
        .route("/log.json", get(answers::log))
        .route("/import.json", get(import::status))
        .route("/import", post(import::begin).layer(DefaultBodyLimit::max(import::MOST_BYTES)))
        .route("/frame.jpg", get(view::frame))
        .route("/live.mjpg", get(view::live))
        .merge(api::routes())
        .layer(from_fn_with_state(app.clone(), guard::check))
        .with_state(app)
}

impl App {
    fn catalogue(&self) -> PathBuf {
        self.links.catalogue()
    }
}
