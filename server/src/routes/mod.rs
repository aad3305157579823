//! The calls of the LiteFS Cloud API, and what every request has in common.

mod around;
mod body;
mod caching;
mod cors;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};

use crate::app::App;
use crate::error::ApiError;
use crate::handlers::{
    clusters, group, info, lease, open, page, restore, site, snapshot, status, sync, tx, upload,
    watch,
};
use crate::places::Full;

pub use around::Peer;
pub use cors::Origins;

/// Every call there is.
fn calls() -> [(&'static str, MethodRouter<Arc<App>>); 21] {
    [
        (around::HEALTH, get(watch::health)),
        ("/metrics", get(watch::metrics)),
        ("/", get(site::index)),
        ("/page/{file}", get(site::file)),
        ("/status", get(status::status)),
        ("/info", get(info::info)),
        ("/pos", get(info::positions)),
        ("/db/tx", post(tx::push)),
        ("/db/group", post(group::push).get(group::outcome).delete(group::abort)),
        ("/db/snapshot", get(snapshot::snapshot)),
        ("/db/page", get(page::pages)),
        ("/db/open", get(open::open)),
        ("/db/sync", get(sync::one)),
        ("/sync", post(sync::several)),
        ("/db/upload", post(upload::upload)),
        ("/db/info", get(restore::info)),
        ("/db/restore/check", get(restore::check)),
        ("/db/restore", post(restore::restore)),
        ("/db", delete(restore::delete)),
        ("/clusters", get(clusters::list).post(clusters::create).delete(clusters::delete)),
        ("/lease", post(lease::acquire).delete(lease::release)),
    ]
}

/// All calls, for clients and for pages of these origins.
pub fn router(app: Arc<App>, origins: &Origins) -> Router {
    let router = calls()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    let router = router
        .fallback(unknown_call)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), around::around))
        .with_state(app);
    // Around the rest, so that a page can read a refusal too.
    let router = match cors::layer(origins) {
        Some(layer) => router.layer(layer),
        None => router,
    };
    // Outermost, so that nothing is without it.
    router.layer(middleware::map_response(caching::forbid))
}

/// What a connection too many is told; only the server's health can be asked for there.
pub fn turn_away(app: Arc<App>) -> Router {
    Router::new()
        .route(around::HEALTH, get(watch::health))
        .fallback(too_many_connections)
        .layer(middleware::map_response(caching::forbid))
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
