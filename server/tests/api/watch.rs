//! What operators look at: health, metrics, request ids, the log, and the way to the end.

use std::io::Read;

use serde_json::Value;

use crate::client::Client;
use crate::model::Model;
use crate::process::{Server, terminate, until};

#[test]
fn health_needs_no_token_and_tells_whether_the_store_answers() {
    let server = Server::start();
    let health = |client: &Client| client.get("/healthz").status;
    assert_eq!(server.stranger().get("/healthz").assert_ok().json()["status"], "ok");
    let (id, away) = (server.data().join(".litevfs-cloud/id"), server.dir().join("id"));
    std::fs::rename(&id, &away).unwrap();
    until("it is told that the store is gone", || health(&server.stranger()) == 503);
    server.stranger().get("/healthz").assert_refused(503, "EUNAVAILABLE");
    std::fs::rename(&away, &id).unwrap();
    until("it is well again", || health(&server.stranger()) == 200);
}

#[test]
fn a_server_that_is_to_stop_says_so_first() {
    let server = Server::start_with(&["--token", "t0", "--stop-delay", "10m"]);
    terminate(server.pid());
    until("it is told", || server.stranger().get("/healthz").status == 503);
    let answer = server.stranger().get("/healthz");
    assert!(answer.json()["error"].as_str().unwrap().contains("stopping"));
    server.client().get("/pos").assert_ok();
    let mut short = Server::start_with(&["--token", "t0", "--stop-delay", "100ms"]);
    assert!(short.stop());
}

#[test]
fn connections_without_a_request_do_not_hold_the_end_up() {
    let mut server = Server::start();
    let silent = server.client().begin(b"");
    let mut idle = server.client().begin(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    idle.read_exact(&mut [0; 12]).unwrap();
    assert!(server.stop());
    assert!(!server.log().contains("still under way"), "{}", server.log());
    drop((silent, idle));
}

/// The value of a metric.
fn value(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn metrics_count_what_was_done() {
    let server = Server::start();
    let client = server.client();
    client.push("secretive", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    client.post("/lease?db=secretive&duration=60000", b"").assert_ok();
    client.post("/lease?db=secretive&duration=60000", b"").assert_refused(409, "ELEASE");
    client.get("/db/snapshot?db=secretive").assert_ok();
    client.get("/db/snapshot?db=none").assert_refused(404, "ENODB");
    client.get("/nowhere/at/all");
    client.get("/other/place");
    let answer = client.get("/metrics").assert_ok();
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = String::from_utf8(answer.body).unwrap();
    let requests = |call: &str, status: u16| {
        value(
            &text,
            &format!("litevfs_cloud_requests_total{{call=\"{call}\",status=\"{status}\"}}"),
        )
    };
    assert_eq!(requests("/db/tx", 200), Some(1.0), "{text}");
    assert_eq!(requests("/db/snapshot", 404), Some(1.0));
    assert_eq!(requests("other", 404), Some(2.0));
    assert_eq!(value(&text, "litevfs_cloud_request_seconds_count{call=\"/db/tx\"}"), Some(1.0));
    assert!(value(&text, "litevfs_cloud_received_bytes_total") > Some(500.0));
    assert!(value(&text, "litevfs_cloud_sent_bytes_total") > Some(100.0));
    assert_eq!(value(&text, "litevfs_cloud_requests_in_flight"), Some(1.0));
    for (name, expected) in [
        ("commits_total", 1.0),
        ("leases_total{result=\"granted\"}", 1.0),
        ("leases_total{result=\"refused\"}", 1.0),
        ("leases_live", 1.0),
        ("databases_open", 1.0),
        ("pages_served_total", 1.0),
    ] {
        assert_eq!(value(&text, &format!("litevfs_cloud_{name}")), Some(expected), "{text}");
    }
    assert!(value(&text, "litevfs_cloud_commit_bytes_total") > Some(100.0));
    assert!(text.contains("litevfs_cloud_store_requests_total{op="), "{text}");
    assert!(text.ends_with("# EOF\n"));
    for name in ["secretive", "nowhere", "default"] {
        assert!(!text.contains(name), "{name}");
    }
}

#[test]
fn metrics_are_for_those_who_see_everything() {
    let server = Server::start_with(&["--token", "t0", "--cluster-token", "one", "t1"]);
    server.stranger().get("/metrics").assert_refused(401, "EINVALIDAUTH");
    let scoped = server.stranger().header("Authorization", "t1");
    scoped.get("/metrics").assert_refused(403, "EFORBIDDEN");
    server.client().get("/metrics").assert_ok();
    let public = Server::start_with(&["--token", "t0", "--metrics-public"]);
    public.stranger().get("/metrics").assert_ok();
    let open = Server::start_with(&[]);
    open.stranger().get("/metrics").assert_ok();
}

#[test]
fn a_sane_request_id_is_kept_and_others_are_made() {
    let server = Server::start();
    let id = |given: &str| {
        let answer = server.client().header("X-Request-Id", given).get("/pos");
        answer.header("x-request-id").unwrap().to_owned()
    };
    for good in ["1", "0f8b-4c.d_e:f", &"x".repeat(128)] {
        assert_eq!(id(good), good);
    }
    for bad in ["", "a b", "a\"b", "{}", "\u{e4}", &"x".repeat(129)] {
        let made = id(bad);
        assert!(made.len() == 16 && made.bytes().all(|b| b.is_ascii_hexdigit()), "{made}");
    }
    let one = server.stranger().get("/pos");
    let other = server.stranger().get("/nowhere");
    assert_ne!(one.header("x-request-id").unwrap(), other.header("x-request-id").unwrap());
}

#[test]
fn every_line_about_a_request_has_its_id() {
    let mut server = Server::start_logging("debug", &["--token", "t0", "--log-format", "json"]);
    let client = server.client();
    let with_id = |id: &str| client.header("X-Request-Id", id);
    with_id("first").push("a", b"no LTX file").assert_refused(422, "EBADFORMAT");
    with_id("second").push("a", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    assert!(server.stop());
    let log = server.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |id: &str| lines.iter().filter(|line| line["span"]["id"] == id).collect::<Vec<_>>();
    let told = |line: &&&Value| line["message"] == "answered";
    let (first, second) = (of("first"), of("second"));
    let first = first.iter().find(told).expect("a line about the first request");
    assert_eq!((&first["status"], &first["span"]["call"]), (&422.into(), &"/db/tx".into()));
    assert_eq!(first["span"]["token"], "argument-1");
    assert_eq!(second.iter().filter(told).count(), 1);
    assert!(lines.iter().any(|line| line["message"] == "stopping"));
}

#[test]
fn a_fault_of_the_server_is_a_warning_with_the_request_id() {
    let mut server = Server::start_logging("warn", &["--token", "t0"]);
    let client = server.client();
    let mut model = Model::new(512);
    for _ in 0..2 {
        client.push("a", &model.commit(&[(1, 1)], 1)).assert_ok();
    }
    server.kill();
    let level0 = server.level0("a");
    std::fs::remove_file(level0.join("0000000000000001-0000000000000001.ltx")).unwrap();
    server.restart();
    let broken = server.client().header("X-Request-Id", "the-broken-one");
    broken.get("/db/snapshot?db=a").assert_refused(500, "EINTERNAL");
    assert!(server.stop());
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("the-broken-one")).collect();
    assert!(lines.iter().any(|line| line.contains(" WARN ") && line.contains("500")), "{log}");
    assert!(lines.iter().any(|line| line.contains(" ERROR ")), "{log}");
}
