//! The transport against a server that says exactly what the test has it say.

use super::NativeTransport;
use crate::config::BaseUrl;
use crate::http::{Method, Request, Response, Transport, TransportError};
use core::sync::atomic::Ordering::Relaxed;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a server says on one connection: an answer to each request; then it hangs up.
type Answers = Vec<&'static str>;

/// A server, with the requests that it saw: the connection's number and the first line of each.
struct Script {
    base: BaseUrl,
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Script {
    fn new(connections: Vec<Answers>) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let seen_there = Arc::clone(&seen);
        std::thread::spawn(move || {
            for (number, answers) in connections.into_iter().enumerate() {
                let (mut stream, _) = listener.accept().unwrap();
                for answer in answers {
                    let Some(line) = read_request(&mut stream) else { break };
                    seen_there.lock().unwrap().push((number, line));
                    say(&mut stream, answer);
                }
            }
        });
        Script { base: BaseUrl::parse(&url, "test").unwrap(), seen }
    }

    fn transport(&self) -> NativeTransport {
        NativeTransport::with_vars(&self.base, |_| None).unwrap()
    }

    fn request(&self, method: Method) -> Request<'static> {
        Request {
            method,
            url: format!("{}/path", self.base),
            headers: Vec::new(),
            body: if method == Method::Post { b"body" } else { b"" },
            timeout_ms: 10_000,
            max_answer_len: 20,
            is_streamed: false,
        }
    }

    fn connections(&self) -> Vec<usize> {
        self.seen.lock().unwrap().iter().map(|(number, _)| *number).collect()
    }
}

/// Reads a header and a body of four bytes, if there is to be one.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        text.extend(byte);
    }
    let text = String::from_utf8(text).unwrap();
    if text.contains("Content-Length: 4") {
        stream.read_exact(&mut [0; 4]).ok()?;
    }
    text.lines().next().map(str::to_string)
}

/// Says what stands before each `|` by itself.
fn say(stream: &mut TcpStream, answer: &str) {
    for part in answer.split('|') {
        let _ = stream.write_all(part.as_bytes());
        std::thread::sleep(Duration::from_millis(5));
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn outcome(answer: &'static str) -> Result<Response, TransportError> {
    let script = Script::new(vec![vec![answer]]);
    script.transport().send(&script.request(Method::Get))
}

fn body(answer: &'static str) -> String {
    String::from_utf8(outcome(answer).unwrap().body).unwrap()
}

#[test]
fn bodies_end_where_they_should() {
    assert_eq!(body(OK), "ok");
    assert_eq!(
        body("HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n|ok"),
        "ok"
    );
    assert_eq!(body("HTTP/1.1 200 OK\r\n\r\nto the |end"), "to the end");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = "5\r\nhello\r|\n00007;x=y\r\n, worl|d\r\n0|\r\nA: b\r\n\r\n";
    let answer: &'static str = format!("{chunked}{chunks}").leak();
    assert_eq!(body(answer), "hello, world");
}

#[test]
fn broken_answers_are_errors() {
    for (answer, retryable) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokok", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n123456789012345678901", false),
        ("HTTP/1.1 200 OK\r\n\r\n123456789012345678901", false),
        ("HTTP/1.1 200", true),
        ("", true),
    ] {
        let error = outcome(answer).unwrap_err();
        assert!(error.maybe_sent, "{answer}: {error:?}");
        assert_eq!(error.retryable, retryable, "{answer}: {error:?}");
    }
}

#[test]
fn a_connection_is_used_again_when_its_answer_was_read_to_the_end() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let closing = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nlong body";
    let script = Script::new(vec![vec![OK, chunked, closing], vec![OK, long], vec![OK]]);
    let transport = script.transport();
    let request = script.request(Method::Post);
    for _ in 0..4 {
        assert_eq!(transport.send(&request).unwrap().body, b"ok");
    }
    let mut answer = transport.open(&request).unwrap();
    assert_eq!(answer.body.read(&mut [0; 4], 10_000), Ok(4));
    drop(answer);
    transport.send(&request).unwrap();
    assert_eq!(script.connections(), [0, 0, 0, 1, 1, 2]);
}

