//! The files are the database: restarts, kills, leftovers and damage.

use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use litevfs::ltx::{Decoder, Format, Header, Version};
use litevfs::types::{Checksum, Txid};

use crate::client::finish;
use crate::model::{Model, Tx, pos_json};
use crate::process::{Server, terminate};
use crate::read;

/// Pushes `steps` transactions to `db`.
fn fill(server: &Server, db: &str, steps: u8) -> Model {
    let mut model = Model::new(4096);
    for step in 1..=steps {
        let commit = u32::from(step % 4) + 2;
        let changes: Vec<(u32, u8)> = (1..=commit).map(|pgno| (pgno, step)).collect();
        server.client().push(db, &model.commit(&changes, commit)).assert_ok();
    }
    model
}

fn assert_serves(server: &Server, db: &str, model: &Model) {
    let client = server.client();
    assert_eq!(client.get("/pos").json()[db], pos_json(model.pos));
    for (pos, content) in &model.history {
        let pgnos: Vec<String> = (1..=content.len()).map(|pgno| pgno.to_string()).collect();
        let answer = read::get(&client, db, *pos, &pgnos.join(",")).assert_ok();
        let pages: Vec<Vec<u8>> = read::pages(&answer).into_iter().map(|(_, data)| data).collect();
        assert!(pages == *content, "{pos}");
    }
}

#[test]
fn everything_is_found_again_after_a_kill() {
    let mut server = Server::start();
    let mut model = fill(&server, "a", 20);
    for _ in 0..2 {
        server.kill();
        server.restart();
        assert_serves(&server, "a", &model);
        // Page checksums are not in the files: the next commit has to work them out.
        let ltx = model.commit(&[(1, 99)], 1);
        server.client().push("a", &ltx).assert_ok();
    }
    assert!(server.stop());
}

#[test]
fn files_are_litestreams_and_nothing_else_is_there() {
    let server = Server::start();
    let mut model = Model::new(4096);
    let tx = model.tx_spanning(5, &[(1, 1), (2, 1)], 2);
    server.client().push("a", &tx.ltx()).assert_ok();
    model.apply(&tx);
    server.client().push("a", &model.commit(&[(2, 2)], 2)).assert_ok();
    let db = server.data().join("default/a");
    let list = |folder: &std::path::Path| -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(list(&db), ["ltx"]);
    assert_eq!(list(&db.join("ltx")), ["0"]);
    // What decides an upload of several transactions is named after its first alone.
    let names = [
        "0000000000000001-0000000000000001.ltx",
        "0000000000000001-0000000000000005.ltx",
        "0000000000000006-0000000000000006.ltx",
    ];
    assert_eq!(list(&server.level0("a")), names);
    for (name, max_txid) in names.iter().zip([1, 5]) {
        let stored = fs::read(server.level0("a").join(name)).unwrap();
        let decoder = Decoder::new(stored.as_slice(), Version::V3).unwrap();
        let header = *decoder.header();
        assert_eq!((header.min_txid, header.max_txid), (Txid(1), Txid(max_txid)));
        assert_eq!((header.no_checksum, header.node_id), (true, tx.post.0));
        let trailer = decoder.finish().unwrap();
        assert_eq!(trailer.post_apply_checksum, Checksum::NONE);
    }
}

/// Replaces a stored file by one with another header.
fn rewrite(server: &Server, db: &str, tx: &Tx, change: impl Fn(&mut Header), post: Checksum) {
    let mut other = tx.clone();
    change(&mut other.header);
    other.post = post;
    let (min, max) = (tx.header.min_txid, tx.header.max_txid);
    let file = server.level0(db).join(format!("{min}-{max}.ltx"));
    fs::write(file, other.encode(Format::V3Block)).unwrap();
}

#[test]
fn files_with_database_checksums_of_their_own_are_read() {
    let mut server = Server::start();
    let mut model = Model::new(512);
    for fill in 1..4 {
        let tx = model.tx(&[(1, fill), (2, fill)], 2);
        server.client().push("a", &tx.ltx()).assert_ok();
        model.apply(&tx);
        if fill == 2 {
            rewrite(&server, "a", &tx, |_| {}, tx.post);
        }
    }
    server.kill();
    server.restart();
    assert_serves(&server, "a", &model);
}

