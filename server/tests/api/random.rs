//! Random histories against the model: every page at every position, every change list.

use std::cell::{Cell, RefCell};

use litevfs::types::Pos;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::model::{Model, pos_json};
use crate::process::Server;
use crate::{read, sync};

/// One transaction: how many it spans, the new size, and which pages it writes besides new ones.
#[derive(Debug, Clone)]
struct Step {
    txids: u64,
    commit: u32,
    writes: Vec<u32>,
    fill: u8,
    restart: bool,
    /// Begins with all pages in another size: which of three.
    reshape: Option<usize>,
}

const PAGE_SIZES: [u32; 3] = [512, 4096, 65_536];

fn step() -> impl Strategy<Value = Step> {
    let writes = proptest::collection::vec(1..12_u32, 0..5);
    let reshape = prop::option::weighted(0.15, 0..3_usize);
    (1..4_u64, 1..12_u32, writes, any::<u8>(), prop::bool::weighted(0.1), reshape).prop_map(
        |(txids, commit, writes, fill, restart, reshape)| Step {
            txids,
            commit,
            writes,
            fill,
            restart,
            reshape,
        },
    )
}

#[test]
fn every_position_reads_as_it_was() {
    let server = RefCell::new(Server::start());
    let cases = Cell::new(0);
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let histories = (0..3_usize, proptest::collection::vec(step(), 1..12));
    let run = TestRunner::new(config).run(&histories, |(size, steps)| {
        cases.set(cases.get() + 1);
        check(&mut server.borrow_mut(), &format!("db{}", cases.get()), PAGE_SIZES[size], &steps);
        Ok(())
    });
    run.unwrap();
}

fn check(server: &mut Server, db: &str, page_size: u32, steps: &[Step]) {
    let mut model = Model::new(page_size);
    let mut written: Vec<Written> = Vec::new();
    for step in steps {
        if let Some(size) = step.reshape.filter(|_| !model.pages.is_empty()) {
            let tx = model.reshape(PAGE_SIZES[size], step.fill, step.commit);
            model.apply(&tx);
            written.push((PAGE_SIZES[size], step.commit, (1..=step.commit).collect()));
            server.client().push(db, &tx.ltx()).assert_ok();
        }
        let old_commit = model.pages.len() as u32;
        let mut pgnos: Vec<u32> =
            step.writes.iter().copied().filter(|&pgno| pgno <= step.commit).collect();
        pgnos.extend(old_commit + 1..=step.commit);
        pgnos.sort_unstable();
        pgnos.dedup();
        let changes: Vec<(u32, u8)> =
            pgnos.iter().map(|&pgno| (pgno, step.fill.wrapping_add(pgno as u8))).collect();
        let tx = model.tx_spanning(step.txids, &changes, step.commit);
        model.apply(&tx);
        written.push((model.page_size.bytes(), step.commit, pgnos));
        server.client().push(db, &tx.ltx()).assert_ok();
        if step.restart {
            server.kill();
            server.restart();
        }
    }
    let client = server.client();
    for (number, (pos, content)) in model.history.iter().enumerate() {
        let pgnos: Vec<String> = (1..=content.len()).map(|pgno| pgno.to_string()).collect();
        let answer = read::get(&client, db, *pos, &pgnos.join(",")).assert_ok();
        let pages: Vec<Vec<u8>> = read::pages(&answer).into_iter().map(|(_, data)| data).collect();
        assert!(pages == *content, "{db} at {pos}");
        assert_eq!(sync::since(&client, db, *pos), expected_changes(&model, &written, number));
    }
    let snapshot = client.get(&format!("/db/snapshot?db={db}&format=sqlite")).assert_ok();
    assert!(snapshot.body == model.file());
}

/// Page size, database size, pages.
type Written = (u32, u32, Vec<u32>);

fn expected_changes(model: &Model, written: &[Written], since: usize) -> Value {
    let later = &written[since + 1..];
    let mut steps = written[since..].windows(2);
    let shrank = steps.any(|two| two[1].0 != two[0].0 || two[1].1 < two[0].1);
    let is_reshaped = later.iter().any(|(page_size, ..)| *page_size != written[since].0);
    let mut pgnos: Vec<u32> = later.iter().flat_map(|(.., pgnos)| pgnos.clone()).collect();
    pgnos.sort_unstable();
    pgnos.dedup();
    let current: Pos = model.pos;
    let (pgnos, all) = match (later.is_empty(), shrank) {
        (true, _) => (Value::Null, false),
        (false, true) => (Value::Null, true),
        (false, false) => (json!(pgnos), false),
    };
    let mut expected = json!({ "pos": pos_json(current), "pgnos": pgnos, "all": all });
    if all && !is_reshaped {
        expected["commits"] = json!(true);
    }
    expected
}
