//! What is configured gets into a request as one line each, is shown without secrets, and reads back as it is shown.

use crate::backend::lfsc::fuzzing::decode_base64;
use crate::config::{BaseUrl, Environment, Parameters, parse_switch};
use crate::http::native::NativeTransport;
use crate::http::native::dial::Host;
use crate::http::{Method, Request, proxy};
use crate::units::{parse_bound_ms, parse_duration_ms, parse_size, show_duration_ms, show_size};

/// Variables in the order in which lines give them.
const VARIABLES: [&str; 7] = [
    "LITEFS_CLOUD_TOKEN",
    "LITEFS_CLOUD_HOST",
    "LITEFS_CLOUD_CLUSTER",
    "LITEVFS_CACHE_DIR",
    "LITEVFS_MAX_STALENESS",
    "LITEVFS_MAX_BULK_BYTES",
    "LITEVFS_AUTO_LEASE",
];

pub fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 16] = [
        b"\x00https://a.example:443/p/q?x#y",
        b"\x00http://[::1]:20202",
        b"\x00http://[::1]:\r\nX: y]",
        b"\x00http://localhost:",
        b"\x0110 MiB",
        b"\x011.5s",
        b"\x01off",
        b"\x02tok\nhttp://h\nc\n/tmp\n5s\n10MB\non",
        b"\x02tok\nhttp://h\n\n\n\n\n\nhttps://[::1]:1\nother\nc2\n/x",
        b"\x03http://u:p@proxy:3128/\na.example, .b",
        b"\x03proxy\n*",
        b"\x03u%41:p@[::1]:1\n",
        b"\x04litevfs=debug,info",
        b"\x04Zm9vYg==",
        b"\x04====",
        b"\x01-0",
    ];
    texts.iter().map(|text| text.to_vec()).collect()
}

/// The first byte says what the others are.
pub fn check(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    match choice % 5 {
        0 => url(text),
        1 => units(text),
        2 => environment(text),
        3 => proxies(text),
        _ => {
            if let Some(bytes) = decode_base64(text) {
                let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
                assert_eq!(bytes.len() + padding, text.len() / 4 * 3);
            }
        }
    }
}

fn is_clean(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn url(text: &str) {
    let Ok(url) = BaseUrl::parse(text, "p") else { return };
    assert!(is_clean(&url.authority) && is_clean(&url.prefix), "{url:?}");
    let shown = url.to_string();
    assert_eq!(BaseUrl::parse(&shown, "p"), Ok(url.clone()), "{shown:?}");
    let host = Host::new(&url.authority, 80);
    assert!(host.is_none() || !url.host().is_empty(), "{shown:?}");
    if let Some(host) = host {
        assert!(is_clean(&host.authority()));
    }
    let Ok(transport) = NativeTransport::with_vars(&url, |_| None) else { return };
    let request = Request {
        method: Method::Get,
        url: format!("{shown}/x?y=1"),
        headers: vec![("A", "b".into())],
        body: &[],
        timeout_ms: 1,
        max_answer_len: 1,
    };
    let head = transport.head(&request).unwrap();
    assert!(head.ends_with(b"\r\n\r\n"));
    // The request's line, Host, one field, and the end.
    assert_eq!(head.iter().filter(|byte| **byte == b'\n').count(), 4, "{shown:?}");
    assert_eq!(head.iter().filter(|byte| **byte == b'\r').count(), 4, "{shown:?}");
}

fn units(text: &str) {
    let _ = (parse_bound_ms(text), parse_switch(text));
    let number = text.bytes().take(8).fold(0, |number, byte| number << 8 | u64::from(byte));
    let numbers = [parse_size(text), parse_duration_ms(text), Some(number)];
    for number in numbers.into_iter().flatten() {
        assert_eq!(parse_size(&show_size(number)), Some(number), "{}", show_size(number));
        let shown = show_duration_ms(number);
        assert_eq!(parse_duration_ms(&shown), Some(number), "{shown}");
    }
}

fn environment(text: &str) {
    let lines: Vec<&str> = text.split('\n').collect();
    let line = |at: usize| lines.get(at).copied();
    let var = |name: &str| {
        let at = VARIABLES.iter().position(|variable| *variable == name)?;
        line(at).map(String::from)
    };
    let Ok(environment) = Environment::from_vars(var) else { return };
    let parameters =
        Parameters { host: line(7), token: line(8), cluster: line(9), cache_dir: line(10) };
    let Ok(config) = environment.config(&parameters) else { return };
    let token = config.token.reveal();
    assert!(token.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !token.is_empty());
    let shown = format!("{:?}", config.token);
    assert_eq!(shown, "Token(..)");
    let is_elsewhere = |text: &str| {
        config.base_url.to_string().contains(text)
            || config.cluster.as_ref().is_some_and(|cluster| cluster.as_str().contains(text))
    };
    assert!(token.len() < 12 || !config.identity().contains(token) || is_elsewhere(token));
    if parameters.token.is_none() && parameters.host.is_some() {
        let own = environment.config(&Parameters::default()).unwrap();
        assert_eq!(config.base_url, own.base_url, "the token goes to another host");
    }
}

fn proxies(text: &str) {
    let (proxy, exempt) = text.split_once('\n').unwrap_or((text, ""));
    let var = |name: &str| match name {
        "http_proxy" => Some(proxy.to_string()),
        "no_proxy" => Some(exempt.to_string()),
        _ => None,
    };
    let base = BaseUrl::parse("http://a.example", "p").unwrap();
    let Ok(Some(found)) = proxy::proxy_for(&base, var) else { return };
    assert!(is_clean(&found.address), "{:?}", found.address);
    if let Some(authorization) = &found.authorization {
        let credentials = authorization.strip_prefix("Basic ").unwrap();
        assert!(decode_base64(credentials).is_some());
    }
    if let Some(host) = Host::new(&found.address, found.port) {
        assert!(is_clean(&host.authority()));
    }
}
