//! A small HTTP/1.1 client, so that tests control every byte they send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Sends each request on a connection of its own.
#[derive(Clone)]
pub struct Client {
    address: String,
    headers: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(address: &str) -> Client {
        Client { address: address.to_owned(), headers: String::new() }
    }

    /// The same client with one more header on every request.
    pub fn header(&self, name: &str, value: &str) -> Client {
        let headers = format!("{}{name}: {value}\r\n", self.headers);
        Client { address: self.address.clone(), headers }
    }

    pub fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[])
    }

    pub fn post(&self, target: &str, body: &[u8]) -> Answer {
        self.send("POST", target, body)
    }

    pub fn delete(&self, target: &str) -> Answer {
        self.send("DELETE", target, &[])
    }

    /// A call without a body.
    pub fn call(&self, method: &str, target: &str) -> Answer {
        self.send(method, target, &[])
    }

    /// Any call with any body.
    pub fn call_with(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.send(method, target, body)
    }

    /// Pushes an LTX file.
    pub fn push(&self, db: &str, ltx: &[u8]) -> Answer {
        self.post(&format!("/db/tx?db={db}"), ltx)
    }

    /// Posts a body in chunks, without saying how long it is.
    pub fn post_chunked(&self, target: &str, chunks: &[&[u8]]) -> Answer {
        let mut body = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        let head = self.head("POST", target, "Transfer-Encoding: chunked\r\n");
        finish(self.begin(&[head.as_bytes(), &body].concat()))
    }

    /// Sends bytes and leaves the connection open, for [`finish`].
    pub fn begin(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // A server that refuses early may close before everything is sent; its answer counts.
        let _ = stream.write_all(bytes);
        stream
    }

    /// A request line and headers.
    pub fn head(&self, method: &str, target: &str, more: &str) -> String {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}{more}\r\n",
            self.address, self.headers
        )
    }

    fn send(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let length = format!("Content-Length: {}\r\n", body.len());
        let head = self.head(method, target, &length);
        finish(self.begin(&[head.as_bytes(), body].concat()))
    }
}

/// Reads the answer.
pub fn finish(mut stream: impl Read) -> Answer {
    let mut bytes = Vec::new();
    // A reset after an early refusal may follow the answer.
    let read = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {read:?}, {} bytes", bytes.len()));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = bytes.split_off(end + 4);
    if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
        body = unchunk(&body);
    }
    Answer { status, headers, body }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n").expect("a whole body");
        let len = std::str::from_utf8(&bytes[..line]).unwrap();
        let len = usize::from_str_radix(len, 16).unwrap();
        if len == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[line + 2..line + 2 + len]);
        bytes = &bytes[line + 2 + len + 2..];
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Status and error code.
    pub fn refusal(&self) -> (u16, String) {
        let json = self.json();
        assert!(!json["error"].as_str().unwrap().is_empty());
        (self.status, json["code"].as_str().unwrap().to_owned())
    }

    /// Asserts that the request was refused like that.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!(self.refusal(), (status, code.to_owned()), "{}", self.json());
    }

    /// The same, and what it was told.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> String {
        self.assert_refused(status, code);
        self.json()["error"].as_str().unwrap().to_owned()
    }

    /// Asserts that the request succeeded.
    #[track_caller]
    pub fn assert_ok(self) -> Answer {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}
