//! What every request has in common, around its handler: an id, the log, the limits, who sends it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{Instrument, Span, field};

use super::body::{Keeping, Paced};
use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::limits::Asker;
use crate::places::Place;
use crate::random;

/// Names this server to proxies that route by it.
const INSTANCE_ID: &str = "lfsc-instance-id";
/// Names a request, in its answer and in the log.
const REQUEST_ID: &str = "x-request-id";
/// Says that the request was refused before anything looked at it, and in how many ms to come back.
const REFUSED: &str = "litevfs-refused";
/// For how long those wait for whom there is no room.
const BUSY: Duration = Duration::from_secs(1);
/// The longest request id that is taken from a client.
const MAX_REQUEST_ID: usize = 128;
/// Where the health of the server is asked for; no limit holds there.
pub(super) const HEALTH: &str = "/healthz";

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

pub(super) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request_id(request.headers());
    // The route, not the path: what a client puts there instead stays out of the log.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let call = route.as_ref().map_or("other", MatchedPath::as_str);
    let method = request.method().clone();
    let shown = id.to_str().unwrap_or_default();
    // An error's level, so that the id is in every line whatever is logged.
    let span = tracing::error_span!("request", id = shown, %method, call, token = field::Empty);
    let handled = async {
        let mut response = if call == HEALTH {
            next.run(request).await
        } else {
            limited(&app, request, next).await
        };
        let (status, elapsed) = (response.status(), start.elapsed());
        app.metrics.request(call, status.as_u16(), elapsed);
        // 503 says that the server is busy or stopping, which is no fault.
        if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            tracing::warn!(status = status.as_u16(), ?elapsed, "answered with an error");
        } else {
            tracing::debug!(status = status.as_u16(), ?elapsed, "answered");
        }
        // For those in between to know the server by that answered, where there are several.
        if app.store.is_shared() {
            response.headers_mut().insert(INSTANCE_ID, app.instance_id.clone());
        }
        response.headers_mut().insert(REQUEST_ID, id.clone());
        response
    };
    handled.instrument(span.clone()).await
}

async fn limited(app: &App, mut request: Request, next: Next) -> Response {
    if let Err(error) = app.auth.admit(request.uri(), request.headers()) {
        return error.into_response();
    }
    let caller = app.auth.caller(request.headers());
    let asker = match &caller {
        Caller::Token(token) => {
            Span::current().record("token", &*token.id);
            Asker::Token(Arc::clone(&token.id))
        }
        Caller::Anyone | Caller::Stranger(_) => {
            Asker::at(request.extensions().get::<Peer>().map(|peer| peer.0))
        }
    };
    if let Err(wait) = app.limits.count(asker.clone()) {
        app.metrics.refused("rate");
        return too_many(wait);
    }
    let room = match app.limits.enter(&asker) {
        Ok(room) => room,
        Err(none) => {
            app.metrics.refused(none.label());
            return busy(none.text());
        }
    };
    // From here on its connection keeps its place, unless it is idle.
    let place = request.extensions().get::<Arc<Place>>();
    let place = place.filter(|_| !matches!(caller, Caller::Stranger(_)));
    let at_work = match place.map(|place| place.begin(asker)).transpose() {
        Ok(at_work) => at_work,
        Err(none) => {
            app.metrics.refused(none.label());
            return busy(none.text());
        }
    };
    let kept = (room, at_work, app.metrics.in_flight());
    request.extensions_mut().insert(caller);
    let response = next.run(request.map(Paced::wrap)).await;
    response.map(|body| Keeping::wrap(body, kept))
}

fn too_many(wait: Duration) -> Response {
    let text = "that is more requests than this server takes from one caller: slow down";
    refuse(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "ERATELIMIT", text), wait)
}

/// Not now, but soon.
pub(super) fn busy(text: &str) -> Response {
    refuse(ApiError::unavailable(text), BUSY)
}

/// The answer to a request that no handler has seen, nor ever will.
fn refuse(error: ApiError, wait: Duration) -> Response {
    // Whole seconds, and never so few that the next request is too early again.
    let seconds = wait.as_millis().div_ceil(1000).max(1).to_string();
    let ms = wait.as_millis().saturating_add(1).to_string();
    ([(header::RETRY_AFTER.as_str(), seconds), (REFUSED, ms)], error).into_response()
}

/// The client's, if it is one that can stand in a log, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:".contains(b);
        (1..=MAX_REQUEST_ID).contains(&bytes.len()) && bytes.iter().all(allowed)
    };
    let made = || {
        let id = random::hex::<8>().ok().and_then(|id| id.try_into().ok());
        id.unwrap_or_else(|| HeaderValue::from_static("none"))
    };
    headers.get(REQUEST_ID).filter(sane).cloned().unwrap_or_else(made)
}
