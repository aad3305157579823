//! Two lives of a name that come by the same TXID and database checksum: the commit id tells them apart.

use litevfs::types::{CommitId, Pos};
use serde_json::{Value, json};

use crate::client::Client;
use crate::model::{Model, Tx, pos_json};
use crate::process::Server;
use crate::sync::since;

/// A database, dropped and made anew with the same pages: the position of each life.
fn two_lives(server: &Server) -> (Model, Model) {
    let client = server.client();
    let (mut first, mut second) = (Model::new(512), Model::new(512));
    client.push("a", &first.commit(&[(1, 1), (2, 2)], 2)).assert_ok();
    client.delete("/db?db=a").assert_ok();
    let mut tx = second.tx(&[(1, 1), (2, 2)], 2);
    tx.header.commit_id.0 ^= 1;
    client.push("a", &tx.ltx()).assert_ok();
    second.apply(&tx);
    assert_eq!(
        (first.pos.txid, first.pos.post_apply_checksum),
        (second.pos.txid, second.pos.post_apply_checksum)
    );
    (first, second)
}

fn untold(pos: Pos) -> Pos {
    Pos { commit_id: CommitId::NONE, ..pos }
}

fn everything(pos: Pos) -> Value {
    json!({ "pos": pos_json(pos), "pgnos": null, "all": true })
}

fn nothing(pos: Pos) -> Value {
    json!({ "pos": pos_json(pos), "pgnos": null, "all": false })
}

#[test]
fn whoever_knows_the_first_is_told_that_everything_changed() {
    let server = Server::start();
    let (client, (first, second)) = (server.client(), two_lives(&server));
    assert_eq!(since(&client, "a", first.pos), everything(second.pos));
    assert_eq!(since(&client, "a", second.pos), nothing(second.pos));
    let asked = json!({ "positions": { "a": pos_json(first.pos) } }).to_string();
    let several = client.post("/sync", asked.as_bytes()).assert_ok().json();
    assert_eq!(several["changes"]["a"], everything(second.pos));
    // Whoever does not say which commit it knows gets what there was before there were ids.
    assert_eq!(since(&client, "a", untold(first.pos)), nothing(second.pos));
}

#[test]
fn later_positions_are_told_apart_too() {
    let server = Server::start();
    let (client, (first, mut second)) = (server.client(), two_lives(&server));
    let then = second.pos;
    client.push("a", &second.commit(&[(2, 7)], 2)).assert_ok();
    assert_eq!(since(&client, "a", first.pos), everything(second.pos));
    let changed = json!({ "pos": pos_json(second.pos), "pgnos": [2], "all": false });
    assert_eq!(since(&client, "a", then), changed);
}

#[test]
fn pages_and_snapshots_of_the_first_are_gone() {
    let server = Server::start();
    let (client, (first, second)) = (server.client(), two_lives(&server));
    for call in ["/db/page?db=a&pgno=1", "/db/snapshot?db=a"] {
        let at = |pos: Pos| format!("{call}&pos={pos}&commit_id={}", pos.commit_id);
        client.get(&at(first.pos)).assert_refused(409, "EPOSMISMATCH");
        let answer = client.get(&at(second.pos)).assert_ok();
        assert_eq!(answer.header("litevfs-commit-id"), Some(&*second.pos.commit_id.to_string()));
        client.get(&format!("{call}&pos={}", first.pos)).assert_ok();
    }
    for id in ["5", &"0".repeat(16)] {
        let odd = format!("/db/page?db=a&pgno=1&pos={}&commit_id={id}", first.pos);
        client.get(&odd).assert_refused(400, "EBADINPUT");
    }
}

#[test]
fn a_transaction_on_top_of_the_first_is_refused() {
    let server = Server::start();
    let (client, (mut first, second)) = (server.client(), two_lives(&server));
    let tx = first.tx(&[(2, 9)], 2);
    client.push("a", &tx.ltx()).assert_refused(409, "EPOSMISMATCH");
    assert_eq!(since(&client, "a", second.pos), nothing(second.pos));
    let head = |tx: &Tx| {
        let files = format!(r#"[{{"db":"a","size":{0}}},{{"db":"b","size":{0}}}]"#, tx.ltx().len());
        format!("{{\"id\":\"{}\",\"txs\":{files}}}\n", "0".repeat(32))
    };
    let group = [head(&tx).as_bytes(), &tx.ltx(), &tx.ltx()].concat();
    client.post("/db/group", &group).assert_refused(409, "EPOSMISMATCH");
    // Clients that know no ids write as they did.
    first.apply(&tx);
    client.push("a", &tx.without_ids().ltx()).assert_ok();
}

#[test]
fn a_commit_has_the_id_that_its_client_chose_or_else_one_of_the_servers() {
    let mut server = Server::start();
    let mut model = Model::new(512);
    let id = |client: &Client| client.get("/pos").json()["a"]["commitId"].clone();
    let tx = model.tx(&[(1, 1)], 1);
    server.client().push("a", &tx.ltx()).assert_ok();
    model.apply(&tx);
    let first = id(&server.client());
    assert_eq!(first, model.pos.commit_id.to_string());
    let tx = model.tx(&[(1, 2)], 1).without_ids();
    let client = server.client();
    client.push("a", &tx.ltx()).assert_ok();
    let second = id(&client);
    assert!(second != first && second != "0".repeat(16), "{second}");
    // The same file again is the same commit.
    client.push("a", &tx.ltx()).assert_ok();
    client.post("/db/restore?db=a&txid=0000000000000001", b"").assert_ok();
    let third = id(&client);
    assert!(third != first && third != second, "{third}");
    server.stop();
    server.restart();
    assert_eq!(id(&server.client()), third);
    let lease = server.client().post("/lease?db=a&duration=1000", b"").assert_ok();
    assert_eq!(lease.header("litevfs-commit-id"), third.as_str());
}
