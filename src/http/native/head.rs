//! The header of an answer: its status line and its fields.

use super::socket::{cut, lasting, retryable};
use crate::http::{Response, TransportError};

/// Bytes of the longest header to take.
pub const MAX_HEAD_LEN: usize = 16 * 1024;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(u64),
    /// In chunks, each of which says how long it is.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

/// A header that is whole.
#[derive(Debug)]
pub struct Head {
    /// Status and fields.
    pub response: Response<()>,
    /// How its body ends.
    pub framing: Framing,
    /// Whether the connection may be used for another request after the body.
    pub keeps: bool,
}

/// Reads the header at the beginning of `bytes`: with its length, `None` when it is not all there.
pub fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, TransportError> {
    // First of all, and of what is there: how an answer was cut into packets must not decide which of its
    // faults is seen.
    if !is_http(bytes) {
        return Err(not_http());
    }
    let mut lines = Lines { bytes, at: 0 };
    let Some(status_line) = lines.next()? else { return Ok(None) };
    let (is_1_0, status) = parse_status(status_line).ok_or_else(not_http)?;
    let mut response = Response { status, headers: Vec::new(), body: () };
    loop {
        let Some(line) = lines.next()? else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        if name.is_empty() || name.ends_with([' ', '\t']) || name.starts_with([' ', '\t']) {
            return Err(malformed());
        }
        response.headers.push((name.into(), value.trim().into()));
    }
    let framing = framing(&response)?;
    let closes = fields(&response, "connection").any(|value| value.eq_ignore_ascii_case("close"));
    let keeps = !closes && !is_1_0 && framing != Framing::UntilClose;
    Ok(Some((Head { response, framing, keeps }, lines.at)))
}

/// The lines of a header, each ended by a line feed.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Option<&'a str>, TransportError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&b| b == b'\n');
        // The limit counts the line that is not there yet as well.
        if self.at.saturating_add(end.unwrap_or(rest.len())) >= MAX_HEAD_LEN {
            return Err(lasting(format!(
                "the answer's header is longer than {MAX_HEAD_LEN} bytes"
            )));
        }
        let Some(end) = end else { return Ok(None) };
        self.at = self.at.saturating_add(end).saturating_add(1);
        let line = rest.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        core::str::from_utf8(line).map(Some).map_err(|_| malformed())
    }
}

fn parse_status(line: &str) -> Option<(bool, u16)> {
    let (version, rest) = line.split_once(' ')?;
    let minor = version.strip_prefix("HTTP/1.")?;
    let status = rest.split(' ').next()?.parse().ok()?;
    (100..1000).contains(&status).then_some((minor == "0", status))
}

fn is_http(bytes: &[u8]) -> bool {
    bytes.iter().zip(b"HTTP/1.").all(|(a, b)| a == b)
}

fn framing(response: &Response<()>) -> Result<Framing, TransportError> {
    if matches!(response.status, 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if let Some(coding) = response.header("transfer-encoding") {
        let is_chunked = coding.eq_ignore_ascii_case("chunked");
        return if is_chunked { Ok(Framing::Chunked) } else { Err(malformed()) };
    }
    let mut lengths = fields(response, "content-length");
    let Some(length) = lengths.next() else { return Ok(Framing::UntilClose) };
    if lengths.any(|other| other != length) || !length.bytes().all(|b| b.is_ascii_digit()) {
        return Err(malformed());
    }
    length.parse().map(Framing::Length).map_err(|_| malformed())
}

/// The values of all fields of a name, lists taken apart.
fn fields<'a>(response: &'a Response<()>, name: &'a str) -> impl Iterator<Item = &'a str> {
    let of_name =
        response.headers.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name));
    of_name.flat_map(|(_, value)| value.split(',')).map(str::trim)
}

fn not_http() -> TransportError {
    retryable(cut().reason + ", or the answer is not HTTP")
}

fn malformed() -> TransportError {
    lasting("the answer's header is malformed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        let (head, len) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(len, text.len());
        head
    }

    #[test]
    fn headers_are_read_when_they_are_whole() {
        let text = "HTTP/1.1 201 Created\r\nA: b:c \r\nX-Empty:\r\nContent-Length: 7\r\n\r\n";
        for cut in 0..text.len() {
            assert!(parse(&text.as_bytes()[..cut]).unwrap().is_none(), "{cut}");
        }
        let head = head(text);
        assert_eq!(head.response.status, 201);
        assert_eq!(head.response.header("a"), Some("b:c"));
        assert_eq!((head.framing, head.keeps), (Framing::Length(7), true));
    }

    #[test]
    fn what_is_not_http_is_known_at_once() {
        for bad in ["SSH", "HTTP/2 200\r\n", "HTTP/1.1 ABC OK\r\n", "HTTP/1.1\r\n", "\n", "HTTQ"] {
            let error = parse(bad.as_bytes()).unwrap_err();
            assert!(error.retryable && error.reason.contains("not HTTP"), "{bad}");
        }
        for bad in [
            "no colon",
            ": x",
            "a : x",
            " a: x",
            "Content-Length: -1",
            "Content-Length: 1, 2",
            "Transfer-Encoding: gzip",
            "Content-Length: 99999999999999999999",
            "Content-Length:",
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{bad}\r\n\r\n");
            assert!(!parse(text.as_bytes()).unwrap_err().retryable, "{bad}");
        }
    }

    #[test]
    fn headers_have_a_limit() {
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD_LEN));
        assert!(parse(long.as_bytes()).unwrap_err().reason.contains("longer"));
        let many = format!("HTTP/1.1 200 OK\r\n{}", "A: b\n".repeat(MAX_HEAD_LEN));
        assert!(parse(many.as_bytes()).unwrap_err().reason.contains("longer"));
    }

    #[test]
    fn the_end_of_the_body_and_of_the_connection() {
        let of = |fields: &str| {
            let head = head(&format!("HTTP/1.1 200\r\n{fields}\r\n"));
            (head.framing, head.keeps)
        };
        assert_eq!(of(""), (Framing::UntilClose, false));
        assert_eq!(of("Content-Length: 3, 3\r\n"), (Framing::Length(3), true));
        assert_eq!(
            of("Content-Length: 3\r\nConnection: x, Close\r\n"),
            (Framing::Length(3), false)
        );
        assert_eq!(
            of("Content-Length: 3\r\nTransfer-Encoding: Chunked\r\n"),
            (Framing::Chunked, true)
        );
        assert!(!head("HTTP/1.0 200 OK\nContent-Length: 3\n\n").keeps);
        assert_eq!(head("HTTP/1.1 204 No Content\r\n\r\n").framing, Framing::Length(0));
    }
}
