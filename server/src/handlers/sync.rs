//! `GET /db/sync` and `POST /sync`: what changed since a position.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use litevfs::types::{DbName, ParseError, Pos};
use serde::{Deserialize, Serialize};

use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::store::{Changes, Reading};
use crate::wire::{ChangesBody, PosBody};

/// The most databases a request may ask for.
const MAX_DATABASES: usize = 1000;
/// The longest request body, in bytes.
const MAX_BODY: usize = 1 << 20;
/// The longest wait for a request body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn one(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Json<ChangesBody>, ApiError> {
    let since = access.pos()?.unwrap_or(Pos::EMPTY);
    let changes = match app.store.fresh(&access.key(Permission::Read)?).await? {
        Some(database) => database.changes(since).await?,
        // What is cached of a database that is gone must go too.
        None if since == Pos::EMPTY => (Pos::EMPTY, Changes::Nothing),
        None => (Pos::EMPTY, Changes::All),
    };
    Ok(Json(ChangesBody::new(changes.0, changes.1)))
}

#[derive(Deserialize)]
struct SeveralRequest {
    positions: BTreeMap<String, Option<PosBody>>,
}

#[derive(Serialize)]
pub(crate) struct SeveralBody {
    changes: BTreeMap<String, ChangesBody>,
}

pub(crate) async fn several(
    State(app): State<Arc<App>>,
    access: Access,
    body: Body,
) -> Result<Json<SeveralBody>, ApiError> {
    let mut asked = BTreeMap::new();
    for (name, pos) in read_request(body).await?.positions {
        let since = pos.map(Pos::try_from).transpose().map_err(|error: ParseError| {
            ApiError::bad_input(format!("the position of {name:?}: {error}"))
        })?;
        let db: DbName = name.parse().map_err(|error: ParseError| {
            ApiError::new(StatusCode::BAD_REQUEST, "EBADDB", error.to_string())
        })?;
        if access.reaches(&db) {
            asked.insert(db, since.unwrap_or(Pos::EMPTY));
        }
    }
    let found = app.store.read_together(&access.cluster, &asked).await?;
    let told = |(db, pos, changes): Reading| (db.to_string(), ChangesBody::new(pos, changes));
    Ok(Json(SeveralBody { changes: found.into_iter().map(told).collect() }))
}

async fn read_request(body: Body) -> Result<SeveralRequest, ApiError> {
    let too_slow = |_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "EBADINPUT", "the body is late");
    let bytes = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await;
    let bytes = bytes.map_err(too_slow)?.map_err(|error| {
        ApiError::bad_input(format!("the body could not be read, or has over 1 MiB: {error}"))
    })?;
    let request: SeveralRequest = serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::bad_input(format!("the body is not {{\"positions\":{{NAME:POS}}}}: {error}"))
    })?;
    if request.positions.len() > MAX_DATABASES {
        let text = format!("at most {MAX_DATABASES} databases a request: ask in several");
        return Err(ApiError::bad_input(text));
    }
    Ok(request)
}
