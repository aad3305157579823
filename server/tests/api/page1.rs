//! What page 1 of an upload says must be what its LTX header says, and what SQLite can open a database
//! with: on every way in. What replaces it otherwise than by a commit counts past it.

use litevfs::page1::{Page1, differ_in_counts_only};

use crate::client::Client;
use crate::commit::{assert_refused, started};
use crate::control::{sqlite, upload};
use crate::group;
use crate::model::{self, Model, Tx};
use crate::process::Server;

/// A transaction of `model` with some bytes of page 1 changed.
fn with_page1(model: &Model, fill: u8, commit: u32, fields: &[(usize, &[u8])]) -> Tx {
    let grown = model.pages.len() as u32 + 1..=commit;
    let changes: Vec<(u32, u8)> =
        std::iter::once(1).chain(grown.filter(|&pgno| pgno > 1)).map(|pgno| (pgno, fill)).collect();
    let mut tx = model.tx(&changes, commit);
    for &(offset, bytes) in fields {
        tx.pages[0].1[offset..][..bytes.len()].copy_from_slice(bytes);
    }
    let mut after = model.pages.clone();
    after.resize(commit as usize, Vec::new());
    for (pgno, page) in &tx.pages {
        after[*pgno as usize - 1] = page.clone();
    }
    tx.post = model::checksum(&after);
    tx
}

#[test]
fn page_1_has_the_page_size_of_the_ltx_header() {
    let (server, model) = started();
    for field in [1024_u16, 1, 0, 511] {
        let tx = with_page1(&model, 9, 3, &[(16, &field.to_be_bytes())]);
        assert_refused(&server, &model, &tx.ltx(), 422, "EBADHEADER");
        let text = server.client().push("a", &tx.ltx()).json()["error"].to_string();
        assert!(text.contains("512") && text.contains("page 1"), "{text}");
    }
    for (page_size, field, taken) in [(65_536, 1_u16, true), (65_536, 0, false), (4096, 1, false)] {
        let tx = with_page1(&Model::new(page_size), 9, 1, &[(16, &field.to_be_bytes())]);
        let answer = server.client().push(&format!("b{page_size}-{field}"), &tx.ltx());
        if taken {
            answer.assert_ok();
        } else {
            answer.assert_refused(422, "EBADHEADER");
        }
    }
}

#[test]
fn page_1_has_the_size_of_the_ltx_header_where_it_is_valid() {
    let (server, mut model) = started();
    let valid = |size: &'static [u8]| [(28, size), (24, &[0, 0, 0, 5]), (92, &[0, 0, 0, 5])];
    for wrong in [&[0, 0, 0, 2], &[0, 0, 0, 4], &[3, 0, 0, 0]] {
        let tx = with_page1(&model, 9, 3, &valid(wrong));
        assert_refused(&server, &model, &tx.ltx(), 422, "EBADHEADER");
    }
    let mut stale = valid(&[0, 0, 0, 9]);
    stale[2].1 = &[0, 0, 0, 4];
    for (commit, fields) in [(3, valid(&[0, 0, 0, 3])), (4, valid(&[0, 0, 0, 4])), (2, stale)] {
        let tx = with_page1(&model, commit as u8, commit, &fields);
        server.client().push("a", &tx.ltx()).assert_ok();
        model.apply(&tx);
    }
    // A conflict is told first: the client has to look at its base anyway.
    let mut tx = with_page1(&model, 9, 2, &valid(&[0, 0, 0, 3]));
    tx.header.pre_apply_checksum.0 ^= 1;
    assert_refused(&server, &model, &tx.ltx(), 409, "EPOSMISMATCH");
}

/// Places on page 1, and what SQLite would not open a database with there.
const FAULTS: [(usize, &[u8]); 9] = [
    (0, b"\x8e\x13\xf5"),
    (18, &[3]),
    (19, &[3]),
    (20, &[33]),
    (21, &[64, 32, 31]),
    (44, &[0, 0, 0, 5]),
    (56, &[0, 0, 0, 4]),
    (100, &[10]),
    // A codec that leaves the beginning plain, so that programs know the file for one of SQLite's.
    (32, &[0xa5; 480]),
];

