//! What those in between, and the asker itself, may keep of an answer: nothing, unless its handler says so.

use axum::http::{HeaderValue, header};
use axum::response::Response;

/// Says so. Without a word, a proxy may keep an answer and give it to the next one who asks for the same,
/// with whatever token.
pub(super) async fn forbid(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
    response
}

#[cfg(test)]
mod tests;
