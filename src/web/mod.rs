//! The page for the shop's staff, and the endpoints for monitoring: health, metrics, status. Only this machine is answered, unless a
//! password is set.
//!
//! Everything here reads the status of [`crate::live`]. One thing is changed from here, and only with a password: the catalogue, by
//! a child process (`import`). Tokio is used here and nowhere else, on one thread.

mod answers;
mod api;
mod audit;
mod blur;
mod client;
mod connections;
mod events;
mod guard;
mod import;
mod match_picture;
mod metrics;
mod staff;
mod stats;
mod texts;
mod upload;
mod view;
mod viewers;

use crate::audit::{AuditAction, AuditLog, AuditNote};
use crate::events::counts::CountSettings;
use crate::fault::{Fault, Kind, Result};
use crate::live::Links;
use crate::machine;
use crate::shutdown::Token;
use crate::tail::Tail;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Extension, Router};
use client::ClientAddress;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// The user name that goes with the password.
pub const USER: &str = "vetrina";

/// That of the staff, who have a password of their own.
pub const STAFF: &str = "staff";

/// How long the server may take to stop.
const FAREWELL: Duration = Duration::from_millis(300);

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 128;
/// What the system buffers of a response for a client that reads slowly, bytes. Its default grows to megabytes.
const SEND_BUFFER: u32 = 128 << 10;
/// Threads for pictures, searches and files.
const HELPERS: usize = 4;

/// Where to listen, and what may be changed from the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    pub listen: SocketAddr,
    /// `None`: only this machine is answered.
    pub password: Option<String>,
    /// The staff's; `None`: they have none of their own.
    pub staff_password: Option<String>,
    /// A program that sends it may change prices and stock; `None`: none may.
    pub token: Option<String>,
    pub live_view: LiveView,
    /// The page for staff shows crops of the last garments.
    pub staff_crops: bool,
    /// Staff may ask the hub which other shops sell a garment.
    pub other_shops: bool,
    /// Where the counts are; `None`: nothing is counted.
    pub counts: Option<CountSettings>,
    pub audit: AuditLog,
    /// The folder of feeds and pictures that may be imported; `None`: none may.
    pub images: Option<PathBuf>,
    /// Model folder, for an import.
    pub model: PathBuf,
    /// The mirror's configuration, for an import.
    pub config: PathBuf,
    /// The largest part of the products that an import may remove, percent.
    pub max_removals: u32,
}

/// How the page shows the camera's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LiveView {
    Off,
    /// So coarse that nobody can be recognized.
    Blurred,
    Full,
}

/// What the handlers share.
#[derive(Clone)]
struct App {
    links: Arc<Links>,
    guard: Arc<guard::Guard>,
    connections: Arc<connections::Connections>,
    viewers: Arc<viewers::Viewers>,
    /// See [`in_turn`]: pictures are encoded.
    encoding: Arc<Semaphore>,
    /// The catalogue and the folder of feeds are read.
    reading: Arc<Semaphore>,
    importer: Arc<import::Importer>,
    /// The hub is asked: one question at a time, which keeps no other request waiting.
    asking_hub: Arc<Semaphore>,
    other_shops: bool,
    /// A place for each reader of the events.
    event_readers: Arc<Semaphore>,
    counts: Option<CountSettings>,
    live_view: LiveView,
    audit: Arc<audit::WebAudit>,
    picture_matching: Arc<match_picture::PictureMatching>,
    tail: Arc<Tail>,
    token: Token,
}

/// The running server. It stops when this is dropped.
pub struct Server {
    token: Token,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    importer: Arc<import::Importer>,
    address: SocketAddr,
}