#[test]
fn what_sqlite_could_not_open_comes_in_on_no_way() {
    let (server, model) = started();
    let client = server.client();
    let other = Model::new(512).tx(&[(1, 1)], 1).ltx();
    for (number, fault) in (1..).zip(FAULTS) {
        let told = |text: &str| assert!(text.contains("codec"), "{fault:?}: {text}");
        let tx = with_page1(&model, 9, 3, &[fault]);
        assert_refused(&server, &model, &tx.ltx(), 422, "EBADHEADER");
        told(&client.push("a", &tx.ltx()).refused(422, "EBADHEADER"));
        let new = with_page1(&Model::new(512), 9, 1, &[fault]);
        client.push("new", &new.ltx()).assert_refused(422, "EBADHEADER");
        let group = [("a", &tx.ltx()[..]), ("beside", &other)];
        group::push(&client, &group::id(number), &group).assert_refused(422, "EBADHEADER");
        let mut file = sqlite(3);
        file[fault.0..][..fault.1.len()].copy_from_slice(fault.1);
        for db in ["a", "new"] {
            told(&upload(&client, db, &file).refused(422, "EBADFORMAT"));
        }
    }
    assert_eq!(client.get("/pos").json(), serde_json::json!({ "a": model::pos_json(model.pos) }));
}

#[test]
fn a_database_keeps_a_page() {
    let (server, model) = started();
    let mut tx = model.tx(&[], 0);
    tx.post = model::checksum(&[]);
    assert_refused(&server, &model, &tx.ltx(), 422, "EBADHEADER");
}

fn content(client: &Client, at: &str) -> Vec<u8> {
    client.get(&format!("/db/snapshot?db=a&format=sqlite{at}")).assert_ok().body
}

fn page1(file: &[u8]) -> Page1 {
    Page1::decode(file).unwrap()
}

/// As a client does that reads rows by a schema.
fn rows(file: &[u8]) -> Vec<i64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    std::fs::write(&path, file).unwrap();
    let db = rusqlite::Connection::open(path).unwrap();
    assert_eq!(db.query_row("PRAGMA integrity_check", [], |row| row.get(0)), Ok("ok".to_owned()));
    let mut query = db.prepare("SELECT x FROM t ORDER BY rowid").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn an_import_and_a_restore_count_past_both_pages() {
    let mut server = Server::start();
    let client = server.client();
    let (small, mut large) = (sqlite(1), sqlite(300));
    upload(&client, "a", &small).assert_ok();
    assert!(content(&client, "") == small, "a new database is as it was uploaded");
    // More changes of the schema before, or after.
    for cookie in [0_u32, 70] {
        large[40..44].copy_from_slice(&cookie.to_be_bytes());
        let before = page1(&content(&client, ""));
        upload(&client, "a", &large).assert_ok();
        let file = content(&client, "");
        let (after, own) = (page1(&file), page1(&large));
        assert_eq!(after.schema_cookie, before.schema_cookie.max(own.schema_cookie) + 1);
        assert_eq!(after.change_counter, before.change_counter.max(own.change_counter) + 1);
        assert_eq!(after.size, own.size);
        assert!(differ_in_counts_only(&file[..512], &large[..512]) && file[512..] == large[512..]);
    }
    let before = page1(&content(&client, ""));
    client.post("/db/restore?db=a&txid=0000000000000001", b"").assert_ok();
    server.kill();
    server.restart();
    let client = server.client();
    let file = content(&client, "");
    assert_eq!(page1(&file).schema_cookie, before.schema_cookie + 1);
    assert_eq!(page1(&file).change_counter, before.change_counter + 1);
    assert_eq!(rows(&file), [0]);
    // What differs in its counts only is there already.
    let pos = client.get("/pos").json();
    client.post("/db/restore?db=a&txid=0000000000000001", b"").assert_ok();
    assert_eq!(client.get("/pos").json(), pos);
}

#[test]
fn an_import_says_the_size_that_its_file_does_not() {
    let server = Server::start();
    let client = server.client();
    for (db, place) in [("a", 28..32), ("a", 92..96), ("new", 28..32)] {
        let mut file = sqlite(300);
        file[place].fill(0);
        upload(&client, db, &file).assert_ok();
        let stored = client.get(&format!("/db/snapshot?db={db}&format=sqlite")).assert_ok().body;
        assert_eq!(page1(&stored).size, Some((stored.len() / 512) as u32));
        assert_eq!(rows(&stored).len(), 300);
    }
}