#[test]
fn files_of_other_programs_without_checksums_are_refused_by_name() {
    let mut server = Server::start();
    let mut model = fill(&server, "a", 2);
    let tx = model.tx(&[(1, 1)], 2);
    model.apply(&tx);
    // Zero as Litestream leaves it, and a node's number.
    for node_id in [0, 7] {
        let change = |header: &mut Header| {
            header.no_checksum = true;
            header.pre_apply_checksum = Checksum::NONE;
            header.node_id = node_id;
            header.wal_offset = 0;
        };
        rewrite(&server, "a", &tx, change, Checksum::NONE);
        server.kill();
        server.restart();
        let answer = read::get(&server.client(), "a", model.pos, "1");
        answer.assert_refused(500, "EINTERNAL");
        let text = answer.json()["error"].to_string();
        assert!(text.contains("ltx/0/0000000000000003-0000000000000003.ltx"), "{text}");
        assert!(text.contains("not written by this server") && text.contains("import"), "{text}");
    }
}

#[test]
fn leftovers_of_a_killed_commit_do_no_harm() {
    let mut server = Server::start();
    let mut model = fill(&server, "a", 3);
    server.kill();
    let next = server.level0("a").join("0000000000000004-0000000000000004.ltx");
    fs::write(next.with_extension("ltx#1"), "torn").unwrap();
    fs::create_dir_all(server.level0("begun")).unwrap();
    let staging = server.data().join(".litevfs-cloud/staging");
    fs::create_dir_all(&staging).unwrap();
    fs::write(staging.join("half"), "torn").unwrap();
    server.restart();
    assert_serves(&server, "a", &model);
    assert!(!next.with_extension("ltx#1").exists());
    assert!(!staging.join("half").exists());
    assert!(server.client().get("/pos").json().get("begun").is_none());
    let ltx = model.commit(&[(1, 9)], 2);
    server.client().push("a", &ltx).assert_ok();
    server.client().push("begun", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    assert_serves(&server, "a", &model);
}

#[test]
fn a_commit_that_was_stored_but_not_remembered_is_found() {
    let server = Server::start();
    let mut model = fill(&server, "a", 2);
    // Another process made the next file: what a create that failed after its effect looks like.
    let tx = model.tx(&[(1, 7)], 2);
    let name = "0000000000000003-0000000000000003.ltx";
    fs::write(server.level0("a").join(name), tx.encode(Format::V3Block)).unwrap();
    let rival = model.tx(&[(1, 8)], 2);
    let refused = server.client().push("a", &rival.ltx());
    refused.assert_refused(409, "EPOSMISMATCH");
    model.apply(&tx);
    assert_eq!(refused.json()["pos"], pos_json(model.pos));
    server.client().push("a", &tx.ltx()).assert_ok();
    assert_serves(&server, "a", &model);
}

#[test]
fn a_damaged_database_fails_alone() {
    let mut server = Server::start();
    let model = fill(&server, "good", 3);
    let files = |server: &Server, db: &str| -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(server.level0(db)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    for db in ["gap", "cut", "renamed", "empty"] {
        fill(&server, db, 4);
    }
    server.kill();
    fs::remove_file(&files(&server, "gap")[1]).unwrap();
    let cut = &files(&server, "cut")[3];
    let bytes = fs::read(cut).unwrap();
    fs::write(cut, &bytes[..bytes.len() - 1]).unwrap();
    fs::write(&files(&server, "empty")[2], "").unwrap();
    let last = &files(&server, "renamed")[3];
    fs::rename(last, last.with_file_name("0000000000000004-0000000000000005.ltx")).unwrap();
    server.restart();
    let client = server.client();
    for db in ["gap", "cut", "renamed", "empty"] {
        client.get(&format!("/db/snapshot?db={db}")).assert_refused(500, "EINTERNAL");
        client.get(&format!("/db/sync?db={db}")).assert_refused(500, "EINTERNAL");
        client.push(db, &Model::new(512).commit(&[(1, 1)], 1)).assert_refused(500, "EINTERNAL");
    }
    assert_eq!(client.get("/pos").json().as_object().unwrap().len(), 1);
    assert_serves(&server, "good", &model);
}

#[test]
fn a_damaged_page_is_never_served() {
    let mut server = Server::start();
    let mut model = Model::new(512);
    let tx = model.tx(&[(1, 1), (2, 2)], 2);
    server.client().push("a", &tx.ltx()).assert_ok();
    model.apply(&tx);
    let file = server.level0("a").join("0000000000000001-0000000000000001.ltx");
    let sound = fs::read(&file).unwrap();
    // Page 1's frame begins behind the header of 100 bytes: its page number, then the data.
    for at in [103, 112] {
        let mut damaged = sound.clone();
        damaged[at] ^= 2;
        fs::write(&file, &damaged).unwrap();
        read::get(&server.client(), "a", model.pos, "1").assert_refused(500, "EINTERNAL");
        read::get(&server.client(), "a", model.pos, "2").assert_ok();
    }
    // After a restart the page checksums are unknown, but a whole database still has to add up.
    let mut damaged = sound.clone();
    damaged[112] ^= 2;
    fs::write(&file, &damaged).unwrap();
    server.kill();
    server.restart();
    for format in ["ltx", "sqlite"] {
        let target = format!("/db/snapshot?db=a&format={format}");
        let head = server.client().head("GET", &target, "");
        let mut answer = Vec::new();
        let _ = server.client().begin(head.as_bytes()).read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        // The header has not always left when the body turns out to be damaged.
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert_eq!(text, "");
            continue;
        };
        assert!(head.contains("200"), "{head}");
        let whole = if format == "ltx" { body.ends_with("0\r\n\r\n") } else { body.len() >= 1024 };
        assert!(!whole, "{format}: {} bytes", body.len());
    }
    fs::write(&file, &sound).unwrap();
    server.kill();
    server.restart();
    assert_serves(&server, "a", &model);
}

#[test]
fn kills_lose_no_acknowledged_commit() {
    let mut server = Server::start();
    let mut model = Model::new(4096);
    // However slow the machine, there is something to lose.
    server.client().push("a", &model.commit(&[(1, 1)], 1)).assert_ok();
    for round in 0..10_u64 {
        let pid = server.pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5 + round * 7 % 40));
            std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        });
        let client = server.client();
        let mut pending = None;
        for fill in 0..=u8::MAX {
            let commit = 1 + u32::from(fill % 3);
            let changes: Vec<(u32, u8)> = (1..=commit).map(|pgno| (pgno, fill)).collect();
            let tx = model.tx(&changes, commit);
            let pushed = std::panic::catch_unwind(|| client.push("a", &tx.ltx()).status);
            if !matches!(pushed, Ok(200)) {
                pending = Some(tx);
                break;
            }
            model.apply(&tx);
        }
        killer.join().unwrap();
        server.kill();
        server.restart();
        let pos = server.client().get("/pos").json()["a"].clone();
        if let Some(tx) = pending {
            let mut with = model.clone();
            with.apply(&tx);
            if pos == pos_json(with.pos) {
                model = with;
            }
        }
        assert_eq!(pos, pos_json(model.pos), "round {round}");
    }
    assert_serves(&server, "a", &model);
}

#[test]
fn stopping_lets_a_commit_finish() {
    let mut server = Server::start();
    let client = server.client();
    let mut model = Model::new(4096);
    let ltx = model.commit(&[(1, 1), (2, 2)], 2);
    let length = format!("Content-Length: {}\r\n", ltx.len());
    let head = client.head("POST", "/db/tx?db=a", &length);
    let mut upload = client.begin(&[head.as_bytes(), &ltx[..60]].concat());
    std::thread::sleep(Duration::from_millis(100));
    terminate(server.pid());
    std::thread::sleep(Duration::from_millis(100));
    upload.write_all(&ltx[60..]).unwrap();
    finish(upload).assert_ok();
    assert!(server.wait());
    server.restart();
    assert_serves(&server, "a", &model);
}
