//! `/db/group`: transactions in several databases, all or none.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::model::{Model, Tx, pos_json};
use crate::process::{Server, until};
use crate::tokens::Tokens;

pub const ID: &str = "0123456789abcdef0123456789abcdef";

pub fn id(number: u32) -> String {
    format!("{number:08x}{}", "5a".repeat(12))
}

/// The body of a group: for each database its lease, if any, and its file.
fn body(id: &str, txs: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let listed: Vec<Value> = txs
        .iter()
        .map(|(db, lease, ltx)| match lease {
            Some(lease) => json!({ "db": db, "leaseId": lease, "size": ltx.len() }),
            None => json!({ "db": db, "size": ltx.len() }),
        })
        .collect();
    let mut body = json!({ "id": id, "txs": listed }).to_string().into_bytes();
    body.push(b'\n');
    txs.iter().for_each(|(_, _, ltx)| body.extend_from_slice(ltx));
    body
}

pub fn push(client: &Client, id: &str, txs: &[(&str, &[u8])]) -> Answer {
    let txs: Vec<_> = txs.iter().map(|&(db, ltx)| (db, None, ltx)).collect();
    client.post("/db/group", &body(id, &txs))
}

fn outcome(client: &Client, id: &str) -> Value {
    client.get(&format!("/db/group?id={id}")).assert_ok().json()["outcome"].clone()
}

/// A server with databases `a` and `b`, of three pages each.
fn started() -> (Server, Model, Model) {
    let server = Server::start();
    let (mut a, mut b) = (Model::new(512), Model::new(4096));
    for (db, model) in [("a", &mut a), ("b", &mut b)] {
        let ltx = model.commit(&[(1, 1), (2, 1), (3, 1)], 3);
        server.client().push(db, &ltx).assert_ok();
    }
    (server, a, b)
}

#[track_caller]
fn assert_at(client: &Client, expected: &[(&str, &Model)]) {
    let expected_pos = |(db, model): &(&str, &Model)| ((*db).to_owned(), pos_json(model.pos));
    let expected_pos: serde_json::Map<_, _> = expected.iter().map(expected_pos).collect();
    assert_eq!(client.get("/pos").json(), Value::Object(expected_pos));
    for (db, model) in expected {
        let file = client.get(&format!("/db/snapshot?db={db}&format=sqlite")).assert_ok().body;
        assert!(file == model.file(), "{db}");
    }
}

#[test]
fn a_group_is_committed_and_the_same_again_is_answered_as_before() {
    let (mut server, mut a, mut b) = started();
    let mut new = Model::new(1024);
    let files = [a.commit(&[(2, 2)], 3), b.commit(&[(3, 2), (4, 2)], 4), new.commit(&[(1, 1)], 1)];
    let txs = [("b", &files[1][..]), ("a", &files[0]), ("new", &files[2])];
    let positions = json!({ "positions": {
        "a": pos_json(a.pos), "b": pos_json(b.pos), "new": pos_json(new.pos),
    }});
    let client = server.client();
    client.get(&format!("/db/group?id={ID}")).assert_refused(404, "ENOGROUP");
    assert_eq!(push(&client, ID, &txs).assert_ok().json(), positions);
    assert_eq!(push(&client, ID, &txs).assert_ok().json(), positions);
    assert_at(&client, &[("a", &a), ("b", &b), ("new", &new)]);
    server.kill();
    server.restart();
    let client = server.client();
    assert_at(&client, &[("a", &a), ("b", &b), ("new", &new)]);
    assert_eq!(push(&client, ID, &txs).assert_ok().json(), positions);
    assert_eq!(outcome(&client, ID), "committed");
    let deleted = client.delete(&format!("/db/group?id={ID}")).assert_ok();
    assert_eq!(deleted.json(), json!({ "outcome": "committed" }));
    // Plain transactions follow, and groups those.
    client.push("a", &a.commit(&[(1, 3)], 3)).assert_ok();
    let files = [a.commit(&[(2, 4)], 3), b.commit(&[(1, 4)], 2)];
    push(&client, &id(1), &[("a", &files[0]), ("b", &files[1])]).assert_ok();
    assert_at(&client, &[("a", &a), ("b", &b), ("new", &new)]);
    for (pos, pages) in a.history {
        let file = client.get(&format!("/db/snapshot?db=a&format=sqlite&pos={pos}")).assert_ok();
        assert!(file.body == pages.concat());
    }
}

