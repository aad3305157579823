//! `GET`, `POST` and `DELETE /clusters`: the clusters by name.
//!
//! A token for one cluster sees that one. Clusters also come into being with their first database.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use litevfs::types::ClusterName;
use serde::Serialize;

use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;

/// How many clusters an answer names unless the request says otherwise, and at most.
const MAX_CLUSTERS: usize = 1000;

#[derive(Debug, Serialize)]
pub(crate) struct ClusterBody {
    name: String,
    id: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct ListBody {
    clusters: Vec<ClusterBody>,
    /// How many there are in all.
    total: usize,
}

/// The clusters by name: `limit` of them after the first `offset`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Json<ListBody>, ApiError> {
    let limit = number(&access, "limit")?.unwrap_or(MAX_CLUSTERS).min(MAX_CLUSTERS);
    let offset = number(&access, "offset")?.unwrap_or(0);
    let mut names = app.store.clusters().await?;
    names.retain(|name| access.reaches_cluster(name));
    let total = names.len();
    let page = names.iter().skip(offset).take(limit);
    let clusters = page.map(|name| body(&app, name)).collect();
    Ok(Json(ListBody { clusters, total }))
}

/// Makes a cluster; one that is there already is fine.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<(StatusCode, Json<ClusterBody>), ApiError> {
    let cluster = named(&access)?;
    let is_new = app.store.create_cluster(cluster).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(body(&app, cluster))))
}

/// Drops an empty cluster.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<StatusCode, ApiError> {
    let cluster = named(&access)?;
    if !app.store.clusters().await?.contains(cluster) {
        let text = format!("there is no cluster {cluster}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "ENOCLUSTER", text));
    }
    app.store.drop_cluster(cluster).await?;
    Ok(StatusCode::OK)
}

/// The cluster that a request changes must be in it: the default would be a surprise here.
fn named(access: &Access) -> Result<&ClusterName, ApiError> {
    if access.parameter("cluster").is_none() {
        return Err(ApiError::bad_input("name the cluster: cluster=NAME"));
    }
    access.whole_cluster(Permission::Write)?;
    Ok(&access.cluster)
}

fn number(access: &Access, name: &str) -> Result<Option<usize>, ApiError> {
    let parse = |text: &str| {
        text.parse().map_err(|_| ApiError::bad_input(format!("{name} is a whole number")))
    };
    access.parameter(name).map(parse).transpose()
}

fn body(app: &App, name: &ClusterName) -> ClusterBody {
    ClusterBody { name: name.to_string(), id: app.store.cluster_id(name) }
}
