//! What people look at: the page, and the camera's picture as it is now.

use super::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// Who watches the live picture at one time.
pub const VIEWERS: usize = 3;
/// Pictures a second for a viewer: to see what the camera sees, not more.
const PERIOD: Duration = Duration::from_millis(200);
const QUALITY: u8 = 75;

pub async fn page() -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], include_str!("page.html")).into_response()
}

pub async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page.css")).into_response()
}

pub async fn script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js")).into_response()
}

/// The newest picture.
pub async fn frame(State(app): State<App>) -> Response {
    match newest(&app).await {
        Some(jpeg) => ([(CONTENT_TYPE, "image/jpeg")], jpeg).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "there is no picture\n").into_response(),
    }
}

/// The newest picture again and again, as browsers show it in an `img`.
pub async fn live(State(app): State<App>) -> Response {
    let Ok(place) = app.viewers.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many are watching\n").into_response();
    };
    // Ends when the viewer goes, for then the stream is dropped, or when the program does.
    let parts = futures_util::stream::unfold((app, place, 0), |(app, place, shown)| async move {
        loop {
            tokio::time::sleep(PERIOD).await;
            if app.token.is_cancelled() {
                return None;
            }
            let count = app.links.status.frames.get();
            if count == shown {
                continue;
            }
            if let Some(jpeg) = newest(&app).await {
                let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
                let part = [head.as_bytes(), &jpeg, b"\r\n"].concat();
                return Some((Ok::<_, std::convert::Infallible>(part), (app, place, count)));
            }
        }
    });
    ([(CONTENT_TYPE, "multipart/x-mixed-replace; boundary=frame")], Body::from_stream(parts)).into_response()
}

/// Encoded away from the thread that serves.
async fn newest(app: &App) -> Option<Vec<u8>> {
    let picture = app.links.status.newest_picture.get()?;
    tokio::task::spawn_blocking(move || picture.jpeg(QUALITY)).await.ok()?
}