#[test]
fn one_that_is_refused_refuses_all_for_good() {
    let (server, a, mut b) = started();
    let client = server.client();
    let good = a.tx(&[(1, 2)], 3).ltx();
    let refused = |id: &str, tx: &Tx, status, code: &str| {
        let answer = push(&client, id, &[("a", &good), ("b", &tx.ltx())]);
        answer.assert_refused(status, code);
        assert_eq!(answer.json()["db"], "b");
        assert_eq!(outcome(&client, id), "aborted");
        push(&client, id, &[("a", &good), ("b", &tx.ltx())]).assert_refused(409, "EGROUPABORTED");
        answer.json()
    };
    let tx = b.tx(&[(2, 2), (4, 2)], 4);
    let with = |change: &dyn Fn(&mut Tx)| {
        let mut tx = tx.clone();
        change(&mut tx);
        tx
    };
    let late =
        refused(&id(1), &with(&|tx| tx.header.pre_apply_checksum.0 ^= 4), 409, "EPOSMISMATCH");
    assert_eq!(late["pos"], pos_json(b.pos));
    refused(&id(2), &with(&|tx| tx.post.0 ^= 4), 422, "EBADCHECKSUM");
    refused(&id(3), &with(&|tx| drop(tx.pages.pop())), 422, "EMISSINGPAGES");
    refused(&id(4), &with(&|tx| tx.header.max_txid.0 += 1), 422, "EBADFORMAT");
    let answer = push(&client, &id(5), &[("a", &good), ("b", b"LTX1")]);
    answer.assert_refused(422, "EBADFORMAT");
    let lease = client.post("/lease?db=b&duration=60000", b"").assert_ok().json();
    let lease = lease["id"].as_str().unwrap();
    refused(&id(6), &tx, 409, "ELEASE");
    assert_at(&client, &[("a", &a), ("b", &b)]);
    let txs = [("a", None, &good[..]), ("b", Some(lease), &tx.ltx())];
    client.post("/db/group", &body(&id(7), &txs)).assert_ok();
    b.apply(&tx);
    let mut a = a;
    a.commit(&[(1, 2)], 3);
    assert_at(&client, &[("a", &a), ("b", &b)]);
}

#[test]
fn what_was_deleted_first_is_never_committed() {
    let (server, a, b) = started();
    let client = server.client();
    let files = [a.tx(&[(1, 2)], 3).ltx(), b.tx(&[(1, 2)], 3).ltx()];
    for _ in 0..2 {
        let deleted = client.delete(&format!("/db/group?id={ID}")).assert_ok();
        assert_eq!(deleted.json(), json!({ "outcome": "aborted" }));
    }
    let late = push(&client, ID, &[("a", &files[0]), ("b", &files[1])]);
    late.assert_refused(409, "EGROUPABORTED");
    assert_at(&client, &[("a", &a), ("b", &b)]);
    push(&client, &id(1), &[("a", &files[0]), ("b", &files[1])]).assert_ok();
}

#[test]
fn an_id_stands_for_one_content() {
    let (server, a, b) = started();
    let client = server.client();
    let files = [a.tx(&[(1, 2)], 3).ltx(), b.tx(&[(1, 2)], 3).ltx()];
    let txs = [("a", &files[0][..]), ("b", &files[1])];
    push(&client, ID, &txs).assert_ok();
    let other = b.tx(&[(1, 3)], 3).ltx();
    push(&client, ID, &[("a", &files[0]), ("b", &other)]).assert_refused(400, "EBADINPUT");
    push(&client, ID, &[("b", &files[1]), ("a", &files[0])]).assert_refused(400, "EBADINPUT");
    push(&client, ID, &txs).assert_ok();
}

