//! `GET /status`, and the page for people that shows it.

use std::path::Path;

use serde_json::{Value, json};

use crate::client::Client;
use crate::model::{Model, pos_json};
use crate::process::Server;

fn databases(client: &Client, target: &str) -> Vec<Value> {
    let status = client.get(target).assert_ok().json();
    status["databases"].as_array().unwrap().clone()
}

fn is_rfc3339(value: &Value) -> bool {
    chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).is_ok()
}

#[test]
fn a_database_is_told_with_its_size_position_and_files() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    client.push("a.db", &model.commit(&[(1, 1), (2, 2), (3, 3)], 3)).assert_ok();
    client.push("a.db", &model.commit(&[(1, 4)], 2)).assert_ok();
    let status = client.get("/status").assert_ok();
    let status = status.json();
    assert_eq!(status["instance"].as_str().map(str::len), Some(16));
    assert_eq!(status["version"], json!(env!("CARGO_PKG_VERSION")));
    assert_eq!(status["cluster"], json!("default"));
    assert_eq!(status["store"], json!(server.data().file_name().unwrap().to_str().unwrap()));
    let [database] = status["databases"].as_array().unwrap().as_slice() else {
        panic!("{status}");
    };
    assert_eq!(database["name"], json!("a.db"));
    assert_eq!(database["pos"], pos_json(model.pos));
    assert_eq!(database["pageSize"], json!(512));
    assert_eq!(database["pages"], json!(2));
    assert_eq!(database["sizeBytes"], json!(1024));
    assert_eq!(database["files"], json!(2));
    assert!(database["storedBytes"].as_u64().unwrap() > 0);
    assert_eq!(database["leaseExpiresAt"], Value::Null);
}

#[test]
fn a_lease_is_told_while_somebody_holds_it() {
    let server = Server::start();
    let client = server.client();
    client.push("a", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    client.push("b", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    let lease = client.post("/lease?db=b&duration=60000", b"").assert_ok().json();
    let found = databases(&client, "/status");
    assert_eq!(found[0]["leaseExpiresAt"], Value::Null);
    assert!(is_rfc3339(&found[1]["leaseExpiresAt"]));
    let id = lease["id"].as_str().unwrap();
    client.delete(&format!("/lease?db=b&id={id}")).assert_ok();
    assert_eq!(databases(&client, "/status")[1]["leaseExpiresAt"], Value::Null);
}

#[test]
fn a_restore_point_tells_where_its_commits_begin() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    let five = model.tx_spanning(5, &[(1, 1)], 1);
    client.push("a", &five.ltx()).assert_ok();
    model.apply(&five);
    client.push("a", &model.commit(&[(1, 2)], 1)).assert_ok();
    let info = client.get("/db/info?db=a&all=true").assert_ok().json();
    let ends: Vec<(&Value, &Value)> = info["restorablePaths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| (&point["minTxId"], &point["maxTxId"]))
        .collect();
    let txid = |n: u64| json!(format!("{n:016x}"));
    assert_eq!(ends[..2], [(&txid(6), &txid(6)), (&txid(1), &txid(5))]);
    assert_eq!(ends.last().unwrap().0, &txid(1));
}

#[test]
fn a_cluster_is_told_to_its_tokens_only() {
    let server = Server::start_with(&["--token", "t0", "--cluster-token", "one", "t1"]);
    let scoped = server.stranger().header("Authorization", "t1");
    scoped.push("a", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    server.stranger().get("/status").assert_refused(401, "EINVALIDAUTH");
    assert_eq!(scoped.get("/status?cluster=two").status, 401);
    assert_eq!(databases(&scoped, "/status").len(), 1);
    assert_eq!(scoped.get("/status").json()["cluster"], json!("one"));
    assert_eq!(databases(&server.client(), "/status?cluster=one").len(), 1);
    assert_eq!(databases(&server.client(), "/status?cluster=two").len(), 0);
}

#[test]
fn the_page_is_served_without_a_token_and_lets_nothing_in() {
    let server = Server::start();
    let page = server.stranger().get("/").assert_ok();
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self';", "require-trusted-types-for 'script'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    server.stranger().get("/page/nothing.js").assert_refused(404, "ENOTFOUND");
    server.stranger().get("/page/..%2fmain.rs").assert_refused(404, "ENOTFOUND");
}

#[test]
fn every_file_of_the_page_is_served_as_what_it_is() {
    let server = Server::start();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let content_type = match path.extension().unwrap().to_str().unwrap() {
            "html" => continue,
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        let answer = server.stranger().get(&format!("/page/{name}")).assert_ok();
        assert_eq!(answer.header("content-type"), Some(content_type), "{name}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
        assert_eq!(answer.body, std::fs::read(&path).unwrap(), "{name}");
    }
}
