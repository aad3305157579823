//! `GET /db/open`: the pages that an opening client needs, and no others.

use litevfs::ltx::PageFrames;
use litevfs::types::Pos;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::frames;
use crate::model::{Model, pos_json};
use crate::process::Server;

/// An answer, taken apart: the JSON, the pages, and how many bytes of frames there were.
struct Opened {
    changes: Value,
    pages: Vec<(u32, Vec<u8>)>,
    bytes: usize,
}

impl Opened {
    fn pgnos(&self) -> Vec<u32> {
        self.pages.iter().map(|&(pgno, _)| pgno).collect()
    }
}

fn get(client: &Client, query: &str) -> Answer {
    client.header("Accept", frames::MEDIA_TYPE).get(&format!("/db/open?{query}"))
}

#[track_caller]
fn opened(client: &Client, query: &str) -> Opened {
    let answer = get(client, query).assert_ok();
    assert_eq!(answer.header("content-type"), Some(frames::MEDIA_TYPE));
    let (len, rest) = answer.body.split_first_chunk().unwrap();
    let (changes, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
    let (mut pages, mut page) = (Vec::new(), Vec::new());
    let mut frames = PageFrames::new(rest, None);
    while let Some(pgno) = frames.next_page(&mut page).unwrap() {
        pages.push((pgno.get(), page.clone()));
    }
    Opened { changes: serde_json::from_slice(changes).unwrap(), pages, bytes: rest.len() - 6 }
}

const ROWS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000)
    INSERT INTO a SELECT i, hex(randomblob(30)) FROM n;";

/// A database made with SQLite, uploaded; its pages.
fn uploaded(server: &Server, sql: &str) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(&format!("PRAGMA page_size=1024; {sql}")).unwrap();
    drop(db);
    let bytes = std::fs::read(path).unwrap();
    server.client().post("/db/upload?db=a", &bytes).assert_ok();
    bytes.chunks(1024).map(<[u8]>::to_vec).collect()
}

/// The pages of which a byte says that they lead to others.
fn inner(pages: &[Vec<u8>], kind: u8) -> Vec<u32> {
    (2..).zip(&pages[1..]).filter(|(_, page)| page[0] == kind).map(|(pgno, _)| pgno).collect()
}

#[test]
fn an_opening_client_gets_what_leads_to_every_row() {
    let server = Server::start();
    let long = "x".repeat(3000);
    let sql = format!(
        "CREATE TABLE a(i INTEGER PRIMARY KEY, x); CREATE INDEX i ON a(x); CREATE TABLE empty(x);
         CREATE VIEW v AS SELECT '{long}'; {ROWS}"
    );
    let pages = uploaded(&server, &sql);
    let opened = opened(&server.client(), "db=a&max_bytes=1048576");
    let pgnos = opened.pgnos();
    for (pgno, page) in &opened.pages {
        assert!(*page == pages[*pgno as usize - 1], "page {pgno}");
    }
    // Page 1, the view's three overflow pages, three root pages of which one is a leaf, inner pages.
    let (tables, indexes) = (inner(&pages, 5), inner(&pages, 2));
    assert!(tables.len() > 10 && indexes.len() > 10, "{} {}", tables.len(), indexes.len());
    assert_eq!(pgnos.len(), 1 + 3 + 1 + tables.len() + indexes.len(), "{pgnos:?}");
    assert_eq!(pgnos[0], 1);
    assert_eq!(pgnos[1..4].iter().filter(|&&pgno| pages[pgno as usize - 1][0] == 0).count(), 3);
    assert_eq!(&pgnos[4..7], [2, 3, 4]);
    assert!(tables.iter().chain(&indexes).all(|pgno| pgnos.contains(pgno)));
    let place = |pgno: &u32| pgnos.iter().position(|found| found == pgno).unwrap();
    let last_table = tables.iter().map(place).max().unwrap();
    let first_index = indexes.iter().filter(|&&pgno| pgno != 3).map(place).min().unwrap();
    assert!(last_table < first_index);
    assert_eq!(opened.changes["all"], true);
    assert_eq!(opened.changes["pos"], server.client().get("/pos").json()["a"]);
}

