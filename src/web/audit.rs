//! The audit log over HTTP: the owner reads it, and what comes over HTTP is written into it.

use super::answers::json_response;
use super::client::{ClientAddress, Role};
use super::{App, in_turn};
use crate::audit::{AuditAction, AuditLog, AuditNote};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The newest lines that the page shows.
const MOST: usize = 500;
/// The same action of one client within this time is one line.
const AGAIN: Duration = Duration::from_secs(600);
/// Clients that are remembered for that.
const MOST_CLIENTS: usize = 1000;

/// Who did what.
type ClientAction = (IpAddr, Option<Role>, AuditAction);

/// Writes what comes over HTTP into the audit log, each thing once in a while.
pub struct WebAudit {
    log: AuditLog,
    /// When each was last logged.
    written: Mutex<HashMap<ClientAction, Instant>>,
}

impl WebAudit {
    pub fn new(log: AuditLog) -> Self {
        WebAudit { log, written: Mutex::default() }
    }

    /// What may come many times a minute: logged once for each client and role in [`AGAIN`].
    pub fn seldom(self: &Arc<Self>, client: ClientAddress, role: Option<Role>, action: AuditAction) {
        let now = Instant::now();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let before = written.get(&(client.0, role, action));
        if before.is_some_and(|before| now.saturating_duration_since(*before) < AGAIN) {
            return;
        }
        if written.len() >= MOST_CLIENTS {
            written.retain(|_, then| now.saturating_duration_since(*then) < AGAIN);
        }
        if written.len() < MOST_CLIENTS {
            written.insert((client.0, role, action), now);
            drop(written);
            let audit = self.clone();
            // A slow disk must not delay the answer.
            tokio::task::spawn_blocking(move || audit.write(client, role, action, ""));
        }
    }

    /// Logs it each time, on the disk when it returns: not on a thread that serves. What changes something does both, the change and
    /// the line, before it answers, whether or not the client still waits.
    pub fn write(&self, client: ClientAddress, role: Option<Role>, action: AuditAction, detail: &str) {
        let who = role.map_or("unknown", Role::name);
        self.log.note(AuditNote { who, from: Some(client.0.to_string()), action, detail });
    }
}

/// The newest lines, the newest first. For the owner alone.
pub async fn lines(State(app): State<App>, headers: HeaderMap) -> Response {
    if app.guard.role(&headers) != Some(Role::Owner) {
        let words = "the audit log is for the owner: log in as vetrina";
        return json_response(StatusCode::FORBIDDEN, &json!({ "error": words }));
    }
    let log = app.audit.log.clone();
    match in_turn(&app.reading, move || log.read()).await {
        Some(Ok(reading)) => {
            let entries: Vec<Value> = reading
                .entries
                .iter()
                .rev()
                .take(MOST)
                .map(|entry| {
                    json!({
                        "time": entry.time, "who": entry.who, "from": entry.from, "action": entry.action,
                        "words": entry.action.words(), "detail": entry.detail,
                    })
                })
                .collect();
            json_response(StatusCode::OK, &json!({ "entries": entries, "broken": reading.broken }))
        }
        Some(Err(fault)) => json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": fault.to_string() })),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
