//! `GET /db/info`, `GET /db/restore/check` and `POST /db/restore`: going back in a database's history;
//! `DELETE /db`: its end.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::upload::TxidBody;
use super::{current, lease_id};
use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::store::{At, RestorePoint};
use crate::wire::rfc3339_ms;

#[derive(Debug, Serialize)]
pub(crate) struct InfoBody {
    name: String,
    /// Ours: where its files lie in the store, which is what stock Litestream wants to be told.
    folder: String,
    #[serde(rename = "restorablePaths")]
    restorable_paths: Vec<PointBody>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PointBody {
    max_tx_id: String,
    max_timestamp: String,
    post_apply_checksum: String,
    /// Ours: where the commits that were merged into this point begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_tx_id: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CheckBody {
    #[serde(rename = "txID")]
    txid: String,
    timestamp: String,
}

impl From<RestorePoint> for PointBody {
    fn from(point: RestorePoint) -> PointBody {
        PointBody {
            max_tx_id: point.pos.txid.to_string(),
            max_timestamp: rfc3339_ms(point.timestamp_ms).unwrap_or_default(),
            post_apply_checksum: point.pos.post_apply_checksum.to_string(),
            min_tx_id: point.first.map(|txid| txid.to_string()),
        }
    }
}

/// The restore points, newest first; with `all`, without an end.
pub(crate) async fn info(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Json<InfoBody>, ApiError> {
    let key = access.key(Permission::Read)?;
    let all = match access.parameter("all") {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => return Err(ApiError::bad_input("all is true or false")),
    };
    let database = current(&app, &key).await?;
    let points = database.restore_points(all).await?;
    let restorable_paths = points.into_iter().map(PointBody::from).collect();
    Ok(Json(InfoBody { name: key.db.to_string(), folder: database.folder(), restorable_paths }))
}

/// Where a restore with the same parameters would go.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Json<CheckBody>, ApiError> {
    let key = access.key(Permission::Read)?;
    let at = moment(&access)?;
    let point = current(&app, &key).await?.restore_point(at).await?;
    let timestamp = rfc3339_ms(point.timestamp_ms).unwrap_or_default();
    Ok(Json(CheckBody { txid: point.pos.txid.to_string(), timestamp }))
}

/// Rolls forward to the old content.
pub(crate) async fn restore(
    State(app): State<Arc<App>>,
    access: Access,
    headers: HeaderMap,
) -> Result<Json<TxidBody>, ApiError> {
    let key = access.key(Permission::Write)?;
    let at = moment(&access)?;
    let lease_id = lease_id(&headers)?;
    // Whether the client still waits or not: see `tx`.
    let restore =
        tokio::spawn(async move { app.store.restore(&key, at, lease_id.as_deref()).await });
    let pos = restore.await??;
    Ok(Json(TxidBody { txid: pos.txid.to_string() }))
}

/// Drops the database and its history.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    access: Access,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let key = access.key(Permission::Write)?;
    let lease_id = lease_id(&headers)?;
    tokio::spawn(async move { app.store.drop_database(&key, lease_id.as_deref()).await }).await??;
    Ok(StatusCode::OK)
}

fn moment(access: &Access) -> Result<At, ApiError> {
    let at = access.at()?.filter(|at| !matches!(at, At::Pos(_)));
    at.ok_or_else(|| ApiError::bad_input("say what to go back to: txid=TXID or timestamp=TIME"))
}
