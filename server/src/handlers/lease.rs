//! `POST /lease` and `DELETE /lease`: the right to write.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use litevfs::types::{CommitId, Pos};
use serde::Serialize;
use tracing::Instrument;

use super::{COMMIT_ID, from_pos, waiting};
use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::key::DbKey;
use crate::waiters;
use crate::wire::rfc3339_in;

#[derive(Serialize)]
pub(crate) struct LeaseBody {
    id: String,
    expires_at: String,
}

/// Grants or, with `id`, prolongs a lease for `duration` ms, at most a minute. A client that gives its
/// name as `waiter` keeps its place when it is refused. What was granted to a `request` of that name is
/// answered to it again.
pub(crate) async fn acquire(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Response, ApiError> {
    let key = access.key(Permission::Write)?;
    let duration = duration(&access)?;
    let is_held = access.parameter("id").is_some();
    let (id, granted) = match access.parameter("id") {
        Some(id) => {
            let left = app.store.refresh_lease(&key, id, duration).await?;
            app.grants.prolonged(&key, left);
            (id.to_owned(), left)
        }
        None => grant(&app, &access, &key, duration).await?,
    };
    let body = LeaseBody { id, expires_at: rfc3339_in(granted) };
    let response = (waiting(&app, &key), Json(body));
    if is_held {
        return Ok(response.into_response());
    }
    Ok(match newest(&app, &key).await {
        Some(pos) => (from_pos(pos), response).into_response(),
        // What is pushed under the lease may have an id.
        None => ([(COMMIT_ID, CommitId::NONE.to_string())], response).into_response(),
    })
}

async fn grant(
    app: &Arc<App>,
    access: &Access,
    key: &DbKey,
    duration: Duration,
) -> Result<(String, Duration), ApiError> {
    let owned = |parameter| Ok::<_, ApiError>(name(access, parameter)?.map(str::to_owned));
    let (waiter, request) = (owned("waiter")?, owned("request")?);
    let (app, key) = (Arc::clone(app), key.clone());
    // What is granted is noted, whether the client still waits or not: its twin must find it.
    let granting = async move { granted(&app, &key, duration, waiter, request).await };
    tokio::spawn(granting.in_current_span()).await?
}

async fn granted(
    app: &App,
    key: &DbKey,
    duration: Duration,
    waiter: Option<String>,
    request: Option<String>,
) -> Result<(String, Duration), ApiError> {
    let acquire = async || match &waiter {
        Some(waiter) => app.store.acquire_lease_in_turn(key, duration, waiter).await,
        None => app.store.acquire_lease(key, duration).await,
    };
    let Some(request) = &request else { return Ok(acquire().await?) };
    let granted = app.grants.of(key);
    let mut granted = granted.lock().await;
    if let Some(id) = granted.id(request) {
        let id = id.to_owned();
        let left = app.store.refresh_lease(key, &id, duration).await?;
        granted.note(request, &id, left);
        return Ok((id, left));
    }
    let (id, left) = acquire().await?;
    granted.note(request, &id, left);
    Ok((id, left))
}

/// Gives a lease back; an unknown one is gone already, which is fine.
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Response, ApiError> {
    let key = access.key(Permission::Write)?;
    let id = access.parameter("id").ok_or_else(|| ApiError::bad_input("name the lease: id=ID"))?;
    app.store.release_lease(&key, id).await?;
    Ok((StatusCode::OK, waiting(&app, &key)).into_response())
}

/// Where the database is now that nobody else commits. Whoever is not told can ask, so no error is told.
async fn newest(app: &App, key: &DbKey) -> Option<Pos> {
    let database = app.store.fresh(key).await.ok()?;
    Some(database.map_or(Pos::EMPTY, |database| database.pos()))
}

/// A name that a client has made up.
fn name<'a>(access: &'a Access, parameter: &str) -> Result<Option<&'a str>, ApiError> {
    let name = access.parameter(parameter);
    let usable = |name: &str| {
        (1..=waiters::MAX_NAME_LEN).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_graphic())
    };
    match name {
        Some(name) if !usable(name) => {
            let text = format!("{parameter}: give 1 to 64 printable ASCII characters");
            Err(ApiError::bad_input(text))
        }
        name => Ok(name),
    }
}

fn duration(access: &Access) -> Result<Duration, ApiError> {
    let duration = access.parameter("duration").and_then(|text| text.parse().ok());
    duration.map(Duration::from_millis).ok_or_else(|| {
        ApiError::bad_input("say for how long: duration=MS, 1 to 60000; more is taken as 60000")
    })
}
