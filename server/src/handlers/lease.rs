//! `POST /lease` and `DELETE /lease`: the right to write.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::wire::rfc3339_in;

#[derive(Serialize)]
pub(crate) struct LeaseBody {
    id: String,
    expires_at: String,
}

/// Grants or, with `id`, prolongs a lease for `duration` ms, at most a minute.
pub(crate) async fn acquire(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Json<LeaseBody>, ApiError> {
    let key = access.key(Permission::Write)?;
    let duration = duration(&access)?;
    let (id, granted) = match access.parameter("id") {
        Some(id) => (id.to_owned(), app.store.refresh_lease(&key, id, duration).await?),
        None => app.store.acquire_lease(&key, duration).await?,
    };
    Ok(Json(LeaseBody { id, expires_at: rfc3339_in(granted) }))
}

/// Gives a lease back; an unknown one is gone already, which is fine.
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<StatusCode, ApiError> {
    let key = access.key(Permission::Write)?;
    let id = access.parameter("id").ok_or_else(|| ApiError::bad_input("name the lease: id=ID"))?;
    app.store.release_lease(&key, id).await?;
    Ok(StatusCode::OK)
}

fn duration(access: &Access) -> Result<Duration, ApiError> {
    let duration = access.parameter("duration").and_then(|text| text.parse().ok());
    duration.map(Duration::from_millis).ok_or_else(|| {
        ApiError::bad_input("say for how long: duration=MS, 1 to 60000; more is taken as 60000")
    })
}
