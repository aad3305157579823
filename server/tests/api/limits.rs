//! Limits of names, lists, bodies and headers, each with an answer that says so.

use litevfs::types::Pos;
use serde_json::{Map, Value, json};

use crate::client::finish;
use crate::model::{Model, pos_json};
use crate::process::Server;
use crate::read;

#[test]
fn names_are_names_and_never_paths() {
    let server = Server::start();
    let client = server.client();
    let ltx = Model::new(512).commit(&[(1, 1)], 1);
    let long = "x".repeat(256);
    for name in
        ["", ".", "..", ".a", "a/b", "a%2Fb", "..%2Fa", "%2Fetc", "a%00b", "a%20b", "%C3%A4", &long]
    {
        client.push(name, &ltx).assert_refused(400, "EBADDB");
        client.get(&format!("/db/snapshot?db={name}")).assert_refused(400, "EBADDB");
    }
    let longest = "y".repeat(255);
    for name in [longest.as_str(), "A-Z_0.9", "ltx", "a..b"] {
        client.push(name, &ltx).assert_ok();
        client.get(&format!("/db/snapshot?db={name}")).assert_ok();
    }
    assert_eq!(client.get("/pos").json().as_object().unwrap().len(), 4);
    let outside: Vec<_> = std::fs::read_dir(server.data()).unwrap().collect();
    assert_eq!(outside.len(), 2, "only the cluster and our own folder: {outside:?}");
    let long_cluster = "x".repeat(33);
    client.get(&format!("/pos?cluster={long_cluster}")).assert_refused(400, "EBADCLUSTER");
}

#[test]
fn page_lists_end_at_1024() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    client.push("a", &model.commit(&[(1, 1)], 1)).assert_ok();
    let ones = |count| vec!["1"; count].join(",");
    let answer = read::get(&client, "a", model.pos, &ones(1024)).assert_ok();
    assert_eq!(read::pages(&answer).len(), 1024);
    let refused = read::get(&client, "a", model.pos, &ones(1025));
    refused.assert_refused(400, "EBADINPUT");
    assert!(refused.json()["error"].as_str().unwrap().contains("1024"));
}

#[test]
fn uploads_end_at_the_limit_given() {
    let server = Server::start_with(&["--token", "t0", "--max-body", "2000"]);
    let client = server.client();
    let small = Model::new(512).commit(&[(1, 1)], 1);
    client.push("a", &small).assert_ok();
    let large = vec![0; 2001];
    client.push("a", &large).assert_refused(413, "EBADINPUT");
    // What says that it is too long is refused before it is sent.
    let head = client.head("POST", "/db/tx?db=a", "Content-Length: 2001\r\n");
    finish(client.begin(head.as_bytes())).assert_refused(413, "EBADINPUT");
    let chunks: Vec<&[u8]> = large.chunks(100).collect();
    client.post_chunked("/db/tx?db=a", &chunks).assert_refused(413, "EBADINPUT");
}

#[test]
fn sync_bodies_end_at_their_limits() {
    let server = Server::start();
    let client = server.client();
    let body = |count: usize| {
        let positions: Map<String, Value> =
            (0..count).map(|n| (n.to_string(), pos_json(Pos::EMPTY))).collect();
        json!({ "positions": positions }).to_string()
    };
    client.post("/sync", body(1000).as_bytes()).assert_ok();
    client.post("/sync", body(1001).as_bytes()).assert_refused(400, "EBADINPUT");
    client.post("/sync", &vec![b' '; 2 << 20]).assert_refused(400, "EBADINPUT");
}

#[test]
fn long_headers_are_refused_and_the_server_lives() {
    let server = Server::start();
    let long = server.client().header("X-Long", &"x".repeat(200_000));
    assert_eq!(long.get("/pos").status, 431);
    server.client().get("/pos").assert_ok();
}

#[test]
fn rubbish_on_a_connection_does_no_harm() {
    let server = Server::start();
    for rubbish in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET",
        b"POST /db/tx?db=a HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ] {
        drop(server.client().begin(rubbish));
    }
    let cut = server.client().head("POST", "/db/tx?db=a", "Content-Length: 1000\r\n");
    drop(server.client().begin(cut.as_bytes()));
    server.client().get("/pos").assert_ok();
}
