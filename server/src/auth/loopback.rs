//! Keeps web pages away from a server without tokens.
//!
//! Such a server listens on loopback only, but a browser on the same machine reaches loopback on
//! behalf of any page it shows. Two headers, which a page cannot forge, tell those requests: a page
//! whose own name was made to resolve to this machine (DNS rebinding) sends that name as the `Host`,
//! and a page from elsewhere that posts here sends where it is from as the `Origin`.

use std::net::IpAddr;

use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, HeaderValue, header};

use crate::error::ApiError;

/// Refuses a request that is not addressed to loopback, or comes from a page that neither is on
/// loopback nor has one of the `listed` origins.
pub(super) fn admit(
    uri: &Uri,
    headers: &HeaderMap,
    listed: &[HeaderValue],
) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter().peekable();
    let named = hosts.peek().is_some() && uri.host().is_none_or(is_loopback);
    if !named || !hosts.all(|host| authority(host).is_some_and(|host| is_loopback(host.host()))) {
        return Err(ApiError::forbidden(
            "without a token this server answers to localhost, 127.0.0.1 and [::1] only: \
             use one of these in the URL, or start it with --token",
        ));
    }
    let welcome = |origin| is_loopback_origin(origin) || listed.contains(origin);
    if !headers.get_all(header::ORIGIN).iter().all(welcome) {
        return Err(ApiError::forbidden(
            "without a token this server answers no web page from another host: open the page \
             from localhost, or start the server with --token or with the page's --cors-origin",
        ));
    }
    Ok(())
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    Authority::try_from(host.as_bytes()).ok()
}

/// Whether a host, as it stands in a URL, is this machine by every reading.
fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

/// `null`, which a page without an origin sends, is not one.
fn is_loopback_origin(origin: &HeaderValue) -> bool {
    let origin = Uri::try_from(origin.as_bytes()).ok();
    origin.is_some_and(|origin| origin.scheme().is_some() && origin.host().is_some_and(is_loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(uri: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        let listed = [HeaderValue::from_static("https://listed.example")];
        admit(&uri.parse().unwrap(), &headers.collect(), &listed).is_ok()
    }

    #[test]
    fn only_loopback_names_are_answered() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:20202", "127.9.9.9", "[::1]", "[::1]:1"]
        {
            assert!(admitted("/pos", &[("host", host)]), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "127.0.0.1@example.com",
            "192.0.2.1",
            "0.0.0.0",
            "[::2]",
            "localhost:x:y",
        ] {
            assert!(!admitted("/pos", &[("host", host)]), "{host}");
        }
        assert!(!admitted("/pos", &[]));
        assert!(!admitted("/pos", &[("host", "localhost"), ("host", "example.com")]));
        assert!(!admitted("http://example.com/pos", &[("host", "localhost")]));
        assert!(admitted("http://localhost/pos", &[("host", "localhost")]));
    }

    #[test]
    fn only_loopback_pages_are_answered() {
        let from = |origin| admitted("/pos", &[("host", "localhost"), ("origin", origin)]);
        for origin in ["http://localhost", "http://localhost:3000", "https://127.0.0.1:8443"] {
            assert!(from(origin), "{origin}");
        }
        for origin in ["null", "", "localhost", "https://example.com", "http://localhost.evil.com"]
        {
            assert!(!from(origin), "{origin}");
        }
        assert!(from("https://listed.example"));
        for near in
            ["http://listed.example", "https://listed.example:1", "https://a.listed.example"]
        {
            assert!(!from(near), "{near}");
        }
    }
}
