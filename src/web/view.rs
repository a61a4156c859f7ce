//! The endpoints for people: the page, and the camera's current picture.

use super::blur::blurred;
use super::client::ClientAddress;
use super::{App, LiveView, in_turn, texts};
use crate::audit::AuditAction;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::time::{Duration, Instant};

/// Viewers of the live picture at one time.
pub const VIEWERS: usize = 3;
/// Between two pictures for a viewer: enough to see what the camera sees.
const PERIOD: Duration = Duration::from_millis(200);
pub const QUALITY: u8 = 75;

/// The operator's page.
pub async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    texts::page(&app, &headers, include_str!("page.html"))
}

/// Its style, which the other pages use too.
pub async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page.css")).into_response()
}

/// What the scripts of all pages share.
pub async fn shared_script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("shared.js")).into_response()
}

/// Its script.
pub async fn script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js")).into_response()
}

/// The page's icon. Browsers ask for `/favicon.ico` where no page names one.
pub async fn icon() -> Response {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("icon.svg")).into_response()
}

/// The picture is not for this page.
const OFF: &str = "the live view is off: privacy.live_view says who may see it\n";

/// Who sees the picture is logged.
fn note_look(app: &App, client: ClientAddress, headers: &HeaderMap) {
    app.audit.seldom(client, app.guard.role(headers), AuditAction::LiveView);
}

/// The newest picture.
pub async fn frame(
    State(app): State<App>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Response {
    if app.live_view == LiveView::Off {
        return (StatusCode::FORBIDDEN, OFF).into_response();
    }
    match newest(&app).await {
        Some(jpeg) => {
            note_look(&app, client, &headers);
            ([(CONTENT_TYPE, "image/jpeg")], jpeg).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "there is no picture\n").into_response(),
    }
}

/// The newest picture again and again, as a stream that browsers show in an `img`.
pub async fn live(State(app): State<App>, Extension(client): Extension<ClientAddress>, headers: HeaderMap) -> Response {
    if app.live_view == LiveView::Off {
        return (StatusCode::FORBIDDEN, OFF).into_response();
    }
    let Some(viewer) = app.viewers.admit(Instant::now()) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many viewers are watching\n").into_response();
    };
    note_look(&app, client, &headers);
    // Ends when the viewer leaves (the stream is dropped), when another viewer got its place, and when the program stops.
    let parts = futures_util::stream::unfold((app, viewer, 0), |(app, viewer, shown)| async move {
        loop {
            tokio::time::sleep(PERIOD).await;
            if app.token.is_cancelled() || !viewer.asks(Instant::now()) {
                return None;
            }
            let count = app.links.status.frames.get();
            if count == shown {
                continue;
            }
            if let Some(jpeg) = newest(&app).await {
                let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
                let part = [head.as_bytes(), &jpeg, b"\r\n"].concat();
                return Some((Ok::<_, std::convert::Infallible>(part), (app, viewer, count)));
            }
        }
    });
    ([(CONTENT_TYPE, "multipart/x-mixed-replace; boundary=frame")], Body::from_stream(parts)).into_response()
}

/// Encoded off the thread that serves, and one picture at a time: many requests must not take the processor from the mirror.
async fn newest(app: &App) -> Option<Vec<u8>> {
    let (links, view) = (app.links.clone(), app.live_view);
    let encode = move || {
        let picture = links.status.newest_picture.get()?;
        match view {
            LiveView::Full => picture.jpeg(QUALITY),
            LiveView::Blurred => blurred(&picture).jpeg(QUALITY),
            LiveView::Off => None,
        }
    };
    in_turn(&app.encoding, encode).await?
}
