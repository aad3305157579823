//! What browsers are told about pages of other origins.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// What a page may send: as the extension's build for browsers does.
const REQUEST_HEADERS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("lfsc-lease-id"),
    HeaderName::from_static("litefs-cluster-id"),
    HeaderName::from_static("fly-force-instance-id"),
    HeaderName::from_static("x-request-id"),
];

/// What a page may see of an answer.
const RESPONSE_HEADERS: [HeaderName; 10] = [
    HeaderName::from_static("litefs-hwm"),
    HeaderName::from_static("litevfs-pos"),
    HeaderName::from_static("litevfs-commit-id"),
    HeaderName::from_static("lfsc-instance-id"),
    HeaderName::from_static("lfsc-lease-waiters"),
    HeaderName::from_static("lfsc-lease-duration"),
    HeaderName::from_static("litevfs-refused"),
    HeaderName::from_static("x-request-id"),
    header::CONTENT_LENGTH,
    header::RETRY_AFTER,
];

/// How long a browser may remember what it was told.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// The pages that browsers let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Pages of these origins; none, if there are none.
    Listed(Vec<HeaderValue>),
    /// All pages.
    Any,
}

/// Answers the questions that browsers ask first, which carry no token.
pub(super) fn layer(origins: &Origins) -> Option<CorsLayer> {
    let allowed = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::Listed(origins) if origins.is_empty() => return None,
        Origins::Listed(origins) => AllowOrigin::list(origins.iter().cloned()),
    };
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(RESPONSE_HEADERS)
            // A page on the internet may be meant to use a server at home.
            .allow_private_network(true)
            .max_age(MAX_AGE),
    )
}