#[test]
fn an_answer_stays_within_its_bytes() {
    let server = Server::start();
    uploaded(&server, &format!("CREATE TABLE a(i INTEGER PRIMARY KEY, x); {ROWS}"));
    let client = server.client();
    for max_bytes in [0, 1, 1000, 5000, 20_000] {
        let opened = opened(&client, &format!("db=a&max_bytes={max_bytes}"));
        assert_eq!(opened.pgnos()[0], 1);
        assert!(opened.bytes <= max_bytes || opened.pages.len() == 1, "{max_bytes}");
        assert!(max_bytes < 5000 || opened.pages.len() > 3);
    }
    assert!(opened(&client, "db=a").bytes <= 64 << 10);
    assert!(opened(&client, "db=a&max_bytes=99999999999999999").bytes <= 1 << 20);
}

#[test]
fn a_client_with_a_position_gets_what_changed_since() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(1024);
    let all: Vec<(u32, u8)> = (1..=9).map(|pgno| (pgno, 0)).collect();
    client.push("a", &model.commit(&all, 9)).assert_ok();
    let then = model.pos;
    let unchanged = opened(&client, &format!("db=a&pos={then}"));
    assert_eq!(unchanged.changes, json!({"pos": pos_json(then), "pgnos": null, "all": false}));
    assert!(unchanged.pages.is_empty());
    client.push("a", &model.commit(&[(5, 3)], 9)).assert_ok();
    let changed = opened(&client, &format!("db=a&pos={then}"));
    assert_eq!(changed.changes, json!({"pos": pos_json(model.pos), "pgnos": [5], "all": false}));
    assert!(changed.pages.is_empty());
    client.push("a", &model.commit(&[(1, 4)], 9)).assert_ok();
    let changed = opened(&client, &format!("db=a&pos={then}"));
    assert_eq!(changed.pages, [(1, model.pages[0].clone())]);
    let other = Pos { txid: then.txid, ..model.pos };
    assert_eq!(opened(&client, &format!("db=a&pos={other}")).changes["all"], true);
}

#[test]
fn pages_that_clients_miss_come_along_the_next_time() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(1024);
    let all: Vec<(u32, u8)> = (1..=300).map(|pgno| (pgno, 0)).collect();
    client.push("a", &model.commit(&all, 300)).assert_ok();
    assert_eq!(opened(&client, "db=a").pgnos(), [1]);
    for pgnos in ["7,8,9", "200-220", "7", "200", "7", "11", "1-300"] {
        frames::get(&client, "a", model.pos, pgnos).assert_ok();
    }
    assert_eq!(opened(&client, "db=a").pgnos(), [1, 7, 200]);
    // It shrinks: what was learned of pages past the end is of no use.
    client.push("a", &model.commit(&[(1, 9)], 100)).assert_ok();
    let opened = opened(&client, "db=a");
    assert_eq!(
        opened.pages,
        [1, 7].map(|pgno: u32| (pgno, model.pages[pgno as usize - 1].clone()))
    );
}

#[test]
fn a_damaged_or_hostile_database_opens_with_page_1_at_least() {
    let server = Server::start();
    let client = server.client();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..40_u32 {
        let db = format!("d{round}");
        let mut model = Model::new(512);
        let all: Vec<(u32, u8)> = (1..=60).map(|pgno| (pgno, 0)).collect();
        let mut tx = model.tx(&all, 60);
        for (pgno, page) in &mut tx.pages {
            let at = if *pgno == 1 { 100 } else { 0 };
            for byte in &mut page[at..] {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Small numbers, so that pages lead to each other, in circles too.
                *byte = ((state >> 32) % 61) as u8 * u8::from(state >> 62 != 0);
            }
            let types: &[u8] = if *pgno == 1 { &[5, 13] } else { &[5, 13, 2, 10] };
            page[at] = types[(round + *pgno) as usize % types.len()];
            page[at + 3] = 0;
        }
        let pages: Vec<Vec<u8>> = tx.pages.iter().map(|(_, page)| page.clone()).collect();
        tx.post = crate::model::checksum(&pages);
        model.apply(&tx);
        client.push(&db, &tx.ltx()).assert_ok();
        let opened = opened(&client, &format!("db={db}"));
        let mut pgnos = opened.pgnos();
        assert_eq!(pgnos[0], 1);
        pgnos.sort_unstable();
        pgnos.dedup();
        assert_eq!(pgnos.len(), opened.pages.len(), "each page once");
        assert!(opened.pages.iter().all(|(pgno, page)| pages[*pgno as usize - 1] == *page));
    }
}

