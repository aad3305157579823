//! `POST /db/tx`: the commit rules, one by one and in their order.

use litevfs::ltx::Format;
use litevfs::types::Checksum;

use crate::model::{Model, Tx, pos_json};
use crate::process::Server;

/// A server whose database `a` has three pages after two transactions.
pub fn started() -> (Server, Model) {
    let server = Server::start();
    let mut model = Model::new(512);
    let ltx = model.commit(&[(1, 1), (2, 1)], 2);
    server.client().push("a", &ltx).assert_ok();
    let ltx = model.commit(&[(2, 2), (3, 2)], 3);
    server.client().push("a", &ltx).assert_ok();
    (server, model)
}

/// What is refused changes nothing.
#[track_caller]
pub fn assert_refused(server: &Server, model: &Model, ltx: &[u8], status: u16, code: &str) {
    let answer = server.client().push("a", ltx);
    answer.assert_refused(status, code);
    if code == "EPOSMISMATCH" {
        assert_eq!(answer.json()["pos"], pos_json(model.pos));
    }
    let pos = server.client().get("/pos").json();
    assert_eq!(pos["a"], pos_json(model.pos));
}

#[test]
fn an_answer_names_the_last_durable_transaction() {
    let (server, mut model) = started();
    let ltx = model.commit(&[(1, 3)], 3);
    let answer = server.client().push("a", &ltx).assert_ok();
    assert_eq!(answer.header("litefs-hwm"), Some("0000000000000003"));
    assert!(answer.body.is_empty());
}

#[test]
fn what_is_no_sound_v1_file_is_refused() {
    let (server, model) = started();
    let tx = model.tx(&[(1, 3), (2, 3)], 3);
    let raw = tx.encode(Format::V1Raw);
    assert_refused(&server, &model, b"", 422, "EBADFORMAT");
    assert_refused(&server, &model, b"LTX1", 422, "EBADFORMAT");
    assert_refused(&server, &model, &[0; 4096], 422, "EBADFORMAT");
    for len in [99, 100, 116, 300, raw.len() - 1] {
        assert_refused(&server, &model, &raw[..len], 422, "EBADFORMAT");
    }
    assert_refused(&server, &model, &[raw.as_slice(), &[0]].concat(), 422, "EBADFORMAT");
    for format in [Format::V3Frame, Format::V3Block] {
        assert_refused(&server, &model, &tx.encode(format), 422, "EBADFORMAT");
        let text = server.client().push("a", &tx.encode(format)).json()["error"].to_string();
        assert!(text.contains("v3"), "{text}");
    }
    let mut flipped = raw.clone();
    flipped[300] ^= 1;
    assert_refused(&server, &model, &flipped, 422, "EBADCHECKSUM");
}

#[test]
fn a_transaction_follows_the_last_one() {
    let (server, model) = started();
    let next = model.tx(&[(1, 3)], 3);
    let with = |change: &dyn Fn(&mut Tx)| {
        let mut tx = next.clone();
        change(&mut tx);
        tx.ltx()
    };
    let later = with(&|tx| {
        tx.header.min_txid.0 += 1;
        tx.header.max_txid.0 += 1;
    });
    let earlier = with(&|tx| {
        tx.header.min_txid.0 -= 1;
        tx.header.max_txid.0 -= 1;
    });
    let other = with(&|tx| tx.header.pre_apply_checksum.0 ^= 1);
    let overlapping = with(&|tx| tx.header.min_txid.0 -= 1);
    let snapshot = Model::new(512).commit(&[(1, 9), (2, 9)], 2);
    for ltx in [later, earlier, other, overlapping, snapshot] {
        assert_refused(&server, &model, &ltx, 409, "EPOSMISMATCH");
    }
}

#[test]
fn a_new_database_begins_at_transaction_1() {
    let (server, model) = started();
    let answer = server.client().push("b", &model.tx(&[(1, 3)], 3).ltx());
    answer.assert_refused(409, "EPOSMISMATCH");
    let zero = "0".repeat(16);
    assert_eq!(answer.json()["pos"]["txid"], zero);
    assert_eq!(answer.json()["pos"]["postApplyChecksum"], zero);
    assert!(server.client().get("/pos").json().get("b").is_none());
    let ltx = Model::new(4096).tx_spanning(7, &[(1, 1)], 1).ltx();
    server.client().push("b", &ltx).assert_ok();
}

