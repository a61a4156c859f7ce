//! The events of shoppers as a stream (server-sent events): for a till, a sign, a program of the shop.

use super::App;
use crate::live::events::ShopperEvent;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use std::time::{Duration, Instant};

/// Readers at one time.
pub const READERS: usize = 8;
/// Events that wait for a reader that is slow.
const ROOM: usize = 64;
/// How often it is looked for events.
const PERIOD: Duration = Duration::from_millis(100);
/// A comment after so long without an event: the reader, and what lies between, know that the mirror is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Events as they happen, as server-sent events.
pub async fn stream(State(app): State<App>) -> Response {
    let Ok(place) = app.event_readers.clone().try_acquire_owned() else {
        let again = [(RETRY_AFTER, HeaderValue::from_static("10"))];
        return (StatusCode::SERVICE_UNAVAILABLE, again, "too many programs read the events\n").into_response();
    };
    let reader = app.links.events.subscribe(ROOM);
    // A first line at once, so that the reader knows that it is connected.
    let start = (app, reader, place, Some(Instant::now() - HEARTBEAT));
    // Ends when the reader leaves (the stream is dropped) and when the program stops.
    let parts = futures_util::stream::unfold(start, |(app, reader, place, mut said)| async move {
        loop {
            if app.token.is_cancelled() {
                return None;
            }
            let events: String = std::iter::from_fn(|| reader.take_now()).map(|event| text(&event)).collect();
            let quiet = said.is_none_or(|said| said.elapsed() >= HEARTBEAT);
            if !events.is_empty() || quiet {
                said = Some(Instant::now());
                let part = if events.is_empty() { ": here\n\n".to_owned() } else { events };
                return Some((Ok::<_, std::convert::Infallible>(part), (app, reader, place, said)));
            }
            tokio::time::sleep(PERIOD).await;
        }
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(parts)).into_response()
}

/// One event of the stream.
fn text(event: &ShopperEvent) -> String {
    format!("id: {}\nevent: {}\ndata: {}\n\n", event.number, event.what.kind().name(), event.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::events::Happening;

    #[test]
    fn an_event_is_three_lines_and_an_empty_one() {
        let event = ShopperEvent {
            number: 9,
            time: "2026-11-27T18:30:00Z".parse().unwrap(),
            what: Happening::PersonLeft { person: 2, seconds: 4.5 },
        };
        let expected = "id: 9\nevent: person_left\ndata: {\"number\":9,\"time\":\"2026-11-27T18:30:00Z\",\"event\":\"person_left\",\"person\":2,\"seconds\":4.5}\n\n";
        assert_eq!(text(&event), expected);
    }
}
