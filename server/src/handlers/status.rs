//! `GET /status`: a cluster at a glance, for the status page and for scripts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures_util::{StreamExt, TryStreamExt, stream};
use litevfs::types::{DbName, Pos};
use serde::Serialize;

use crate::app::{Access, App};
use crate::error::ApiError;
use crate::key::DbKey;
use crate::wire::{PosBody, rfc3339_in, rfc3339_ms};

/// How many databases are looked at at the same time.
const PARALLEL: usize = 8;

#[derive(Serialize)]
pub(crate) struct StatusBody {
    /// Names this process, as the header `Lfsc-Instance-Id` does.
    instance: String,
    version: &'static str,
    /// Where the databases are kept, in words.
    store: String,
    cluster: String,
    databases: Vec<DatabaseBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DatabaseBody {
    name: String,
    pos: PosBody,
    size_bytes: u64,
    page_size: u32,
    pages: u32,
    /// When the last transaction was committed; null when its file does not say.
    timestamp: Option<String>,
    /// Until when somebody holds the write lease, if anybody does.
    lease_expires_at: Option<String>,
    files: usize,
    stored_bytes: u64,
}

pub(crate) async fn status(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Json<StatusBody>, ApiError> {
    let listed = app.store.databases(&access.cluster).await?;
    let seen = listed.into_iter().filter(|(db, _)| access.reaches(db));
    let databases = stream::iter(seen)
        .map(async |(db, _): (DbName, Pos)| {
            let key = DbKey { cluster: access.cluster.clone(), db };
            database(&app, &key).await
        })
        .buffered(PARALLEL)
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await?;
    Ok(Json(StatusBody {
        instance: app.instance_id.to_str().unwrap_or_default().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        store: app.store.name().to_owned(),
        cluster: access.cluster.to_string(),
        databases,
    }))
}

/// One database; `None` when it went away since it was listed.
async fn database(app: &App, key: &DbKey) -> Result<Option<DatabaseBody>, ApiError> {
    let Some(database) = app.store.database(key).await? else {
        return Ok(None);
    };
    let summary = database.summary();
    let lease = app.store.lease_left(key);
    let page_size = summary.page_size.bytes();
    Ok(Some(DatabaseBody {
        name: key.db.to_string(),
        pos: summary.pos.into(),
        size_bytes: u64::from(summary.commit).saturating_mul(u64::from(page_size)),
        page_size,
        pages: summary.commit,
        timestamp: Some(summary.timestamp_ms).filter(|&ms| ms != 0).and_then(rfc3339_ms),
        lease_expires_at: lease.map(rfc3339_in),
        files: summary.files,
        stored_bytes: summary.stored_bytes,
    }))
}
