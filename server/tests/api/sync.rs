//! `GET /db/sync` and `POST /sync`: what changed.

use litevfs::types::Pos;
use serde_json::{Value, json};

use crate::client::Client;
use crate::model::{Model, pos_json};
use crate::process::Server;

pub fn since(client: &Client, db: &str, pos: Pos) -> Value {
    let id = match pos.commit_id.is_set() {
        true => format!("&commit_id={}", pos.commit_id),
        false => String::new(),
    };
    client.get(&format!("/db/sync?db={db}&pos={pos}{id}")).assert_ok().json()
}

fn changes(pos: Pos, pgnos: Value, all: bool) -> Value {
    json!({ "pos": pos_json(pos), "pgnos": pgnos, "all": all })
}

/// Too many, or fewer pages than before.
fn by_commits(pos: Pos) -> Value {
    json!({ "pos": pos_json(pos), "pgnos": null, "all": true, "commits": true })
}

#[test]
fn the_changed_pages_since_each_position() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    for (pages, commit) in
        [(&[(1, 1), (2, 1), (3, 1)][..], 3), (&[(2, 2)], 3), (&[(1, 3), (4, 3)], 4)]
    {
        client.push("a", &model.commit(pages, commit)).assert_ok();
    }
    let at = |step: usize| model.history[step].0;
    assert_eq!(since(&client, "a", at(2)), changes(model.pos, Value::Null, false));
    assert_eq!(since(&client, "a", at(1)), changes(model.pos, json!([1, 4]), false));
    assert_eq!(since(&client, "a", at(0)), changes(model.pos, json!([1, 2, 4]), false));
    let everything = changes(model.pos, Value::Null, true);
    assert_eq!(since(&client, "a", Pos::EMPTY), everything);
    assert_eq!(client.get("/db/sync?db=a").assert_ok().json(), everything);
    let mut unknown = at(0);
    unknown.post_apply_checksum.0 ^= 1;
    assert_eq!(since(&client, "a", unknown), everything);
    // After a shrinking step the whole cache goes; from a position after it, pages are told again.
    client.push("a", &model.commit(&[(1, 4)], 2)).assert_ok();
    client.push("a", &model.commit(&[(2, 5)], 2)).assert_ok();
    let at = |step: usize| model.history[step].0;
    assert_eq!(since(&client, "a", at(2)), by_commits(model.pos));
    assert_eq!(since(&client, "a", at(3)), changes(model.pos, json!([2]), false));
}

#[test]
fn too_many_changes_are_everything() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    client.push("a", &model.commit(&[(1, 1)], 1)).assert_ok();
    let grown: Vec<(u32, u8)> = (2..=10_001).map(|pgno| (pgno, 1)).collect();
    client.push("a", &model.commit(&grown, 10_001)).assert_ok();
    let first = model.history[0].0;
    assert_eq!(since(&client, "a", first)["pgnos"].as_array().unwrap().len(), 10_000);
    client.push("a", &model.commit(&[(1, 2)], 10_001)).assert_ok();
    assert_eq!(since(&client, "a", first), by_commits(model.pos));
}

#[test]
fn a_database_that_is_not_there() {
    let server = Server::start();
    let client = server.client();
    let empty = client.get("/db/sync?db=a").assert_ok().json();
    assert_eq!(empty, changes(Pos::EMPTY, Value::Null, false));
    let mut model = Model::new(512);
    model.commit(&[(1, 1)], 1);
    // Whatever a client has of it has to go.
    assert_eq!(since(&client, "a", model.pos), changes(Pos::EMPTY, Value::Null, true));
    client.get("/db/sync").assert_refused(400, "EBADDB");
}

#[test]
fn several_databases_at_once() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    client.push("a", &model.commit(&[(1, 1)], 1)).assert_ok();
    let first = model.pos;
    client.push("a", &model.commit(&[(1, 2)], 1)).assert_ok();
    let mut other = Model::new(4096);
    client.push("b", &other.commit(&[(1, 1)], 1)).assert_ok();
    let body = json!({ "positions": {
        "a": pos_json(first),
        "b": pos_json(Pos::EMPTY),
        "gone": pos_json(first),
    } });
    let answer = client.post("/sync", body.to_string().as_bytes()).assert_ok();
    let expected = json!({ "changes": {
        "a": changes(model.pos, json!([1]), false),
        "b": changes(other.pos, Value::Null, true),
    } });
    assert_eq!(answer.json(), expected);
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"positions":{"a":{"txid":"1","postApplyChecksum":"2"}}}"#,
        r#"{"positions":{"a":"0000000000000001/8000000000000000"}}"#,
    ] {
        client.post("/sync", bad.as_bytes()).assert_refused(400, "EBADINPUT");
    }
    let bad_name = json!({ "positions": { "../a": pos_json(first) } }).to_string();
    client.post("/sync", bad_name.as_bytes()).assert_refused(400, "EBADDB");
}
