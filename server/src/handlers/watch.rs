//! `GET /healthz` and `GET /metrics`: for whoever watches over the server.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::{Access, App};
use crate::error::ApiError;
use crate::metrics;

/// Needs no token, and tells nothing but this.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    match app.health.check(&app.store).await {
        Ok(()) => Ok(Json(json!({ "status": "ok" }))),
        Err(ill) => Err(ApiError::unavailable(ill.to_string())),
    }
}

/// Needs a token that nothing hides from, because the sums are of all clusters and databases.
pub(crate) async fn metrics(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    if !app.metrics_public {
        let access = Access::from_request_parts(&mut request.into_parts().0, &app).await?;
        if !access.reads_everything() {
            let text = "this token is for one cluster or some databases; metrics are about all";
            return Err(ApiError::forbidden(text));
        }
    }
    app.store.gauge();
    Ok((StatusCode::OK, [(CONTENT_TYPE, metrics::CONTENT_TYPE)], app.metrics.text())
        .into_response())
}
