//! What every request has in common: tokens, clusters, headers, unknown calls.

use serde_json::json;

use crate::model::{Model, pos_json};
use crate::process::Server;

#[test]
fn every_call_wants_a_token() {
    let server = Server::start();
    let calls = [
        ("GET", "/info"),
        ("GET", "/pos"),
        ("POST", "/db/tx?db=a"),
        ("GET", "/db/snapshot?db=a"),
        ("GET", "/db/page?db=a&pos=0000000000000001/8000000000000001&pgno=1"),
        ("GET", "/db/sync?db=a"),
        ("POST", "/sync"),
        ("POST", "/lease?db=a&duration=1000"),
        ("DELETE", "/lease?db=a&id=1"),
    ];
    for stranger in [server.stranger(), server.stranger().header("Authorization", "t1")] {
        for (method, target) in calls {
            let answer = match method {
                "GET" => stranger.get(target),
                "POST" => stranger.post(target, b""),
                _ => stranger.delete(target),
            };
            answer.assert_refused(401, "EINVALIDAUTH");
        }
    }
    for header in ["t0", "Bearer t0"] {
        server.stranger().header("Authorization", header).get("/pos").assert_ok();
    }
}

#[test]
fn clusters_are_apart_and_scoped_tokens_stay_in_theirs() {
    let server = Server::start_with(&["--token", "t0", "--cluster-token", "one", "t1"]);
    let scoped = server.stranger().header("Authorization", "t1");
    let mut model = Model::new(512);
    let ltx = model.commit(&[(1, 1)], 1);
    scoped.push("a", &ltx).assert_ok();
    let here = json!({ "a": pos_json(model.pos) });
    assert_eq!(scoped.get("/pos").json(), here);
    assert_eq!(scoped.get("/pos?cluster=one").json(), here);
    scoped.get("/pos?cluster=two").assert_refused(401, "EBADCLUSTER");
    scoped.get("/pos?cluster=default").assert_refused(401, "EBADCLUSTER");
    let all = server.client();
    assert_eq!(all.get("/pos").json(), json!({}));
    assert_eq!(all.get("/pos?cluster=one").json(), here);
    all.get("/pos?cluster=..").assert_refused(400, "EBADCLUSTER");
    all.get("/pos?cluster=.litevfs-cloud").assert_refused(400, "EBADCLUSTER");
}

#[test]
fn without_tokens_the_header_names_the_cluster() {
    let server = Server::start_with(&[]);
    let one = server.stranger().header("Authorization", "cluster one");
    one.push("a", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    assert!(one.get("/pos").json().get("a").is_some());
    assert_eq!(server.stranger().get("/pos").json(), json!({}));
    assert!(server.stranger().get("/pos?cluster=one").json().get("a").is_some());
}

#[test]
fn without_tokens_web_pages_from_elsewhere_are_refused() {
    let server = Server::start_with(&[]);
    let page = server.stranger().header("Origin", "https://example.com");
    page.push("a", &Model::new(512).commit(&[(1, 1)], 1)).assert_refused(403, "EFORBIDDEN");
    page.get("/pos").assert_refused(403, "EFORBIDDEN");
    let rebound = server.stranger().header("Host", "example.com");
    rebound.get("/pos").assert_refused(403, "EFORBIDDEN");
    let own = server.stranger().header("Origin", "http://localhost:3000");
    assert_eq!(own.get("/pos").assert_ok().json(), json!({}));
    // With tokens a page needs one, and names are the operator's affair.
    let server = Server::start();
    let page = server.client().header("Origin", "https://example.com");
    page.header("Host", "example.com").get("/pos").assert_ok();
}

#[test]
fn the_cluster_id_lasts_and_differs_between_clusters() {
    let mut server = Server::start();
    let id = |server: &Server, target: &str| {
        let json = server.client().get(target).assert_ok().json();
        json["clusterID"].as_str().unwrap().to_owned()
    };
    let (one, two) = (id(&server, "/info?cluster=one"), id(&server, "/info?cluster=two"));
    let digits = one.strip_prefix("LFSC").unwrap();
    assert!(
        digits.len() == 16
            && digits.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_lowercase())
    );
    assert_ne!(one, two);
    server.kill();
    server.restart();
    assert_eq!(id(&server, "/info?cluster=one"), one);
}

#[test]
fn headers_common_to_every_request() {
    let server = Server::start();
    let client = server.client();
    let ids =
        ["/pos", "/nowhere"].map(|path| client.get(path).header("x-request-id").map(str::len));
    assert_eq!(ids, [Some(16); 2]);
    // There is no other server that its databases could be asked of.
    assert_eq!(client.get("/pos").header("lfsc-instance-id"), None);
    let with_id = |id: &str| client.header("Litefs-Cluster-Id", id).get("/pos");
    with_id("LFSC0123456789ABCDEF").assert_ok();
    for bad in ["LFSC", "LFSC0123456789abcdef", "LFSD0123456789ABCDEF", "x"] {
        with_id(bad).assert_refused(400, "EBADHEADER");
    }
}

#[test]
fn unknown_calls_and_methods_are_told() {
    let server = Server::start();
    let client = server.client();
    client.get("/db/nothing").assert_refused(404, "ENOTFOUND");
    assert_eq!(client.get("/db/tx?db=a").status, 405);
    assert_eq!(client.post("/pos", b"").status, 405);
}
