//! `GET /info` and `GET /pos`: the cluster and its databases.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::app::{Access, App};
use crate::error::ApiError;
use crate::wire::PosBody;

#[derive(Serialize)]
pub(crate) struct InfoBody {
    #[serde(rename = "clusterID")]
    cluster_id: String,
}

pub(crate) async fn info(State(app): State<Arc<App>>, access: Access) -> Json<InfoBody> {
    Json(InfoBody { cluster_id: app.store.cluster_id(&access.cluster) })
}

pub(crate) async fn positions(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Json<BTreeMap<String, PosBody>>, ApiError> {
    let databases = app.store.databases(&access.cluster).await?;
    let seen = databases.into_iter().filter(|(db, _)| access.reaches(db));
    Ok(Json(seen.map(|(db, pos)| (db.to_string(), pos.into())).collect()))
}
