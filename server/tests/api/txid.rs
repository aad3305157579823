//! Transaction ids end before their type does: what would go past the last one is refused in words, and a
//! database that is there can still be read and deleted.

use litevfs::types::Txid;

use crate::control::{sqlite, upload};
use crate::group;
use crate::model::Model;
use crate::process::Server;

/// A database whose first upload ends with that transaction.
fn at(server: &Server, txid: Txid) -> Model {
    let mut model = Model::new(512);
    let tx = model.tx_spanning(txid.0, &[(1, 1), (2, 2)], 2);
    server.client().push("a", &tx.ltx()).assert_ok();
    model.apply(&tx);
    model
}

#[test]
fn an_upload_past_the_last_id_is_refused() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    for txids in [u64::MAX, u64::MAX - 1, Txid::LAST.0 + 1] {
        let tx = model.tx_spanning(txids, &[(1, 1)], 1);
        let text = client.push("a", &tx.ltx()).refused(422, "EBADFORMAT");
        assert!(text.contains(&Txid::LAST.to_string()), "{text}");
    }
    assert_eq!(client.get("/pos").json().as_object().unwrap().len(), 0);
    // Nor as a later one, nor in a group.
    let tx = model.tx(&[(1, 1)], 1);
    client.push("a", &tx.ltx()).assert_ok();
    model.apply(&tx);
    let mut tx = model.tx(&[(1, 2)], 1);
    tx.header.max_txid = Txid(u64::MAX);
    client.push("a", &tx.ltx()).assert_refused(422, "EBADFORMAT");
    let other = Model::new(512).tx(&[(1, 1)], 1).ltx();
    group::push(&client, group::ID, &[("a", &tx.ltx()), ("b", &other)])
        .assert_refused(422, "EBADFORMAT");
    assert_eq!(client.get("/pos").json().as_object().unwrap().len(), 1);
    client.push("a", &model.tx(&[(1, 3)], 1).ltx()).assert_ok();
}

#[test]
fn after_the_last_id_a_database_is_read_and_deleted() {
    let mut server = Server::start();
    let mut model = at(&server, Txid(Txid::LAST.0 - 1));
    let before = model.pos;
    let tx = model.tx(&[(1, 9)], 2);
    server.client().push("a", &tx.ltx()).assert_ok();
    model.apply(&tx);
    assert_eq!(model.pos.txid, Txid::LAST);
    for restart in [false, true] {
        if restart {
            server.kill();
            server.restart();
        }
        let client = server.client();
        let mut next = tx.clone();
        next.header.min_txid = Txid::LAST.successor().unwrap();
        next.header.max_txid = next.header.min_txid;
        next.header.pre_apply_checksum = model.pos.post_apply_checksum;
        let text = client.push("a", &next.ltx()).refused(422, "EBADFORMAT");
        assert!(text.contains("last"), "{text}");
        upload(&client, "a", &sqlite(1)).assert_refused(422, "ELASTTXID");
        let restore = format!("/db/restore?db=a&txid={}", before.txid);
        client.post(&restore, b"").assert_refused(422, "ELASTTXID");
        assert_eq!(client.get("/pos").json()["a"]["txid"], Txid::LAST.to_string());
        let snapshot = client.get("/db/snapshot?db=a&format=sqlite").assert_ok();
        assert!(snapshot.body == model.file());
    }
    let client = server.client();
    client.delete("/db?db=a").assert_ok();
    let made = upload(&client, "a", &sqlite(1)).assert_ok();
    assert_eq!(made.json()["txID"], Txid(1).to_string());
}
