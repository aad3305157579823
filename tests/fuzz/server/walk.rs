//! Whatever the pages of a database lead to, it is opened with some of them, each once, as they are, in no more bytes
//! than were asked for.

use super::{Source, Target, block_on};
use crate::key::DbKey;
use crate::spool::SpoolWriter;
use crate::store::fuzzing::store;
use litevfs::ltx::{END_OF_PAGES, PageFrames};
use litevfs::page1::{MAGIC, set_counter_and_size};
use litevfs::types::{PageSize, Pgno, Pos};
use std::collections::BTreeSet;
use std::io::Write;

const HEADER_LEN: usize = 100;
const MOST_PAGES: u8 = 32;
/// Bytes that page 1 may take beyond what was asked for.
const SLACK: usize = 70_000;

/// The bytes say what pages there are and what is on them.
pub const TARGET: Target = Target { name: "opening_walk", check, seeds };

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for size in 0..8_u8 {
        // A schema that points at one cell again and again, children that are each other's parents, chains.
        seeds.push(vec![
            size, 9, 16, 1, 5, 255, 255, 0, 120, 0, 0, 0, 2, 2, 5, 0, 40, 0, 200, 3, 13,
        ]);
        seeds.push((0..120).map(|n: u8| n.wrapping_mul(size.wrapping_add(3))).collect());
    }
    seeds
}

fn check(data: &[u8]) {
    let mut source = Source(data);
    let page_size = PageSize::new(512 << (source.byte() % 8)).unwrap();
    let pages = pages(&mut source, page_size);
    let max_bytes = [0, 1000, 65_536, 1 << 20][usize::from(source.byte() % 4)];
    block_on(async {
        let store = store().await;
        let key = DbKey { cluster: "c".parse().unwrap(), db: "d".parse().unwrap() };
        let mut spool = SpoolWriter::new(&std::env::temp_dir());
        spool.write_all(&pages.concat()).unwrap();
        store.import(&key, spool.finish().unwrap(), None).await.unwrap();
        let database = store.fresh(&key).await.unwrap().unwrap();
        for _ in 0..2 {
            let opened = store.open_for(&database, Pos::EMPTY, max_bytes).await;
            let (pos, _, frames) = opened.unwrap();
            assert_eq!(pos, database.pos());
            let len: usize = frames.iter().map(|frame| frame.len()).sum();
            assert!(len <= max_bytes + SLACK && (len <= max_bytes || frames.len() == 1));
            let row = [frames.concat(), END_OF_PAGES.to_vec()].concat();
            are_pages(&row, &pages);
        }
    });
}

fn are_pages(row: &[u8], pages: &[Vec<u8>]) {
    let (mut frames, mut page, mut seen) =
        (PageFrames::new(row, None), Vec::new(), BTreeSet::new());
    while let Some(pgno) = frames.next_page(&mut page).unwrap() {
        assert!(seen.insert(pgno), "page {pgno} comes twice");
        let stored = &pages[pgno.get() as usize - 1];
        // The server counts an import on page 1.
        let at = if pgno == Pgno::ONE { HEADER_LEN } else { 0 };
        assert!(page[at..] == stored[at..], "page {pgno} is another one");
    }
    assert!(seen.contains(&Pgno::ONE));
}

/// Pages of a database of which page 1 has a sound header.
fn pages(source: &mut Source, page_size: PageSize) -> Vec<Vec<u8>> {
    let count = 1 + u32::from(source.byte() % MOST_PAGES);
    let mut pages: Vec<Vec<u8>> = (0..count)
        .map(|n| {
            let at = if n == 0 { HEADER_LEN } else { 0 };
            let mut page = vec![0; page_size.len_bytes()];
            fill(source, &mut page[at..], at, count);
            page
        })
        .collect();
    let page1 = &mut pages[0];
    page1[..16].copy_from_slice(MAGIC);
    let short = u16::try_from(page_size.bytes()).unwrap_or(1);
    page1[16..18].copy_from_slice(&short.to_be_bytes());
    page1[18..24].copy_from_slice(&[1, 1, source.byte() % 32, 64, 32, 32]);
    page1[44..48].copy_from_slice(&4_u32.to_be_bytes());
    page1[56..60].copy_from_slice(&1_u32.to_be_bytes());
    if ![5, 13].contains(&page1[HEADER_LEN]) {
        page1[HEADER_LEN] = 13;
    }
    set_counter_and_size(page1, 1, count);
    pages
}

/// A page of a b-tree, most of it the same again and again.
fn fill(source: &mut Source, page: &mut [u8], begin: usize, count: u32) {
    let how = source.byte();
    page[0] = [5, 13, 2, 10, 0, how, 5, 13][usize::from(how & 7)];
    let cells = source.u16();
    page[3..5].copy_from_slice(&cells.to_be_bytes());
    let is_inner = page[0] < 8;
    let child = |source: &mut Source| 1 + source.u32() % (count + 2);
    if is_inner {
        let right = child(source);
        page[8..12].copy_from_slice(&right.to_be_bytes());
    }
    let pointers_at = if is_inner { 12 } else { 8 };
    let distinct = 1 + usize::from(source.byte() % 8);
    let places: Vec<u16> = (0..distinct).map(|_| source.u16()).collect();
    for (pointer, place) in
        page[pointers_at..].chunks_exact_mut(2).take(cells.into()).zip(places.iter().cycle())
    {
        pointer.copy_from_slice(&place.to_be_bytes());
    }
    for place in places {
        let at = usize::from(place).saturating_sub(begin);
        let number = child(source).to_be_bytes();
        // A child, or a row of the schema: lengths, five columns, and a root page.
        let row =
            [source.byte(), 1, 6, 1, 1, 1, source.byte() % 10, 1, number[3], number[2], number[3]];
        let cell = if is_inner { [&number[..], &[source.byte()]].concat() } else { row.to_vec() };
        if let Some(target) = page.get_mut(at..at + cell.len()) {
            target.copy_from_slice(&cell);
        }
    }
}
