//! Manifests and the files that they name, for mirrors that have joined: conditional, and from any byte on.

use super::{AskingMirror, Hub, ShopPath, Use, failed, refuse, refuse_stranger};
use crate::hub::database::database_fault;
use crate::hub::mirrors;
use crate::hub::publish::hash_in;
use crate::sync::manifest::OBJECTS;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use tokio::task::spawn_blocking;

/// Bytes that are read at once.
const PART: usize = 64 << 10;

/// The manifest of the release that this mirror is given.
pub async fn manifest(
    State(hub): State<Hub>,
    mirror: AskingMirror,
    Path(shop): ShopPath,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    if mirror.shop != shop {
        let why = format!("the mirror {} is another shop's", mirror.name);
        return refuse_stranger(&hub, &parts, StatusCode::FORBIDDEN, &why).await;
    }
    let known = parts.headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let has = known.and_then(|known| known.trim_matches('"').parse().ok()).unwrap_or(0);
    let number = async {
        let client = hub.client(Use::Short).await?;
        mirrors::release_for(&client, &shop, &mirror.name, has).await.map_err(database_fault)
    };
    let number = match number.await {
        Ok(Some(number)) => number,
        Ok(None) => return refuse(StatusCode::NOT_FOUND, "no release of this shop is published yet"),
        Err(fault) => return failed(&fault),
    };
    let etag = format!("\"{number}\"");
    if known == Some(etag.as_str()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response();
    }
    // The name is a shop's of the tables: it was compared with the mirror's.
    let path = hub.settings.releases.join(&shop).join(format!("release-{number}.json"));
    match spawn_blocking(move || std::fs::read(path)).await {
        Ok(Ok(bytes)) => ([(ETAG, etag), (CONTENT_TYPE, "application/json".into())], bytes).into_response(),
        _ => refuse(StatusCode::NOT_FOUND, "the release's manifest is not in the hub's folder"),
    }
}

/// A file of any shop: its name is its hash, and what a mirror does with it depends on a signed manifest.
pub async fn object(State(hub): State<Hub>, _: AskingMirror, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let none = || refuse(StatusCode::NOT_FOUND, "there is no such file");
    if hash_in(&name).is_none() {
        return none();
    }
    let path = hub.settings.releases.join(OBJECTS).join(&name);
    let opened = spawn_blocking(move || File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)))).await;
    let Ok(Ok((length, mut file))) = opened else { return none() };
    let from = headers.get(RANGE).and_then(|range| range.to_str().ok()).and_then(begin_of);
    let (status, from) = match from {
        None => (StatusCode::OK, 0),
        Some(from) if from < length => (StatusCode::PARTIAL_CONTENT, from),
        Some(_) => return refuse(StatusCode::RANGE_NOT_SATISFIABLE, "the file ends before that"),
    };
    if file.seek(SeekFrom::Start(from)).is_err() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "the file cannot be read");
    }
    let mut headers = vec![
        (CONTENT_TYPE, "application/zstd".to_owned()),
        (CONTENT_LENGTH, (length - from).to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
    ];
    if status == StatusCode::PARTIAL_CONTENT {
        headers.push((CONTENT_RANGE, format!("bytes {from}-{}/{length}", length - 1)));
    }
    let mut response = (status, Body::from_stream(stream::unfold(file, read_part))).into_response();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// `bytes=N-`: all from byte N on. Anything else is not asked by mirrors, and is answered with the whole file.
fn begin_of(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

async fn read_part(mut file: File) -> Option<(std::io::Result<Bytes>, File)> {
    let read = move || {
        let mut bytes = vec![0; PART];
        let count = file.read(&mut bytes)?;
        bytes.truncate(count);
        Ok::<_, std::io::Error>((bytes, file))
    };
    match spawn_blocking(read).await {
        Ok(Ok((bytes, file))) if !bytes.is_empty() => Some((Ok(Bytes::from(bytes)), file)),
        // A file that cannot be read further is cut off; the mirror notices by its length.
        _ => None,
    }
}