#[test]
fn a_growing_database_brings_all_its_pages() {
    let (server, mut model) = started();
    let mut tx = model.tx(&[(4, 3), (5, 3), (6, 3)], 6);
    let whole = tx.clone();
    tx.pages.remove(1);
    assert_refused(&server, &model, &tx.ltx(), 422, "EMISSINGPAGES");
    server.client().push("a", &whole.ltx()).assert_ok();
    model.apply(&whole);
    let shrunk = model.tx(&[(1, 4)], 2);
    server.client().push("a", &shrunk.ltx()).assert_ok();
    model.apply(&shrunk);
    // The pages from before it shrank do not count.
    let mut tx = model.tx(&[(3, 5), (4, 5)], 4);
    tx.pages.remove(0);
    assert_refused(&server, &model, &tx.ltx(), 422, "EMISSINGPAGES");
}

#[test]
fn the_post_apply_checksum_is_what_the_pages_give() {
    let (server, mut model) = started();
    for (changes, commit) in [(&[(1, 3)][..], 3), (&[(1, 3), (4, 3)], 4), (&[(1, 3)], 1)] {
        let mut tx = model.tx(changes, commit);
        tx.post.0 ^= 4;
        assert_refused(&server, &model, &tx.ltx(), 422, "EBADCHECKSUM");
        tx.post.0 ^= 4;
        server.client().push("a", &tx.ltx()).assert_ok();
        model.apply(&tx);
    }
}

#[test]
fn rules_are_looked_at_in_their_order() {
    let (server, model) = started();
    // Everything wrong at once; then the first wrong thing is put right, again and again.
    let mut other = Model::new(1024);
    other.pos = model.pos;
    let mut tx = other.tx(&[(4, 3), (5, 3)], 5);
    tx.pages.remove(0);
    tx.post.0 ^= 4;
    tx.header.pre_apply_checksum.0 ^= 4;
    let mut damaged = tx.encode(Format::V1Raw);
    *damaged.last_mut().unwrap() ^= 1;
    assert_refused(&server, &model, &damaged, 422, "EBADCHECKSUM");
    assert_refused(&server, &model, &tx.ltx(), 422, "EBADHEADER");
    tx.header.page_size = model.page_size;
    tx.pages = vec![(5, model.page(5, 3))];
    assert_refused(&server, &model, &tx.ltx(), 409, "EPOSMISMATCH");
    tx.header.pre_apply_checksum.0 ^= 4;
    assert_refused(&server, &model, &tx.ltx(), 422, "EMISSINGPAGES");
    tx.pages = vec![(4, model.page(4, 3)), (5, model.page(5, 3))];
    assert_refused(&server, &model, &tx.ltx(), 422, "EBADCHECKSUM");
}

#[test]
fn a_snapshot_with_faults_is_a_conflict_first() {
    let (server, model) = started();
    // Our own encoder refuses to make these, so bytes are changed and the file checksum with them.
    let snapshot = Model::new(512).tx(&[(1, 9), (2, 9)], 2);
    let mut wrong_sum = snapshot.encode(Format::V1Raw);
    let at = wrong_sum.len() - 16;
    wrong_sum[at + 7] ^= 1;
    reseal(&mut wrong_sum);
    assert_refused(&server, &model, &wrong_sum, 409, "EPOSMISMATCH");
    server.client().push("b", &wrong_sum).assert_refused(422, "EBADCHECKSUM");
    let mut gap = snapshot.encode(Format::V1Raw);
    gap[15] = 3;
    reseal(&mut gap);
    assert_refused(&server, &model, &gap, 409, "EPOSMISMATCH");
    server.client().push("b", &gap).assert_refused(422, "EMISSINGPAGES");
}

/// Puts the right file checksum on a changed raw v1 file.
fn reseal(ltx: &mut [u8]) {
    let end = ltx.len() - 8;
    let mut crc = litevfs::ltx::Crc64::new();
    crc.update(&ltx[..end]);
    let checksum = crc.finish() | Checksum::FLAG;
    ltx[end..].copy_from_slice(&checksum.to_be_bytes());
}

#[test]
fn the_same_file_again_is_already_applied() {
    let (mut server, mut model) = started();
    let early = model.tx(&[(1, 3)], 3);
    model.apply(&early);
    server.client().push("a", &early.ltx()).assert_ok();
    let last = model.tx_spanning(4, &[(2, 4)], 3);
    model.apply(&last);
    server.client().push("a", &last.ltx()).assert_ok();
    for round in 0..2 {
        let stale = server.client().header("Lfsc-Lease-Id", "long gone");
        for client in [server.client(), stale] {
            for tx in [&early, &last] {
                let answer = client.push("a", &tx.encode(Format::V1Raw)).assert_ok();
                assert_eq!(answer.header("litefs-hwm"), Some("0000000000000007"));
            }
        }
        if round == 0 {
            server.kill();
            server.restart();
        }
    }
    // Three, the early one, and two for the last: what decided it, and what it spans.
    let files = std::fs::read_dir(server.level0("a")).unwrap().count();
    assert_eq!(files, 5);
}

