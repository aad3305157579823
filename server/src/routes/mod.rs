//! The calls of the LiteFS Cloud API, and what every request has in common.

mod around;
mod body;
mod cors;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::Response;
use axum::routing::{delete, get, post};

use crate::app::App;
use crate::error::ApiError;
use crate::handlers::{
    clusters, group, info, lease, open, page, restore, site, snapshot, status, sync, tx, upload,
    watch,
};
use crate::places::Full;

pub use around::Peer;
pub use cors::Origins;

/// All calls, for clients and for pages of these origins.
pub fn router(app: Arc<App>, origins: &Origins) -> Router {
    let calls = Router::new()
        .route(around::HEALTH, get(watch::health))
        .route("/metrics", get(watch::metrics))
        .route("/", get(site::index))
        .route("/page/{file}", get(site::file))
        .route("/status", get(status::status))
        .route("/info", get(info::info))
        .route("/pos", get(info::positions))
        .route("/db/tx", post(tx::push))
        .route("/db/group", post(group::push).get(group::outcome).delete(group::abort))
        .route("/db/snapshot", get(snapshot::snapshot))
        .route("/db/page", get(page::pages))
        .route("/db/open", get(open::open))
        .route("/db/sync", get(sync::one))
        .route("/sync", post(sync::several))
        .route("/db/upload", post(upload::upload))
        .route("/db/info", get(restore::info))
        .route("/db/restore/check", get(restore::check))
        .route("/db/restore", post(restore::restore))
        .route("/db", delete(restore::delete))
        .route("/clusters", get(clusters::list).post(clusters::create).delete(clusters::delete))
        .route("/lease", post(lease::acquire).delete(lease::release))
        .fallback(unknown_call)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), around::around))
        .with_state(app);
    // Outermost, so that a page can read a refusal too.
    match cors::layer(origins) {
        Some(layer) => calls.layer(layer),
        None => calls,
    }
}

/// What a connection too many is told; only the server's health can be asked for there.
pub fn turn_away(app: Arc<App>) -> Router {
    Router::new()
        .route(around::HEALTH, get(watch::health))
        .fallback(too_many_connections)
        .with_state(app)
}

async fn too_many_connections(
    State(app): State<Arc<App>>,
    full: Option<Extension<Full>>,
) -> Response {
    let full = full.map_or(Full::All, |Extension(full)| full);
    app.metrics.refused(full.label());
    around::busy(full.text())
}

async fn unknown_call() -> ApiError {
    ApiError::not_found("there is no such call")
}

async fn wrong_method() -> ApiError {
    let text = "this call exists, but not with this method";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "EBADINPUT", text)
}