#[test]
fn a_body_that_makes_no_sense_is_refused() {
    let (server, a, b) = started();
    let client = server.client();
    let files = [a.tx(&[(1, 2)], 3).ltx(), b.tx(&[(1, 2)], 3).ltx()];
    let whole = body(ID, &[("a", None, &files[0]), ("b", None, &files[1])]);
    let bad = |body: &[u8]| client.post("/db/group", body).assert_refused(400, "EBADINPUT");
    bad(b"");
    bad(b"{}\n");
    bad(b"not JSON\n");
    bad(&vec![b' '; 70_000]);
    bad(&whole[..whole.len() - 1]);
    bad(&[whole.as_slice(), b"x"].concat());
    bad(&body(ID, &[("a", None, &files[0])]));
    bad(&body(ID, &[("a", None, &files[0]), ("a", None, &files[0])]));
    for id in ["", "0123", &ID.to_uppercase(), &"x".repeat(32)] {
        bad(&body(id, &[("a", None, &files[0]), ("b", None, &files[1])]));
        client.get(&format!("/db/group?id={id}")).assert_refused(400, "EBADINPUT");
        client.delete(&format!("/db/group?id={id}")).assert_refused(400, "EBADINPUT");
    }
    let names: Vec<String> = (0..17).map(|n| format!("db{n}")).collect();
    let txs: Vec<_> = names.iter().map(|db| (db.as_str(), None, &files[0][..])).collect();
    bad(&body(ID, &txs));
    let named = body(ID, &[("a", None, &files[0]), ("../b", None, &files[1])]);
    client.post("/db/group", &named).assert_refused(400, "EBADDB");
    client.get(&format!("/db/group?id={ID}")).assert_refused(404, "ENOGROUP");
    assert_at(&client, &[("a", &a), ("b", &b)]);
    let chunks: Vec<&[u8]> = whole.chunks(7).collect();
    client.post_chunked("/db/group", &chunks).assert_ok();
}

#[test]
fn every_database_must_be_open_to_the_token() {
    let tokens = Tokens::new();
    let (writer, reader) = (tokens.secret(&[]), tokens.secret(&["--read-only"]));
    let some = tokens.secret(&["--databases", "a*"]);
    let server = tokens.server();
    let with = |secret: &str| server.stranger().header("Authorization", secret);
    let files = [Model::new(512).commit(&[(1, 1)], 1), Model::new(512).commit(&[(1, 2)], 1)];
    let txs = [("a", &files[0][..]), ("b", &files[1])];
    let target = format!("/db/group?id={ID}");
    push(&server.stranger(), ID, &txs).assert_refused(401, "EINVALIDAUTH");
    server.stranger().get(&target).assert_refused(401, "EINVALIDAUTH");
    server.stranger().delete(&target).assert_refused(401, "EINVALIDAUTH");
    push(&with(&reader), ID, &txs).assert_refused(403, "EFORBIDDEN");
    with(&reader).delete(&target).assert_refused(403, "EFORBIDDEN");
    let answer = push(&with(&some), ID, &txs);
    answer.assert_refused(403, "EFORBIDDEN");
    assert_eq!(answer.json()["db"], "b");
    with(&reader).get(&target).assert_refused(404, "ENOGROUP");
    push(&with(&writer), ID, &txs).assert_ok();
    assert_eq!(outcome(&with(&reader), ID), "committed");
    let seen = json!({ "a": with(&writer).get("/pos").json()["a"] });
    assert_eq!(with(&some).get("/pos").json(), seen);
}

#[test]
fn a_group_has_the_limits_of_one_upload() {
    let server = Server::start_with(&["--token", "t0", "--max-body", "20000"]);
    let large = vec![0; 15_000];
    let answer = push(&server.client(), ID, &[("a", &large), ("b", &large)]);
    answer.assert_refused(413, "EBADINPUT");
    let files = [Model::new(512).commit(&[(1, 1)], 1), Model::new(512).commit(&[(1, 2)], 1)];
    push(&server.client(), ID, &[("a", &files[0]), ("b", &files[1])]).assert_ok();
}

/// The file that says how the only group so far was decided.
fn decision(server: &Server) -> PathBuf {
    let folder = server.data().join(".litevfs-cloud/groups/default");
    let mut files = std::fs::read_dir(folder).unwrap();
    files.next().unwrap().unwrap().path()
}

