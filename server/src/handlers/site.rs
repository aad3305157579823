//! The status page: `GET /` and the files it needs, all of them inside the program.
//!
//! The page holds nothing worth a token; what it shows it asks of the API, as any client does. Its
//! policy lets a browser load nothing from elsewhere and turn no text into markup, so that a name
//! chosen by a client stays a name.

use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type and text of each file under `/page/`.
const FILES: [(&str, &str, &str); 8] = [
    ("style.css", CSS, include_str!("../page/style.css")),
    ("icon.svg", SVG, include_str!("../page/icon.svg")),
    ("main.js", JAVASCRIPT, include_str!("../page/main.js")),
    ("api.js", JAVASCRIPT, include_str!("../page/api.js")),
    ("list.js", JAVASCRIPT, include_str!("../page/list.js")),
    ("detail.js", JAVASCRIPT, include_str!("../page/detail.js")),
    ("chart.js", JAVASCRIPT, include_str!("../page/chart.js")),
    ("text.js", JAVASCRIPT, include_str!("../page/text.js")),
];

pub(crate) async fn index() -> Response {
    answer(HTML, include_str!("../page/index.html"))
}

pub(crate) async fn file(Path(asked): Path<String>) -> Result<Response, ApiError> {
    let found = FILES.into_iter().find(|(name, _, _)| *name == asked);
    let (_, content_type, text) =
        found.ok_or_else(|| ApiError::not_found("the status page has no such file"))?;
    Ok(answer(content_type, text))
}

fn answer(content_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // A newer server brings a newer page.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}
