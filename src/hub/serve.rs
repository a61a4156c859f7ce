//! The hub over HTTP: releases for mirrors, their heartbeats, the search, and for operators the fleet's page and metrics.
//!
//! A mirror brings its own key, an operator a token that has a role.

mod access;
mod changes;
mod files;
mod fleet;
mod search;
mod worn;

use super::approximate::require_indexes;
use super::database::{Database, connect_client, database_fault};
use super::mirrors;
use super::search::HubSearch;
use super::tokens::OperatorRole;
use crate::fault::{Fault, Kind, Result};
use crate::network::Manifest;
use crate::shutdown::Signals;
use crate::sync::fleet::{Heartbeat, JoinRequest};
use access::{AskerAddress, AskingMirror, StrangerCount, refuse_stranger, require};
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use search::PictureEmbedder;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};
use tokio_postgres::Client;

/// A request's body is no longer, bytes: the embedding of a search.
const MOST_BODY: usize = 256 << 10;
/// Nor is a heartbeat: the fleet's page has those of all mirrors.
const MOST_HEARTBEAT: usize = 16 << 10;
/// Interval at which releases in roll-out are checked: the longest, and the shortest where the soak is shorter.
const ROLLOUT_ROUND: Duration = Duration::from_secs(10);
const ROLLOUT_PAUSE: Duration = Duration::from_secs(1);
/// Longer than any request but a download.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    pub database: String,
    /// Folder of releases.
    pub releases: PathBuf,
    pub listen: SocketAddr,
    /// Model folder, for the search and for pictures that operators search by.
    pub model: PathBuf,
    /// How long the mirrors that have a release must be well before more get it.
    pub soak: Duration,
    /// Search by the indexes of [`super::approximate`].
    pub hnsw: bool,
    /// Reverse proxies that are believed whom they are asked by.
    pub proxies: Vec<IpAddr>,
}

/// What the handlers share.
#[derive(Clone)]
struct Hub {
    settings: Arc<ServeSettings>,
    /// For short statements, and for searches: a search must not keep a heartbeat waiting.
    clients: Arc<[Mutex<Option<Arc<Client>>>; 2]>,
    search: Arc<HubSearch>,
    /// Searches read all descriptors: one at a time.
    searching: Arc<Semaphore>,
    embedder: Arc<PictureEmbedder>,
    strangers: Arc<std::sync::Mutex<StrangerCount>>,
}

/// Which of the two connections.
#[derive(Clone, Copy)]
enum Use {
    Short,
    Search,
}

/// Serves until SIGTERM.
///
/// # Errors
/// [`Kind::Busy`] where another program listens there.
pub fn run(settings: ServeSettings) -> Result<()> {
    let (runtime, client) = Database::open(&settings.database)?.into_parts();
    let manifest = Manifest::load(&settings.model)?;
    let mut search = HubSearch::new(&manifest);
    runtime.block_on(search.require_known(&client))?;
    if settings.hnsw {
        runtime.block_on(require_indexes(&client, &manifest))?;
        search = search.approximately(&manifest)?;
    }
    drop(client);
    let mut signals = Signals::take_over()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let hub = Hub {
        search: Arc::new(search),
        clients: Arc::default(),
        searching: Arc::new(Semaphore::new(1)),
        embedder: Arc::new(PictureEmbedder::new(settings.model.clone())),
        strangers: Arc::default(),
        settings: Arc::new(settings),
    };
    let listen = hub.settings.listen;
    let listener = runtime.block_on(TcpListener::bind(listen)).map_err(|error| {
        let kind = if error.kind() == std::io::ErrorKind::AddrInUse { Kind::Busy } else { Kind::Usage };
        Fault::new(kind, format!("cannot listen on {listen}")).cause(error).cure("give --listen another address")
    })?;
    let address = listener.local_addr().map_err(|error| Fault::new(Kind::Internal, "no address").cause(error))?;
    log::warn!("the hub: http://{address}/");
    thread::spawn(move || {
        while signals.wait(Duration::from_secs(3600)) != Some(crate::shutdown::Request::Stop) {}
        let _ = stop.send(());
    });
    let served = runtime.block_on(async move {
        tokio::spawn(roll_out(hub.clone()));
        let service = router(hub).into_make_service_with_connect_info::<SocketAddr>();
        tokio::select! {
            served = async { axum::serve(listener, service).await } => served,
            _ = stopped => Ok(()),
        }
    });
    runtime.shutdown_background();
    served.map_err(|error| Fault::new(Kind::Unavailable, "the server ended").cause(error))
}