#[test]
fn equal_positions_do_not_make_equal_transactions() {
    let (server, mut model) = started();
    // The same change made to two pages leaves the database checksum as it was.
    let (one, other) = (model.tx(&[(2, 7), (3, 7)], 3), model.tx(&[(2, 8), (3, 8)], 3));
    assert_eq!(one.post, other.post);
    model.apply(&one);
    server.client().push("a", &one.ltx()).assert_ok();
    server.client().push("a", &one.ltx()).assert_ok();
    assert_refused(&server, &model, &other.ltx(), 409, "EPOSMISMATCH");
    let snapshot = server.client().get("/db/snapshot?db=a&format=sqlite").assert_ok();
    assert_eq!(snapshot.body, model.file());
}

#[test]
fn equal_changes_by_two_clients_are_two_transactions() {
    let (mut server, mut model) = started();
    let one = model.tx(&[(1, 7)], 3);
    let mut other = one.clone();
    other.header.timestamp_ms += 1;
    model.apply(&one);
    server.client().push("a", &one.ltx()).assert_ok();
    assert_refused(&server, &model, &other.ltx(), 409, "EPOSMISMATCH");
    let next = model.commit(&[(2, 8)], 3);
    server.client().push("a", &next).assert_ok();
    for restart in [false, true] {
        if restart {
            server.kill();
            server.restart();
        }
        server.client().push("a", &one.ltx()).assert_ok();
        assert_refused(&server, &model, &other.ltx(), 409, "EPOSMISMATCH");
    }
}

#[test]
fn one_of_many_writers_wins() {
    let (server, model) = started();
    let txs: Vec<Tx> = (0..8).map(|fill| model.tx(&[(1, 10 + fill)], 3)).collect();
    let results: Vec<(u16, Tx)> = std::thread::scope(|scope| {
        let threads: Vec<_> = txs
            .iter()
            .map(|tx| scope.spawn(|| (server.client().push("a", &tx.ltx()).status, tx.clone())))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let won: Vec<&Tx> =
        results.iter().filter(|(status, _)| *status == 200).map(|(_, tx)| tx).collect();
    assert_eq!(won.len(), 1);
    assert!(results.iter().all(|(status, _)| [200, 409].contains(status)));
    let pos = server.client().get("/pos").json();
    assert_eq!(pos["a"]["postApplyChecksum"], won[0].post.to_string());
}

#[test]
fn chunked_uploads_of_several_transactions_without_a_lease() {
    let server = Server::start();
    let client = server.client();
    let mut model = Model::new(4096);
    for (txids, changes, commit) in
        [(3, &[(1, 1), (2, 1)][..], 2), (1, &[(1, 2)], 2), (256, &[(1, 3), (2, 3), (3, 3)], 3)]
    {
        let tx = model.tx_spanning(txids, changes, commit);
        model.apply(&tx);
        let ltx = tx.ltx();
        let chunks: Vec<&[u8]> = ltx.chunks(1000).collect();
        let answer = client.post_chunked("/db/tx?db=a", &chunks).assert_ok();
        assert_eq!(answer.header("litefs-hwm"), Some(model.pos.txid.to_string().as_str()));
    }
    assert_eq!(client.get("/db/snapshot?db=a&format=sqlite").assert_ok().body, model.file());
}

#[test]
fn a_transaction_larger_than_memory_allows_goes_through_files() {
    let server = Server::start();
    let mut model = Model::new(65_536);
    let mut tx = model.tx(&[], 0);
    // Incompressible, so that the stored file is as large as the upload.
    let mut state = 1_u64;
    for pgno in 1..=300 {
        let mut page = model.page(pgno, 0);
        for byte in &mut page[101..] {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
        tx.pages.push((pgno, page));
    }
    tx.header.commit = 300;
    let pages: Vec<Vec<u8>> = tx.pages.iter().map(|(_, page)| page.clone()).collect();
    tx.post = crate::model::checksum(&pages);
    model.apply(&tx);
    server.client().push("a", &tx.ltx()).assert_ok();
    server.client().push("a", &tx.ltx()).assert_ok();
    let small = model.commit(&[(7, 1)], 300);
    server.client().push("a", &small).assert_ok();
    let snapshot = server.client().get("/db/snapshot?db=a&format=sqlite").assert_ok();
    assert!(snapshot.body == model.file());
    let left = |folder: &str| {
        let folder = server.data().join(".litevfs-cloud").join(folder);
        if folder.exists() { std::fs::read_dir(folder).unwrap().count() } else { 0 }
    };
    assert_eq!((left("staging"), left("scratch")), (0, 0));
}
