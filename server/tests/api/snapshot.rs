//! `GET /db/snapshot`: the whole database, in both formats.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use litevfs::ltx::{Decoder, Version};

use litevfs::types::Txid;

use crate::client::Answer;
use crate::model::{Model, Tx};
use crate::process::Server;

/// Header and pages of an LTX answer, verified to its last byte.
fn decode(answer: &Answer) -> (litevfs::ltx::Header, Vec<Vec<u8>>, u64) {
    let mut decoder = Decoder::new(answer.body.as_slice(), Version::V1).unwrap();
    let header = *decoder.header();
    let (mut pages, mut data) = (Vec::new(), Vec::new());
    while decoder.next_page(&mut data).unwrap().is_some() {
        pages.push(data.clone());
    }
    (header, pages, decoder.finish().unwrap().post_apply_checksum.0)
}

#[test]
fn both_formats_hold_every_page() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(512);
    // More pages than are read at a time.
    let many: Vec<(u32, u8)> = (1..=5000).map(|pgno| (pgno, pgno as u8)).collect();
    client.push("a", &model.commit(&many, 5000)).assert_ok();
    client.push("a", &model.tx_spanning(3, &[(2, 2)], 5000).ltx()).assert_ok();
    let tx = model.tx_spanning(3, &[(2, 2)], 5000);
    model.apply(&tx);
    let answer = client.get("/db/snapshot?db=a").assert_ok();
    let (header, pages, post) = decode(&answer);
    assert_eq!((header.min_txid, header.max_txid, header.commit), (Txid(1), Txid(4), 5000));
    // The server's clock counts, not the client's.
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    assert!(u128::from(header.timestamp_ms).abs_diff(now_ms) < 600_000);
    assert_eq!(post, model.pos.post_apply_checksum.0);
    assert!(pages == model.pages);
    assert!(client.get("/db/snapshot?db=a&format=ltx").assert_ok().body == answer.body);
    let file = client.get("/db/snapshot?db=a&format=sqlite").assert_ok();
    assert_eq!(file.header("content-length"), Some((5000 * 512).to_string().as_str()));
    assert!(file.body == model.file());
    let first = model.history[0].0;
    let old = client.get(&format!("/db/snapshot?db=a&format=sqlite&pos={first}")).assert_ok();
    assert!(old.body == model.history[0].1.concat());
}

#[test]
fn a_snapshot_can_be_pushed_as_a_new_database() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(4096);
    for fill in 1..4 {
        client.push("a", &model.commit(&[(1, fill), (2, fill)], 2)).assert_ok();
    }
    let snapshot = client.get("/db/snapshot?db=a").assert_ok();
    client.push("b", &snapshot.body).assert_ok();
    let pos = client.get("/pos").json();
    for part in ["txid", "postApplyChecksum"] {
        assert_eq!(pos["a"][part], pos["b"][part]);
    }
    // They are there by different commits, and have different futures.
    assert_ne!(pos["a"]["commitId"], pos["b"]["commitId"]);
}

#[test]
fn what_cannot_be_had_is_told() {
    let server = Server::start();
    let client = server.client();
    client.get("/db/snapshot?db=a").assert_refused(404, "ENODB");
    client.get("/db/snapshot").assert_refused(400, "EBADDB");
    client.get("/db/snapshot?db=a&format=csv").assert_refused(400, "EBADINPUT");
}

fn sqlite3(file: &Path, sql: &str) -> String {
    let output = Command::new("sqlite3").arg(file).arg(sql).output().expect("the sqlite3 shell");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The transaction that turns one SQLite file into another.
fn difference(model: &Model, file: &[u8]) -> Tx {
    let pages: Vec<Vec<u8>> =
        file.chunks(model.page_size.len_bytes()).map(<[u8]>::to_vec).collect();
    let mut tx = model.tx(&[], 0);
    tx.header.commit = pages.len() as u32;
    tx.post = crate::model::checksum(&pages);
    let changed = |(pgno, page): (u32, &Vec<u8>)| {
        let same = model.pages.get(pgno as usize - 1) == Some(page);
        (!same).then(|| (pgno, page.clone()))
    };
    tx.pages = (1..).zip(&pages).filter_map(changed).collect();
    tx
}

#[test]
fn sqlite_reads_what_sqlite_wrote() {
    let server = Server::start();
    let client = server.client();
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source.db");
    let mut model = Model::new(4096);
    let steps = [
        "PRAGMA page_size = 4096; CREATE TABLE t(a, b); CREATE INDEX i ON t(a);",
        "WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 2000)
         INSERT INTO t SELECT x, hex(randomblob(50)) FROM n;",
        "DELETE FROM t WHERE a % 3 = 0; UPDATE t SET b = 'x' WHERE a % 5 = 0;",
        "DELETE FROM t WHERE a > 100; VACUUM;",
    ];
    for sql in steps {
        sqlite3(&source, sql);
        let tx = difference(&model, &std::fs::read(&source).unwrap());
        client.push("a", &tx.ltx()).assert_ok();
        model.apply(&tx);
        let copy = dir.path().join("copy.db");
        let answer = client.get("/db/snapshot?db=a&format=sqlite").assert_ok();
        std::fs::write(&copy, &answer.body).unwrap();
        assert_eq!(sqlite3(&copy, "PRAGMA integrity_check"), "ok\n");
        assert_eq!(sqlite3(&copy, ".dump"), sqlite3(&source, ".dump"));
    }
}
