//! The transport over minreq: a connection for each request, TLS by rustls with ring.

use super::proxy::{NamedProxy, proxy_for};
use super::{Method, Request, Response, Transport, TransportError};
use crate::config::BaseUrl;
use crate::error::Result;
use crate::sys;
use alloc::format;
use alloc::string::{String, ToString};
use std::io::Read;

/// Bytes of header fields of one answer, and of its status line.
const MAX_HEADERS_LEN: usize = 16 * 1024;
/// What minreq says of an answer without a status line.
const NO_STATUS_LINE: &str = "Server did not provide a status line";
/// First guess at the size of an answer that does not say.
const READ_STEP_LEN: usize = 64 * 1024;

/// See the module.
pub struct NativeTransport {
    proxy: Option<NamedProxy>,
}

impl NativeTransport {
    /// The transport to a server, by the proxy that the environment names for it.
    pub fn new(base: &BaseUrl) -> Result<NativeTransport> {
        #[cfg(feature = "tls")]
        if base.https {
            // minreq takes the process's default provider. Installing ring's keeps the linker from
            // pulling in the one minreq would choose, which is larger than the whole extension. A
            // host program that has installed another keeps it.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        #[cfg(not(feature = "tls"))]
        if base.https {
            let message = "this build has no TLS: \
                           use an http:// URL as host, or a build with the feature `tls`";
            return Err(crate::error::Error::new(crate::error::ErrorKind::Config, message));
        }
        Ok(NativeTransport { proxy: proxy_for(base, sys::env_var)? })
    }
}

impl Transport for NativeTransport {
    fn send(&self, request: &Request) -> core::result::Result<Response, TransportError> {
        let method = match request.method {
            Method::Get => minreq::Method::Get,
            Method::Post => minreq::Method::Post,
            Method::Delete => minreq::Method::Delete,
        };
        let mut outgoing = minreq::Request::new(method, request.url.as_str())
            .with_timeout(request.timeout_ms.div_ceil(1000).max(1))
            .with_max_headers_size(MAX_HEADERS_LEN)
            .with_max_status_line_length(MAX_HEADERS_LEN)
            .with_follow_redirects(false);
        for (name, value) in &request.headers {
            outgoing = outgoing.with_header(*name, value.as_str());
        }
        if !request.body.is_empty() {
            outgoing = outgoing.with_body(request.body.as_slice());
        }
        if let Some(proxy) = &self.proxy {
            outgoing = outgoing.with_proxy(proxy.proxy.clone());
        }
        // minreq panics on some headers that no server should send (and in release builds counts
        // wrong, which `overflow-checks` in Cargo.toml turns into the panic).
        let exchange = std::panic::AssertUnwindSafe(|| {
            let incoming = outgoing.send_lazy().map_err(describe)?;
            read_answer(incoming, request.max_answer_len)
        });
        let answer = std::panic::catch_unwind(exchange).unwrap_or_else(|_| {
            let reason = "the answer's header is malformed".to_string();
            Err(TransportError { maybe_sent: true, retryable: false, reason })
        });
        answer.map_err(|error| match &self.proxy {
            Some(proxy) => {
                let reason = format!("by the proxy {}: {}", proxy.address, error.reason);
                TransportError { reason, ..error }
            }
            None => error,
        })
    }
}

fn read_answer(
    incoming: minreq::ResponseLazy,
    max_len: usize,
) -> core::result::Result<Response, TransportError> {
    let broken = |retryable, reason| TransportError { maybe_sent: true, retryable, reason };
    let headers = incoming.headers.clone();
    let mut response = Response { status: incoming.status_code, headers, body: Vec::new() };
    // minreq makes a 503 of an answer without a status line, an empty one among them.
    if incoming.reason_phrase == NO_STATUS_LINE || !(100..1000).contains(&response.status) {
        return Err(broken(true, "the connection was cut, or the answer is not HTTP".to_string()));
    }
    let declared = response.header("content-length").and_then(|len| len.trim().parse().ok());
    let too_long = || format!("the answer is longer than {max_len} bytes");
    if declared.is_some_and(|len: usize| len > max_len) {
        return Err(broken(false, too_long()));
    }
    if matches!(response.status, 204 | 304) {
        return Ok(response);
    }
    let mut body = Vec::with_capacity(declared.unwrap_or(READ_STEP_LEN).min(max_len));
    let limit = u64::try_from(max_len).unwrap_or(u64::MAX).saturating_add(1);
    incoming
        .take(limit)
        .read_to_end(&mut body)
        .map_err(|e| broken(true, format!("the answer broke off: {e}")))?;
    if body.len() > max_len {
        return Err(broken(false, too_long()));
    }
    if declared.is_some_and(|len| len != body.len()) {
        let reason = format!("the answer broke off after {} bytes", body.len());
        return Err(broken(true, reason));
    }
    response.body = body;
    Ok(response)
}

/// What minreq says, in words that help, and whether the server may have seen the request.
fn describe(error: minreq::Error) -> TransportError {
    use minreq::Error as E;
    use std::io::ErrorKind as Io;
    let (maybe_sent, retryable, reason): (bool, bool, String) = match &error {
        E::IoError(e) => match e.kind() {
            Io::ConnectionRefused => (false, true, "connection refused".into()),
            Io::TimedOut | Io::WouldBlock => (true, true, "no answer in time".into()),
            Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof => {
                (true, true, "the connection was cut".into())
            }
            // The address look-up and TLS alerts end up here.
            _ => (true, !is_final(e), e.to_string()),
        },
        E::AddressNotFound => (false, true, "the host name has no address".into()),
        E::BadProxy | E::ProxyConnect => (false, true, "it does not connect".into()),
        E::InvalidProxyCreds => (false, false, "it refuses the user name or password".into()),
        _ => (true, false, error.to_string()),
    };
    TransportError { maybe_sent, retryable, reason }
}

/// A certificate that does not hold today does not hold in a second either.
fn is_final(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::InvalidData
}