/// The most memory that a process had so far, in MB.
fn peak_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// A leaf of the schema whose pointers, as many as fit, all lead to one row: that has a root page and goes on
/// in another page.
fn leaf_of_one_row(page: &mut [u8], header_at: usize, root: u16, overflow: u32) {
    let cell = page.len() - 9000;
    page[header_at..header_at + 8].copy_from_slice(&[13, 0, 0, 0xff, 0xff, 0, 0, 0]);
    for pointer in page[header_at + 8..cell].chunks_exact_mut(2) {
        pointer.copy_from_slice(&(cell as u16).to_be_bytes());
    }
    // 70,000 bytes, of which 8,199 are here; the fourth of five columns is a number of two bytes.
    page[cell..cell + 10].copy_from_slice(&[0x84, 0xa2, 0x70, 1, 6, 0, 0, 0, 2, 0]);
    page[cell + 10..cell + 12].copy_from_slice(&root.to_be_bytes());
    let at = cell + 4 + 8199;
    page[at..at + 4].copy_from_slice(&overflow.to_be_bytes());
}

#[test]
fn a_schema_that_leads_everywhere_many_times_is_read_once() {
    const LEAVES: u32 = 800;
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(65_536);
    let all: Vec<(u32, u8)> = (1..=LEAVES).map(|pgno| (pgno, 0)).collect();
    let mut tx = model.tx(&all, LEAVES);
    for (pgno, page) in &mut tx.pages {
        if *pgno > 1 {
            leaf_of_one_row(page, 0, *pgno as u16 % 700 + 1, *pgno % 600 + 2);
            continue;
        }
        // Leads to all others, each by many pointers.
        page[100..112].copy_from_slice(&[5, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 2]);
        let cells = page.len() - 4 * LEAVES as usize;
        for (place, pointer) in page[112..cells].chunks_exact_mut(2).enumerate() {
            let cell = cells + 4 * (place % (LEAVES as usize - 1));
            pointer.copy_from_slice(&(cell as u16).to_be_bytes());
        }
        for (child, cell) in (2..=LEAVES).zip(page[cells..].chunks_exact_mut(4)) {
            cell.copy_from_slice(&child.to_be_bytes());
        }
    }
    let pages: Vec<Vec<u8>> = tx.pages.iter().map(|(_, page)| page.clone()).collect();
    tx.post = crate::model::checksum(&pages);
    model.apply(&tx);
    client.push("a", &tx.ltx()).assert_ok();
    let before = peak_mb(server.pid());
    let opened = opened(&client, "db=a&max_bytes=1048576");
    let grown = peak_mb(server.pid()) - before;
    assert!(opened.pages.len() > 500, "{}", opened.pages.len());
    assert!(grown < 60, "opening it took {grown} MB");
}

#[test]
fn what_cannot_be_opened_is_told() {
    let server = Server::start();
    let client = server.client();
    client.push("a", &Model::new(512).commit(&[(1, 1)], 1)).assert_ok();
    get(&client, "db=b").assert_refused(404, "ENODB");
    get(&client, "db=a&pos=1/2").assert_refused(400, "EBADINPUT");
    get(&client, "db=a&max_bytes=many").assert_refused(400, "EBADINPUT");
    get(&client, "").assert_refused(400, "EBADDB");
    client.get("/db/open?db=a").assert_refused(400, "EBADINPUT");
    client
        .header("Accept", frames::MEDIA_TYPE)
        .post("/db/open?db=a", b"")
        .assert_refused(405, "EBADINPUT");
    get(&server.stranger(), "db=a").assert_refused(401, "EINVALIDAUTH");
}