#[test]
fn what_a_dead_server_had_not_decided_is_undone() {
    let (mut server, a, b) = started();
    let mut new = Model::new(1024);
    let txs = [a.tx(&[(2, 2)], 3), b.tx(&[(3, 2), (4, 2)], 4)];
    let files = [txs[0].ltx(), txs[1].ltx(), new.tx(&[(1, 1)], 1).ltx()];
    let group = [("a", &files[0][..]), ("b", &files[1]), ("new", &files[2])];
    push(&server.client(), ID, &group).assert_ok();
    server.kill();
    // As if it had died a moment earlier.
    std::fs::remove_file(decision(&server)).unwrap();
    server.restart();
    let client = server.client();
    // The server looks at its databases by itself after the start; what that is at is not waited for.
    until("it is undone", || {
        let seen = client.get("/pos").json();
        assert!(seen.get("new").is_none(), "{seen}");
        [("a", &a), ("b", &b)].iter().all(|(db, model)| seen[*db] != pos_json(model.pos))
    });
    let (mut a, mut b) = (a, b);
    let seen = client.get("/pos").json();
    for (db, model) in [("a", &mut a), ("b", &mut b)] {
        // A transaction that changes nothing took its place.
        model.went_on(&seen[db]);
        let file = client.get(&format!("/db/snapshot?db={db}&format=sqlite")).assert_ok().body;
        assert!(file == model.file());
    }
    assert_eq!(outcome(&client, ID), "aborted");
    push(&client, ID, &group).assert_refused(409, "EGROUPABORTED");
    // And everything goes on, after another restart too.
    server.kill();
    server.restart();
    let client = server.client();
    let files = [a.commit(&[(1, 3)], 3), b.commit(&[(1, 3)], 3), new.commit(&[(1, 3)], 1)];
    let group = [("a", &files[0][..]), ("b", &files[1]), ("new", &files[2])];
    push(&client, &id(1), &group).assert_ok();
    assert_at(&client, &[("a", &a), ("b", &b), ("new", &new)]);
}

#[test]
fn a_writer_of_one_database_undoes_it_too() {
    let (mut server, a, b) = started();
    let files = [a.tx(&[(2, 2)], 3).ltx(), b.tx(&[(3, 2)], 3).ltx()];
    push(&server.client(), ID, &[("a", &files[0]), ("b", &files[1])]).assert_ok();
    server.kill();
    std::fs::remove_file(decision(&server)).unwrap();
    server.restart();
    let client = server.client();
    // It comes before anybody looked.
    let mut a = a;
    let early = client.push("a", &a.tx(&[(1, 3)], 3).ltx());
    early.assert_refused(409, "EPOSMISMATCH");
    a.went_on(&early.json()["pos"]);
    client.push("a", &a.commit(&[(1, 3)], 3)).assert_ok();
    let snapshot = client.get("/db/snapshot?db=a&format=sqlite").assert_ok();
    assert!(snapshot.body == a.file());
    client.delete("/db?db=b").assert_ok();
    assert!(client.get("/pos").json().get("b").is_none());
}

#[test]
fn readers_never_see_half_of_a_group() {
    let server = Server::start();
    let (mut a, mut b) = (Model::new(512), Model::new(512));
    let client = server.client();
    let first = [a.commit(&[(1, 0)], 1), b.commit(&[(1, 0)], 1)];
    push(&client, ID, &[("a", &first[0]), ("b", &first[1])]).assert_ok();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (client, over) = (server.client(), &over);
            scope.spawn(move || {
                let mut seen = 0;
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    let positions = if reader == 0 {
                        client.get("/pos").assert_ok().json()
                    } else {
                        let none = json!({ "positions": { "a": null, "b": null } }).to_string();
                        let sync = client.post("/sync", none.as_bytes()).assert_ok().json();
                        let changes = &sync["changes"];
                        json!({ "a": changes["a"]["pos"], "b": changes["b"]["pos"] })
                    };
                    assert_eq!(positions["a"]["txid"], positions["b"]["txid"]);
                    seen += 1;
                }
                assert!(seen > 0);
            });
        }
        for round in 1..200 {
            let files = [a.commit(&[(1, round)], 1), b.commit(&[(1, round)], 1)];
            push(&client, &id(round.into()), &[("a", &files[0]), ("b", &files[1])]).assert_ok();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_at(&client, &[("a", &a), ("b", &b)]);
}