impl Server {
    /// Binds the address and serves on a thread of its own, at a lower priority than the mirror's stages.
    ///
    /// # Errors
    /// [`Kind::Busy`] where another program listens there.
    pub fn start(settings: &WebSettings, links: Arc<Links>, tail: Arc<Tail>) -> Result<Self> {
        let fail = |error| Fault::new(Kind::Unavailable, "cannot start the web server").cause(error);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        // The blocking threads inherit the priority of the thread that serves.
        let runtime = runtime.enable_all().max_blocking_threads(HELPERS).build().map_err(fail)?;
        let listener = bind(settings.listen, &runtime)?;
        let address = listener.local_addr().map_err(fail)?;
        let limits = connections::Limits::of(machine::descriptors());
        let app = App::new(settings, links, tail, limits.connections);
        let (token, importer) = (app.token.clone(), app.importer.clone());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serve = move || {
            machine::step_back();
            let connections = app.connections.clone();
            let ended = async move { drop(stopped.await) };
            runtime.block_on(connections::serve(listener, router(app), limits, connections, ended));
            // Background work that still runs, such as encoding a picture, is not waited for.
            runtime.shutdown_background();
        };
        let thread = Builder::new().name("web".into()).spawn(serve).map_err(fail)?;
        log::info!("the mirror's page: http://{address}/");
        let start =
            AuditNote { who: "mirror", from: None, action: AuditAction::Start, detail: &shown_settings(settings) };
        settings.audit.note(start);
        Ok(Server { token, stop: Some(stop), thread: Some(thread), importer, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
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

/// Runs `work` outside the serving thread, one piece of its kind at a time, even if the clients that asked for it have left:
/// many requests must not take the processor from the mirror. `None` where it panicked.
async fn in_turn<T: Send + 'static>(turn: &Arc<Semaphore>, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let turn = turn.clone().acquire_owned().await.ok()?;
    let work = move || {
        let result = work();
        drop(turn);
        result
    };
    tokio::task::spawn_blocking(work).await.ok()
}

/// Whether the page would answer a request with these headers. For the fuzzer: nothing that comes over the network may panic here.
pub fn admits(password: Option<&str>, headers: &HeaderMap) -> bool {
    guard::Guard::new(password, None).admits(headers)
}

/// `POST /api/match` without a network, for the fuzzer: whatever comes, it is answered.
pub struct MatchRoute {
    runtime: Runtime,
    router: Router,
}

impl MatchRoute {
    /// The route of a mirror with these settings.
    pub fn new(settings: &WebSettings, links: Links) -> Result<Self> {
        let fail = |error| Fault::new(Kind::Unavailable, "cannot start the route").cause(error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
        let app = App::new(settings, Arc::new(links), Arc::default(), 1);
        let router = match_picture::routes().layer(from_fn_with_state(app.clone(), guard::check)).with_state(app);
        Ok(MatchRoute { runtime, router: router.layer(Extension(ClientAddress(Ipv4Addr::LOCALHOST.into()))) })
    }

    /// Status and body of the answer, which is not long.
    pub fn answer(&self, request: Request) -> (StatusCode, Bytes) {
        self.runtime.block_on(async {
            let response = connections::answer(&self.router, request).await;
            let status = response.status();
            (status, to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default())
        })
    }
}

/// What the audit log says of a start: how much can be seen from elsewhere.
fn shown_settings(settings: &WebSettings) -> String {
    let view = match settings.live_view {
        LiveView::Off => "off",
        LiveView::Blurred => "blurred",
        LiveView::Full => "full",
    };
    let crops = if settings.staff_crops { ", staff crops" } else { "" };
    format!("page at {}, live view {view}{crops}", settings.listen)
}

fn bind(address: SocketAddr, runtime: &Runtime) -> Result<TcpListener> {
    let _within = runtime.enter();
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit it.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| {
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
        .route("/shared.js", get(view::shared_script))
        .route("/texts.js", get(texts::script))
        .route("/page.js", get(view::script))
        .route("/icon.svg", get(view::icon))
        .route("/favicon.ico", get(view::icon))
        .route("/healthz", get(answers::health))
        .route("/metrics", get(answers::metrics))
        .route("/status.json", get(answers::status))
        .route("/catalogue.json", get(answers::catalogue))
        .route("/log.json", get(answers::log))
        .route("/import.json", get(import::status))
        .route("/import", post(import::begin))
        .route("/import/pictures", post(import::pictures))
        .route("/import/apply", post(import::apply))
        .route("/import/cancel", post(import::cancel))
        .route("/frame.jpg", get(view::frame))
        .route("/live.mjpg", get(view::live))
        .route("/stats", get(stats::page))
        .route("/stats.css", get(stats::style))
        .route("/stats.js", get(stats::script))
        .route("/audit.json", get(audit::lines))
        .route("/api/stats", get(stats::counts))
        .route("/api/events", get(events::stream))
        .merge(match_picture::routes())
        .merge(api::routes())
        .merge(staff::routes())
        .layer(from_fn_with_state(app.clone(), guard::check))
        .with_state(app)
}

impl App {
    fn new(settings: &WebSettings, links: Arc<Links>, tail: Arc<Tail>, most: usize) -> Self {
        let guard = guard::Guard::new(settings.password.as_deref(), settings.token.as_deref())
            .with_staff(settings.staff_password.as_deref());
        App {
            links,
            guard: Arc::new(guard),
            connections: Arc::new(connections::Connections::new(most)),
            viewers: Arc::new(viewers::Viewers::new(view::VIEWERS)),
            encoding: Arc::new(Semaphore::new(1)),
            reading: Arc::new(Semaphore::new(1)),
            importer: Arc::new(import::Importer::new(settings)),
            asking_hub: Arc::new(Semaphore::new(1)),
            other_shops: settings.other_shops,
            event_readers: Arc::new(Semaphore::new(events::READERS)),
            counts: settings.counts.clone(),
            live_view: settings.live_view,
            audit: Arc::new(audit::WebAudit::new(settings.audit.clone())),
            picture_matching: Arc::new(match_picture::PictureMatching::new(settings.model.clone())),
            tail,
            token: Token::new(),
        }
    }

    fn catalogue(&self) -> PathBuf {
        self.links.catalogue()
    }
}
