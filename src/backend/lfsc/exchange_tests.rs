//! What is said of answers that are no good: the server's own, and those of what is in front of it.

use super::{Call, Exchange};
use crate::config::{Environment, Parameters};
use crate::error::ErrorKind;
use crate::http::{Body, Method, Request, Response, Transport, TransportError};
use crate::sys::{VirtualTime, Within};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

struct Says(u16, &'static str);

struct Rest(Vec<u8>);

impl Transport for Says {
    fn open(&self, _: &Request) -> Result<Response<Box<dyn Body>>, TransportError> {
        let headers = [("Location".to_string(), "https://other/\x1b[2J".to_string())].into();
        Ok(Response { status: self.0, headers, body: Box::new(Rest(self.1.into())) })
    }
}

impl Body for Rest {
    fn read(&mut self, bytes: &mut [u8], _: u64) -> Result<usize, TransportError> {
        let len = self.0.len().min(bytes.len());
        for (to, from) in bytes.iter_mut().zip(self.0.drain(..len)) {
            *to = from;
        }
        Ok(len)
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

fn told(status: u16, body: &'static str, host: Option<&str>) -> (ErrorKind, String) {
    let var = |name: &str| match name {
        "LITEFS_CLOUD_HOST" => host.map(String::from),
        "LITEFS_CLOUD_TOKEN" => Some("secret".to_string()),
        _ => None,
    };
    let config = Environment::from_vars(var).unwrap().config(&Parameters::default()).unwrap();
    let exchange = Exchange::new(config, Box::new(Says(status, body)));
    let call = Call { repeatable: false, ..Call::new(Method::Get, "/pos") };
    let whole = exchange.call(call).err().unwrap().error;
    let call = Call { repeatable: false, ..Call::new(Method::Get, "/pos") };
    let streamed = exchange.open(call).err().unwrap().error;
    assert_eq!(whole, streamed);
    (whole.kind(), whole.message().to_string())
}

const HTML: &str = "<html><head><title>Forbidden</title></head></html>";
const HOST: Option<&str> = Some("http://h");

#[test]
fn the_token_is_blamed_where_the_server_does() {
    let (_, text) = told(401, r#"{"code":"EINVALIDAUTH","error":"no secret"}"#, HOST);
    assert!(text.contains("EINVALIDAUTH no (token); check token"), "{text}");
    for (status, body) in
        [(401, HTML), (403, HTML), (403, r#"{"message":"Forbidden"}"#), (403, r#"{"code":1020}"#)]
    {
        let (kind, text) = told(status, body, HOST);
        assert!(text.contains("rules of its own") && !text.contains("check token"), "{text}");
        assert!(!text.contains('<'), "{text}");
        assert_eq!(kind, ErrorKind::Refused);
    }
}

#[test]
fn each_status_of_a_front_has_its_advice() {
    for (status, words) in [
        (301, "(https://other/) without an error code"),
        (404, "is a litevfs-cloud behind this URL"),
        (413, "client_max_body_size"),
        (502, "is litevfs-cloud running"),
        (504, "time limit"),
    ] {
        let (_, text) = told(status, HTML, HOST);
        assert!(text.contains(words) && text.contains(&status.to_string()), "{text}");
        assert!(text.contains("something in front of litevfs-cloud"), "{text}");
        assert!(!text.contains('<') && !text.contains('\x1b'), "{text}");
    }
    let (_, text) = told(503, "no healthy upstream\n", HOST);
    assert!(text.contains("no healthy upstream"), "{text}");
    let (_, own) = told(413, r#"{"code":"EBADINPUT","error":"raise --max-body"}"#, HOST);
    assert!(own.ends_with("EBADINPUT raise --max-body"), "{own}");
}

#[test]
fn a_service_that_nobody_named_is_told_to_be_gone() {
    let words = "LITEFS_CLOUD_HOST is not set";
    assert!(told(404, HTML, None).1.contains(words));
    assert!(!told(404, HTML, HOST).1.contains(words));
    assert!(!told(404, r#"{"code":"ENODB","error":""}"#, None).1.contains(words));
}

#[test]
fn a_call_has_no_more_time_than_what_it_is_a_part_of() {
    struct Notes;
    impl Transport for Notes {
        fn open(&self, request: &Request) -> Result<Response<Box<dyn Body>>, TransportError> {
            let reason = request.timeout_ms.to_string();
            Err(TransportError { maybe_sent: true, retryable: false, reason })
        }
    }
    let var = |name: &str| (name == "LITEFS_CLOUD_TOKEN").then(|| "secret".to_string());
    let config = Environment::from_vars(var).unwrap().config(&Parameters::default()).unwrap();
    let exchange = Exchange::new(config, Box::new(Notes));
    let has_ms = |ms: u64| {
        let error = exchange.call(Call::new(Method::Get, "/pos")).err().unwrap().error;
        assert!(error.message().contains(&format!(": {ms};")), "{error}");
    };
    let _time = VirtualTime::start();
    {
        let _outer = Within::new(5_000);
        VirtualTime::advance(1_000);
        has_ms(4_000);
        {
            let _inner = Within::new(10_000);
            has_ms(4_000);
            let _innermost = Within::new(1_000);
            has_ms(1_000);
        }
        has_ms(4_000);
        VirtualTime::advance(10_000);
        // Nothing is asked: without time for an answer a browser waits for ever.
        let failure = exchange.call(Call::new(Method::Get, "/pos")).err().unwrap();
        assert!(failure.error.message().contains("no time was left"), "{}", failure.error);
        assert!(!failure.maybe_applied);
    }
    has_ms(8_000);
}