#[test]
fn a_kept_connection_that_is_dead_costs_a_get_nothing() {
    // It ends when it is asked for the second time: nothing tells before.
    let script = Script::new(vec![vec![OK, ""], vec![OK, ""], vec![OK]]);
    let transport = script.transport();
    for _ in 0..2 {
        transport.send(&script.request(Method::Get)).unwrap();
    }
    let error = transport.send(&script.request(Method::Post)).unwrap_err();
    assert!(error.maybe_sent && error.retryable, "{error:?}");
    transport.send(&script.request(Method::Post)).unwrap();
    assert_eq!(script.connections(), [0, 0, 1, 1, 2]);
}

#[test]
fn a_slow_answer_has_no_dead_connection_cost_a_whole_call() {
    let script = Script::new(vec![vec![OK, OK, OK]]);
    let transport = script.transport();
    let request = script.request(Method::Get);
    let after = |usual_ms: u32| {
        transport.usual_ms.store(usual_ms, Relaxed);
        transport.patience_ms(&request)
    };
    assert_eq!([0, 500, 1_000].map(after), [Some(800), Some(2_000), Some(3_000)]);
    assert_eq!(after(5_000), None);
    after(1_000);
    transport.send(&request).unwrap();
    transport.send(&request).unwrap();
    // On the connection that is there the server would answer; but whether that is dead could not be told in
    // time. To another one it does not say anything.
    after(5_000);
    let hurried = Request { timeout_ms: 100, ..request.clone() };
    transport.send(&hurried).unwrap_err();
    assert_eq!(script.connections(), [0, 0]);
}

#[test]
fn a_refusal_is_heard_while_the_body_is_still_being_sent() {
    let refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    let script = Script::new(vec![vec![refusal], vec![OK]]);
    let transport = script.transport();
    let body = vec![0; 20_000_000];
    let large = Request { body: &body, ..script.request(Method::Post) };
    // Where the server's last segment ends the connection first, that is all there is to hear.
    match transport.send(&large) {
        Ok(response) => assert_eq!(response.status, 413),
        Err(error) => assert!(error.maybe_sent && error.retryable, "{error:?}"),
    }
    transport.send(&script.request(Method::Get)).unwrap();
    assert_eq!(script.connections(), [0, 1]);
}

#[test]
fn what_takes_too_long_fails_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = BaseUrl::parse(&format!("http://{}", silent.local_addr().unwrap()), "test").unwrap();
    let script = Script { base, seen: Arc::default() };
    let request = Request { timeout_ms: 50, ..script.request(Method::Get) };
    let error = script.transport().send(&request).unwrap_err();
    assert_eq!((error.maybe_sent, error.reason.as_str()), (true, "no answer in time"));
    drop(silent);
    let error = script.transport().send(&request).unwrap_err();
    assert_eq!((error.maybe_sent, error.reason.as_str()), (false, "connection refused"));
}

#[test]
fn nothing_that_leaves_its_line_is_sent() {
    let script = Script::new(Vec::new());
    let transport = script.transport();
    let request = |url: &str, value: &str| Request {
        url: format!("{}{url}", script.base),
        headers: vec![("Lfsc-Lease-Id", value.to_string())],
        ..script.request(Method::Get)
    };
    for (url, value) in [
        ("/db\r\nX-Evil: 1", "id"),
        ("/d b", "id"),
        ("/db", "id\r\nX-Evil: 1"),
        ("/db", "id\nX-Evil: 1"),
        ("/db", "\u{e9}"),
    ] {
        let error = transport.send(&request(url, value)).unwrap_err();
        assert!(!error.retryable && !error.maybe_sent, "{url:?} {value:?}");
        assert!(error.reason.contains("can't be sent"), "{}", error.reason);
    }
    assert!(script.connections().is_empty());
}
