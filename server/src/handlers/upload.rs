//! `POST /db/upload`: a SQLite file becomes the next transaction of a database.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;

use super::{lease_id, linger, within};
use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::spool;
use crate::store::Error;

/// The transaction that a call made, or would go back to.
#[derive(Debug, Serialize)]
pub(crate) struct TxidBody {
    #[serde(rename = "txID")]
    pub(super) txid: String,
}

pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    access: Access,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TxidBody>, ApiError> {
    let key = access.key(Permission::Write)?;
    let lease_id = lease_id(&headers)?;
    // Before hours of uploading, not only after.
    let body = within(app.max_import, body)?;
    if let Err(error) = app.store.may_write(&key, lease_id.as_deref()).await {
        linger(body);
        return Err(error.into());
    }
    let file = spool::receive(body.into_data_stream(), app.max_import, app.store.scratch()).await?;
    let file = file.in_line(app.turns.of(access.asker()));
    let begun = file.begin().await.map_err(Error::Io)?;
    // As with any commit: what has begun is brought to its end.
    let import = tokio::spawn(async move {
        let _begun = begun;
        app.store.import(&key, file, lease_id.as_deref()).await
    });
    let pos = import.await??;
    Ok(Json(TxidBody { txid: pos.txid.to_string() }))
}
