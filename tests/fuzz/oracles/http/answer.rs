//! How an answer is cut into packets changes nothing: neither what it says, nor whether to ask again helps.

use crate::http::Body;
use crate::http::native::body::LineBody;
use crate::http::native::head;
use crate::http::native::line::{Line, Script, Stream};

/// Status and fields, whether the connection is kept, and the body; or whether it may be asked for again.
type Outcome = Result<(u16, Vec<(String, String)>, bool, Result<Vec<u8>, bool>), bool>;

pub fn seeds() -> Vec<Vec<u8>> {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_string(),
        "HTTP/1.1 200 OK\r\n\r\nto the end".to_string(),
        "HTTP/1.0 204 No Content\r\nConnection: x, Close\r\n\r\n".to_string(),
        format!("{chunked}5\r\nhello\r\n00007;x=y\r\n, world\r\n0\r\nA: b\r\n\r\n"),
        format!("{chunked}ff\r\n123456789012345678901"),
        "SSH-2.0-OpenSSH\r\n".to_string(),
    ]
    .iter()
    .map(|answer| [b"\x09\x40", answer.as_bytes()].concat())
    .chain([b"\x09\x40no \xff HTTP\n".to_vec(), [&[9, 64], &[b'x'; 17_000][..]].concat()])
    .collect()
}

/// The first byte says how it is cut, the second how long it may be.
pub fn check(data: &[u8]) {
    let [step, most, answer @ ..] = data else { return };
    let max_len = usize::from(*most).pow(2) * 4;
    let step = 1 + usize::from(*step);
    let whole = read(answer, usize::MAX, max_len, 1 << 16);
    assert_eq!(whole, read(answer, 1, max_len, step), "byte by byte");
    assert_eq!(whole, read(answer, step, max_len, 3), "{step} bytes at a time");
    let Ok((status, headers, _, _)) = whole else { return };
    assert!((100..1000).contains(&status));
    for (name, value) in headers {
        assert!(!name.contains(['\n', ':']) && !name.is_empty() && !value.contains('\n'));
    }
    assert!(head::parse(answer).is_ok_and(|head| head.is_some()));
}

/// Reads an answer that comes `step` bytes at a time, `part` bytes of its body at a time.
fn read(answer: &[u8], step: usize, max_len: usize, part: usize) -> Outcome {
    let mut line = Line::new(Stream::Script(Script::new(answer, step)));
    let head = line.read_head().map_err(|error| error.retryable)?;
    let keeps = head.keeps;
    let response = head.response;
    let mut body =
        LineBody::new(line, head.framing, None, max_len).map_err(|error| error.retryable)?;
    let (mut content, mut bytes) = (Vec::new(), vec![0; part]);
    let content = loop {
        match body.read(&mut bytes, 1000) {
            Ok(0) => break Ok(content),
            Ok(len) => content.extend_from_slice(&bytes[..len]),
            Err(error) => {
                assert_eq!(body.read(&mut bytes, 1), Ok(0), "after an error");
                break Err(error.retryable);
            }
        }
        assert!(content.len() <= max_len);
    };
    Ok((response.status, response.headers, keeps, content))
}
