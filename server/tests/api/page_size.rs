//! `POST /db/tx` with a file that has every page in another size, as VACUUM makes it.

use serde_json::{Value, json};

use crate::commit::{assert_refused, started};
use crate::model::{Model, Tx, pos_json};
use crate::process::Server;
use crate::{read, sync};

/// What a client asks for, at every position there was.
fn assert_reads(server: &Server, model: &Model) {
    let client = server.client();
    for (pos, content) in &model.history {
        let pgnos: Vec<String> = (1..=content.len()).map(|pgno| pgno.to_string()).collect();
        let answer = read::get(&client, "a", *pos, &pgnos.join(",")).assert_ok();
        let pages: Vec<Vec<u8>> = read::pages(&answer).into_iter().map(|(_, data)| data).collect();
        assert!(pages == *content, "{pos}");
        let file = client.get(&format!("/db/snapshot?db=a&format=sqlite&pos={pos}")).assert_ok();
        assert!(file.body == content.concat(), "{pos}");
    }
}

fn level_9(server: &Server) -> Vec<String> {
    let files = std::fs::read_dir(server.data().join("default/a/ltx/9"));
    let names = files.map(|files| {
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    });
    let mut names = names.unwrap_or_default();
    names.sort();
    names
}

#[test]
fn a_file_with_every_page_changes_the_page_size() {
    let (mut server, mut model) = started();
    for (page_size, commit) in [(1024, 2), (65_536, 4), (512, 7), (4096, 7)] {
        let before = model.pos;
        let tx = model.reshape(page_size, 9, commit);
        server.client().push("a", &tx.ltx()).assert_ok();
        model.apply(&tx);
        let snapshot = format!("{:016x}-{}.ltx", 1, model.pos.txid);
        assert!(level_9(&server).contains(&snapshot), "{snapshot} in {:?}", level_9(&server));
        // The same once more, as after a lost answer.
        server.client().push("a", &tx.ltx()).assert_ok();
        let ltx = model.commit(&[(2, 8), (commit + 1, 8)], commit + 1);
        server.client().push("a", &ltx).assert_ok();
        let client = server.client();
        let everything = json!({ "pos": pos_json(model.pos), "pgnos": Value::Null, "all": true });
        assert_eq!(sync::since(&client, "a", before), everything);
        let asked = json!({ "positions": { "a": pos_json(before) } }).to_string();
        let told = client.post("/sync", asked.as_bytes()).assert_ok().json();
        assert_eq!(told, json!({ "changes": { "a": everything } }));
        assert_reads(&server, &model);
        server.kill();
        server.restart();
        assert_reads(&server, &model);
        assert_eq!(server.client().get("/pos").json()["a"], pos_json(model.pos));
    }
}

#[test]
fn a_file_without_every_page_must_have_the_page_size() {
    let (server, model) = started();
    let whole = model.reshape(1024, 9, 3);
    for missing in 0..3 {
        let mut tx = whole.clone();
        tx.pages.remove(missing);
        assert_refused(&server, &model, &tx.ltx(), 422, "EBADHEADER");
    }
    // The rules after this one are looked at as ever.
    let mut stale = whole.clone();
    stale.header.pre_apply_checksum.0 ^= 4;
    assert_refused(&server, &model, &stale.ltx(), 409, "EPOSMISMATCH");
    let wrong = Tx { post: model.pos.post_apply_checksum, ..whole.clone() };
    assert_refused(&server, &model, &wrong.ltx(), 422, "EBADCHECKSUM");
    server.client().push("a", &whole.ltx()).assert_ok();
}

#[test]
fn several_transactions_at_once_may_end_in_another_page_size() {
    let (mut server, mut model) = started();
    let mut tx = model.reshape(1024, 9, 3);
    tx.header.max_txid.0 += 4;
    server.client().push("a", &tx.ltx()).assert_ok();
    model.apply(&tx);
    server.client().push("a", &model.commit(&[(1, 7)], 3)).assert_ok();
    assert!(level_9(&server).iter().any(|name| name.ends_with("0007.ltx")));
    assert_reads(&server, &model);
    server.kill();
    server.restart();
    assert_reads(&server, &model);
}
