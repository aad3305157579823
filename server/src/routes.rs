//! The calls of the LiteFS Cloud API, and what every request has in common.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use crate::app::App;
use crate::error::ApiError;
use crate::handlers::{
    clusters, info, lease, page, restore, site, snapshot, status, sync, tx, upload,
};

/// Names this server to proxies that route by it.
const INSTANCE_ID: &str = "lfsc-instance-id";

/// All calls.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(site::index))
        .route("/page/{file}", get(site::file))
        .route("/status", get(status::status))
        .route("/info", get(info::info))
        .route("/pos", get(info::positions))
        .route("/db/tx", post(tx::push))
        .route("/db/snapshot", get(snapshot::snapshot))
        .route("/db/page", get(page::pages))
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
        .layer(middleware::from_fn_with_state(Arc::clone(&app), around))
        .with_state(app)
}

async fn unknown_call() -> ApiError {
    ApiError::not_found("there is no such call")
}

async fn wrong_method() -> ApiError {
    let text = "this call exists, but not with this method";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "EBADINPUT", text)
}

async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    // The query stays out of the log: it is not needed there, and clients put odd things in it.
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match app.auth.admit(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    response.headers_mut().insert(INSTANCE_ID, app.instance_id.clone());
    tracing::debug!(%method, path, status = response.status().as_u16(), elapsed = ?start.elapsed());
    response
}
