//! Browsers: which web pages may use the server, and what they are told.

use crate::client::{Answer, Client};
use crate::model::Model;
use crate::process::Server;

const PAGE: &str = "https://app.example";

/// Asks as a browser does before it sends a page's request, without any token.
fn preflight(server: &Server, origin: &str, target: &str, headers: &str) -> Answer {
    let asking = server.stranger().header("Origin", origin);
    let asking = asking.header("Access-Control-Request-Method", "POST");
    asking.header("Access-Control-Request-Headers", headers).call("OPTIONS", target)
}

fn allowed_origin(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

fn words(answer: &Answer, header: &str) -> Vec<String> {
    let list = answer.header(header).unwrap_or_default();
    list.split(',').map(|word| word.trim().to_ascii_lowercase()).collect()
}

#[test]
fn a_listed_page_passes_and_others_do_not() {
    let server = Server::start_with(&["--token", "t0", "--cors-origin", PAGE]);
    let sent = "authorization,content-type,lfsc-lease-id,litefs-cluster-id,fly-force-instance-id";
    for target in ["/db/tx?db=a", "/lease?db=a", "/sync", "/no/such/call"] {
        let answer = preflight(&server, PAGE, target, sent);
        assert_eq!((answer.status, allowed_origin(&answer)), (200, Some(PAGE)), "{target}");
        let headers = words(&answer, "access-control-allow-headers");
        assert!(sent.split(',').all(|name| headers.iter().any(|header| header == name)));
        for method in ["get", "post", "delete"] {
            assert!(words(&answer, "access-control-allow-methods").iter().any(|m| m == method));
        }
    }
    for other in ["https://evil.example", "http://app.example", "https://app.example:8443", "null"]
    {
        assert_eq!(allowed_origin(&preflight(&server, other, "/pos", sent)), None, "{other}");
    }
    // A page may read an answer, its headers, and a refusal.
    let page = server.client().header("Origin", PAGE);
    let answer = page.push("a", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    assert_eq!(allowed_origin(&answer), Some(PAGE));
    let exposed = words(&answer, "access-control-expose-headers");
    for header in ["litefs-hwm", "x-request-id", "content-length"] {
        assert!(answer.header(header).is_some() && exposed.iter().any(|name| name == header));
    }
    for header in ["litevfs-pos", "lfsc-instance-id", "lfsc-lease-duration"] {
        assert!(exposed.iter().any(|name| name == header));
    }
    let refused = server.stranger().header("Origin", PAGE).get("/pos");
    refused.assert_refused(401, "EINVALIDAUTH");
    assert_eq!(allowed_origin(&refused), Some(PAGE));
}

#[test]
fn any_page_passes_where_any_may() {
    let server = Server::start_with(&["--token", "t0", "--cors-origin", "*"]);
    let answer = preflight(&server, "https://anything.example", "/pos", "authorization");
    assert_eq!((answer.status, allowed_origin(&answer)), (200, Some("*")));
    let page = server.stranger().header("Origin", "null");
    page.get("/pos").assert_refused(401, "EINVALIDAUTH");
}

#[test]
fn browsers_are_told_nothing_when_no_page_is_listed() {
    let server = Server::start();
    let answer = preflight(&server, PAGE, "/pos", "authorization");
    assert_eq!((answer.status, allowed_origin(&answer)), (405, None));
    let answer = server.client().header("Origin", PAGE).get("/pos").assert_ok();
    assert_eq!(allowed_origin(&answer), None);
}

#[test]
fn without_tokens_a_listed_page_is_let_in_beside_those_of_this_machine() {
    let server = Server::start_with(&["--cors-origin", PAGE]);
    let from = |origin| server.stranger().header("Origin", origin);
    let answer = from(PAGE).get("/pos").assert_ok();
    assert_eq!(allowed_origin(&answer), Some(PAGE));
    from("http://localhost:3000").get("/pos").assert_ok();
    from("https://evil.example").get("/pos").assert_refused(403, "EFORBIDDEN");
    // The name that the request is for counts all the same.
    let rebound: Client = from(PAGE).header("Host", "evil.example");
    rebound.get("/pos").assert_refused(403, "EFORBIDDEN");
}
