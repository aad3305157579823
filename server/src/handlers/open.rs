//! `GET /db/open`: what a client needs that opens a database, in one answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use litevfs::ltx::END_OF_PAGES;
use litevfs::types::Pos;

use super::page::{FRAMES, accepts_frames};
use super::{current, from_pos, pieces};
use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::store::{Error, MAX_OPENING_BYTES};
use crate::wire::ChangesBody;

/// Bytes of page frames in the answer, if the client does not say.
const DEFAULT_BYTES: usize = 64 << 10;

pub(crate) async fn open(
    State(app): State<Arc<App>>,
    access: Access,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = access.key(Permission::Read)?;
    let since = access.pos()?.unwrap_or(Pos::EMPTY);
    let max_bytes = match access.parameter("max_bytes") {
        None => DEFAULT_BYTES,
        Some(text) => {
            let bytes: u64 = text.parse().map_err(|_| {
                ApiError::bad_input("max_bytes is a number of bytes, up to 1048576")
            })?;
            usize::try_from(bytes).unwrap_or(usize::MAX).min(MAX_OPENING_BYTES)
        }
    };
    if !accepts_frames(&headers) {
        let text = format!("this call answers with page frames only: send Accept: {FRAMES}");
        return Err(ApiError::bad_input(text));
    }
    let database = current(&app, &key).await?;
    let (pos, changes, frames) = match app.store.open_for(&database, since, max_bytes).await {
        // This server is far behind what others did.
        Err(Error::Replaced | Error::NotHeld(_)) => {
            app.store.open_for(&current(&app, &key).await?, since, max_bytes).await?
        }
        opened => opened?,
    };
    app.metrics.pages_served(frames.len() as u64);
    let body = body(&ChangesBody::new(pos, changes), frames)?;
    let headers = [(CONTENT_TYPE, FRAMES.to_owned()), (VARY, ACCEPT.to_string())];
    Ok((headers, from_pos(pos), body).into_response())
}

/// The length of the JSON, the JSON, the frames, the end mark.
fn body(changes: &ChangesBody, frames: Vec<Bytes>) -> Result<Body, std::io::Error> {
    let json = serde_json::to_vec(changes)?;
    let len = u32::try_from(json.len()).map_err(std::io::Error::other)?;
    let mut parts = vec![Bytes::copy_from_slice(&len.to_be_bytes()), json.into()];
    parts.extend(frames);
    parts.push(Bytes::from_static(&END_OF_PAGES));
    Ok(pieces::body(parts))
}
