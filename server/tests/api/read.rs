//! `GET /db/page`: pages at every position there was.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use litevfs::types::Pos;

use crate::client::{Answer, Client};
use crate::model::{Model, pos_json};
use crate::process::Server;

pub fn get(client: &Client, db: &str, pos: Pos, pgnos: &str) -> Answer {
    client.get(&format!("/db/page?db={db}&pos={pos}&pgno={pgnos}"))
}

/// Pages of an answer, as numbers and bytes.
pub fn pages(answer: &Answer) -> Vec<(u64, Vec<u8>)> {
    let json = answer.json();
    let pages = json["pages"].as_array().unwrap().iter();
    pages
        .map(|page| {
            let data = STANDARD.decode(page["data"].as_str().unwrap()).unwrap();
            (page["pgno"].as_u64().unwrap(), data)
        })
        .collect()
}

fn started() -> (Server, Model) {
    let server = Server::start();
    let mut model = Model::new(1024);
    for (changes, commit) in
        [(&[(1, 1), (2, 1), (3, 1)][..], 3), (&[(2, 2)], 3), (&[(1, 3)], 1), (&[(1, 4), (2, 4)], 2)]
    {
        let ltx = model.commit(changes, commit);
        server.client().push("a", &ltx).assert_ok();
    }
    (server, model)
}

#[test]
fn pages_come_in_the_order_asked_for_from_any_position() {
    let (server, model) = started();
    for (pos, content) in &model.history {
        let all: Vec<String> = (1..=content.len()).rev().map(|pgno| pgno.to_string()).collect();
        let answer = get(&server.client(), "a", *pos, &all.join(",")).assert_ok();
        let expected: Vec<(u64, Vec<u8>)> =
            (1..).zip(content.iter().cloned()).collect::<Vec<_>>().into_iter().rev().collect();
        assert_eq!(pages(&answer), expected);
    }
    let twice = get(&server.client(), "a", model.pos, "1,1").assert_ok();
    assert_eq!(pages(&twice).len(), 2);
}

#[test]
fn a_page_past_the_end_at_that_position_is_not_there() {
    let (server, model) = started();
    let ends = [(0, "4"), (1, "1,4"), (2, "2"), (3, "3"), (3, "1048577"), (3, "4294967295")];
    for (step, pgnos) in ends {
        let (pos, _) = model.history[step];
        get(&server.client(), "a", pos, pgnos).assert_refused(404, "ENOPAGE");
    }
}

#[test]
fn a_position_that_never_was_is_a_mismatch() {
    let (server, model) = started();
    let mut other_sum = model.history[1].0;
    other_sum.post_apply_checksum.0 ^= 1;
    let mut later = model.pos;
    later.txid.0 += 1;
    for pos in [other_sum, later, Pos::EMPTY] {
        let answer = get(&server.client(), "a", pos, "1");
        answer.assert_refused(409, "EPOSMISMATCH");
        assert_eq!(answer.json()["pos"], pos_json(model.pos));
    }
}

#[test]
fn unknown_databases_and_bad_requests_are_told() {
    let (server, model) = started();
    let client = server.client();
    get(&client, "b", model.pos, "1").assert_refused(404, "ENODB");
    client.get("/db/page?db=a&pgno=1").assert_refused(400, "EBADINPUT");
    client.get("/db/page?db=a&pos=1/2&pgno=1").assert_refused(400, "EBADINPUT");
    client.get(&format!("/db/page?pos={}&pgno=1", model.pos)).assert_refused(400, "EBADDB");
    for pgnos in ["", "0", "x", "1,", "-1", "4294967296", "1,,2", "2-1"] {
        get(&client, "a", model.pos, pgnos).assert_refused(400, "EBADINPUT");
    }
}

#[test]
fn an_index_larger_than_what_is_kept_of_indexes_is_loaded_once() {
    let server = Server::start_with(&["--token", "t0", "--index-memory", "8192"]);
    let client = server.client();
    let mut models = [Model::new(512), Model::new(512)];
    let all: Vec<(u32, u8)> = (1..=5000).map(|pgno| (pgno, pgno as u8)).collect();
    for (db, model) in ["a", "b"].into_iter().zip(&mut models) {
        client.push(db, &model.commit(&all, 5000)).assert_ok();
    }
    let misses = || {
        let text = String::from_utf8(client.get("/metrics").assert_ok().body).unwrap();
        let name = "litevfs_cloud_cache_lookups_total{cache=\"index\",result=\"miss\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    for (db, model) in ["a", "b"].into_iter().zip(&models) {
        get(&client, db, model.pos, "1").assert_ok();
        let before = misses();
        for pgno in (7..5000).step_by(100) {
            let answer = get(&client, db, model.pos, &pgno.to_string()).assert_ok();
            assert_eq!(pages(&answer)[0].1, model.pages[pgno - 1]);
        }
        assert_eq!(misses(), before, "it was loaded again");
    }
}

#[test]
fn pages_as_json_are_sent_as_they_are_read() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(65_536);
    let all: Vec<(u32, u8)> = (1..=40).map(|pgno| (pgno, pgno as u8)).collect();
    client.push("a", &model.commit(&all, 40)).assert_ok();
    let answer = get(&client, "a", model.pos, "40,1-39,1").assert_ok();
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let numbers: Vec<u64> = [40].into_iter().chain(1..=39).chain([1]).collect();
    let pages = pages(&answer);
    assert_eq!(pages.iter().map(|(pgno, _)| *pgno).collect::<Vec<_>>(), numbers);
    assert!(pages.iter().all(|(pgno, page)| *page == model.pages[*pgno as usize - 1]));
    // A small one has a length.
    let small = get(&client, "a", model.pos, "2").assert_ok();
    assert!(small.header("content-length").is_some());
}