fn router(hub: Hub) -> Router {
    let only = |role, routes: Router<Hub>| routes.route_layer(from_fn_with_state((hub.clone(), role), require));
    Router::new()
        .route("/releases/{shop}/release.json", get(files::manifest))
        .route("/releases/objects/{name}", get(files::object))
        .route("/api/join", post(join))
        .route("/api/heartbeat", post(heartbeat).layer(DefaultBodyLimit::max(MOST_HEARTBEAT)))
        .route("/page.css", get(fleet::style))
        .route("/healthz", get(health))
        .merge(only(OperatorRole::Reader, fleet::routes()))
        .merge(only(OperatorRole::Publisher, changes::of_publishers()))
        .merge(only(OperatorRole::Admin, changes::of_admins()))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .merge(search::routes())
        .merge(worn::routes())
        .with_state(hub)
}

impl Hub {
    /// An open connection; a new one where the old one has ended.
    async fn client(&self, purpose: Use) -> Result<Arc<Client>> {
        let mut place = self.clients[purpose as usize].lock().await;
        if let Some(client) = place.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = connect_client(&self.settings.database).await?;
        // No statement of a server goes on when its asker has left.
        let patience = format!("set statement_timeout = {}", PATIENCE.as_millis());
        client.batch_execute(&patience).await.map_err(database_fault)?;
        let client = Arc::new(client);
        *place = Some(client.clone());
        Ok(client)
    }
}

fn answer(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    answer(status, &json!({ "error": why }))
}

/// A fault is the hub's, not the client's: what it says stays in the log. But for values that came from the client.
fn failed(fault: &Fault) -> Response {
    if fault.kind() == Kind::Input {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the hub cannot hold a value: a text with a zero, or a number out of range",
        );
    }
    log::warn!("{fault}");
    refuse(StatusCode::SERVICE_UNAVAILABLE, "the hub cannot answer now")
}

async fn health(State(hub): State<Hub>) -> Response {
    let asked = async {
        let client = hub.client(Use::Short).await?;
        client.query_one("select 1", &[]).await.map_err(database_fault)
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => answer(StatusCode::OK, &json!({ "status": "running" })),
        Ok(Err(fault)) => failed(&fault),
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer"),
    }
}

async fn join(State(hub): State<Hub>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let read = to_bytes(body, MOST_BODY).await.ok();
    let Some(request) = read.and_then(|body| serde_json::from_slice::<JoinRequest>(&body).ok()) else {
        return refuse(StatusCode::BAD_REQUEST, "a code is missing");
    };
    let joined = async {
        let token = mirrors::random_hex::<32>()?;
        let client = hub.client(Use::Short).await?;
        let mirror = mirrors::join(&client, request.code.trim(), &token).await.map_err(database_fault)?;
        Ok(mirror.map(|mirror| json!({ "mirror": mirror, "token": token })))
    };
    match joined.await {
        Ok(Some(value)) => answer(StatusCode::OK, &value),
        Ok(None) => {
            refuse_stranger(&hub, &parts, StatusCode::FORBIDDEN, "the code is none, was used, or is too old").await
        }
        Err(fault) => failed(&fault),
    }
}

async fn heartbeat(
    State(hub): State<Hub>,
    AskerAddress(address): AskerAddress,
    mirror: AskingMirror,
    body: Bytes,
) -> Response {
    let Some(text) = serde_json::from_slice::<Heartbeat>(&body).ok().and_then(|beat| serde_json::to_string(&beat).ok())
    else {
        return refuse(StatusCode::BAD_REQUEST, "this is no heartbeat");
    };
    let kept = async {
        let client = hub.client(Use::Short).await?;
        let query = "update mirror set last_seen = now(), heartbeat = $2, address = $3 where name = $1";
        client.execute(query, &[&mirror.name, &text, &address.to_string()]).await.map_err(database_fault)
    };
    match kept.await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(fault) => failed(&fault),
    }
}

/// Looks after releases that not all mirrors get yet.
async fn roll_out(hub: Hub) {
    let pause = hub.settings.soak.clamp(ROLLOUT_PAUSE, ROLLOUT_ROUND);
    loop {
        tokio::time::sleep(pause).await;
        let advanced = async {
            let client = hub.client(Use::Short).await?;
            mirrors::advance(&client, hub.settings.soak).await.map_err(database_fault)
        };
        if let Err(fault) = advanced.await {
            log::warn!("{fault}");
        }
    }
}

/// The shop that an address names.
type ShopPath = Path<String>;
