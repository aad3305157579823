//! Tests of the cache: what it may hand out, and what it finds of an earlier process.

use super::*;
use std::string::ToString;
use std::vec;

const NO_LIMITS: CacheLimits = CacheLimits { max_pages: 0, min_available_space: 0 };

fn pgno(n: u32) -> Pgno {
    Pgno::new(n).unwrap()
}

fn pos(txid: u64) -> Pos {
    Pos { txid: Txid(txid), post_apply_checksum: Checksum(Checksum::FLAG | txid) }
}

fn page(fill: u8) -> Vec<u8> {
    vec![fill; 512]
}

fn read(cache: &mut Cache, n: u32, view: u64) -> Option<u8> {
    let mut buffer = page(0);
    cache.read(pgno(n), Txid(view), &mut buffer).then(|| {
        assert!(buffer.iter().all(|&byte| byte == buffer[0]), "a torn page");
        buffer[0]
    })
}

fn place(dir: &sys::PrivateDir) -> CachePlace {
    let dir = dir.path().unwrap().to_string();
    CachePlace { dir, identity: "host/db".into(), keep: true }
}

/// A cache at position 1 with pages 1 to 4, each filled with its number.
fn filled(place: Option<&CachePlace>) -> Cache {
    let mut cache = Cache::open(place, NO_LIMITS);
    cache.reset(pos(1));
    cache.set_page_size(PageSize::new(512).unwrap());
    for n in 1..=4 {
        cache.insert(pgno(n), Txid(1), &page(n as u8));
    }
    cache.flush();
    cache
}

/// Page `n` of a transaction, which holds `fill`.
fn new(n: u32, fill: u8) -> (Pgno, Checksum) {
    (pgno(n), page_checksum(pgno(n), &page(fill)))
}

#[test]
fn changed_pages_leave_and_the_others_stay() {
    let mut cache = filled(None);
    cache.advance(pos(2), &[pgno(2)]);
    assert_eq!(read(&mut cache, 1, 2), Some(1));
    assert_eq!(read(&mut cache, 2, 2), None);
    cache.insert(pgno(2), Txid(2), &page(22));
    assert_eq!(read(&mut cache, 2, 2), Some(22));
    // A reader at the older position must not see the newer page, and may see the unchanged one.
    assert_eq!(read(&mut cache, 2, 1), None);
    assert_eq!(read(&mut cache, 1, 1), Some(1));
}

#[test]
fn a_transaction_replaces_and_truncates() {
    let mut cache = filled(None);
    cache.apply(pos(2), 3, &[new(1, 11), new(2, 12)], |pgno| {
        Some(page(10 + pgno.get() as u8).into())
    });
    assert_eq!(cache.pos(), pos(2));
    let all: Vec<_> = (1..=4).map(|n| read(&mut cache, n, 2)).collect();
    assert_eq!(all, [Some(11), Some(12), Some(3), None]);
}

#[test]
fn the_next_process_finds_what_was_there() {
    let dir = sys::PrivateDir::create().unwrap();
    let place = place(&dir);
    drop(filled(Some(&place)));
    let mut cache = Cache::open(Some(&place), NO_LIMITS);
    assert_eq!((cache.pos(), cache.len_pages()), (pos(1), 4));
    assert_eq!(read(&mut cache, 3, 1), Some(3));
    let other = CachePlace { identity: "host/db2".into(), ..place };
    assert_eq!(Cache::open(Some(&other), NO_LIMITS).len_pages(), 0);
}

#[test]
fn two_at_once_do_not_share() {
    let dir = sys::PrivateDir::create().unwrap();
    let place = place(&dir);
    let first = filled(Some(&place));
    let second = Cache::open(Some(&place), NO_LIMITS);
    assert_eq!((first.len_pages(), second.len_pages()), (4, 0));
}

#[test]
fn a_private_cache_leaves_no_files() {
    let dir = sys::PrivateDir::create().unwrap();
    let place = CachePlace { keep: false, ..place(&dir) };
    let mut cache = filled(Some(&place));
    assert_eq!(read(&mut cache, 4, 1), Some(4));
    assert_eq!(std::fs::read_dir(dir.path().unwrap()).unwrap().count(), 0);
}

#[test]
fn damaged_pages_are_dropped_not_shown() {
    let dir = sys::PrivateDir::create().unwrap();
    let place = place(&dir);
    drop(filled(Some(&place)));
    let paths: Vec<_> =
        std::fs::read_dir(&place.dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    let pages = paths.iter().find(|path| path.extension().unwrap() == "pages").unwrap();
    let mut bytes = std::fs::read(pages).unwrap();
    bytes[600] ^= 1;
    bytes.truncate(1500);
    std::fs::write(pages, bytes).unwrap();
    let mut cache = Cache::open(Some(&place), NO_LIMITS);
    let found = (1..=4).filter_map(|n| read(&mut cache, n, 1)).count();
    assert_eq!(found, 1);
}

#[test]
fn a_crash_before_the_position_was_written_forgets_the_transaction() {
    let dir = sys::PrivateDir::create().unwrap();
    let place = place(&dir);
    let mut cache = filled(Some(&place));
    cache.apply(pos(2), 5, &[new(1, 11), new(5, 15)], |pgno| {
        Some(page(10 + pgno.get() as u8).into())
    });
    cache.unlogged.pop().filter(|last| *last == Record::Pos(pos(2))).unwrap();
    drop(cache);
    let mut cache = Cache::open(Some(&place), NO_LIMITS);
    assert_eq!(cache.pos(), pos(1));
    let all: Vec<_> = (1..=5).map(|n| read(&mut cache, n, 1)).collect();
    assert_eq!(all, [None, Some(2), Some(3), Some(4), None]);
}

#[test]
fn a_bounded_cache_keeps_page_one_and_what_was_used() {
    let mut cache = Cache::open(None, CacheLimits { max_pages: 8, ..NO_LIMITS });
    cache.reset(pos(1));
    cache.set_page_size(PageSize::new(512).unwrap());
    for n in 1..=100 {
        cache.insert(pgno(n), Txid(1), &page(n as u8));
        assert!(cache.len_pages() <= 8);
        assert_eq!(read(&mut cache, 1, 1), Some(1));
        assert_eq!(read(&mut cache, n, 1), Some(n as u8));
    }
    cache.set_limits(CacheLimits { max_pages: 3, ..NO_LIMITS });
    assert!(cache.len_pages() <= 3);
    for n in 1..=100 {
        assert!(read(&mut cache, n, 1).is_none_or(|fill| fill == n as u8));
    }
}

#[test]
fn an_unusable_disk_means_memory() {
    let place = CachePlace { dir: "/dev/null/x".into(), identity: "i".into(), keep: true };
    let mut cache = filled(Some(&place));
    assert_eq!(read(&mut cache, 4, 1), Some(4));
    let dir = sys::PrivateDir::create().unwrap();
    let limits = CacheLimits { min_available_space: u64::MAX, ..NO_LIMITS };
    let mut cache = Cache::open(Some(&self::place(&dir)), limits);
    cache.reset(pos(1));
    cache.set_page_size(PageSize::new(512).unwrap());
    cache.insert(pgno(1), Txid(1), &page(1));
    assert_eq!(read(&mut cache, 1, 1), Some(1));
    assert!(matches!(cache.storage, Storage::Memory(_)));
}

#[test]
fn the_log_does_not_grow_without_end() {
    let dir = sys::PrivateDir::create().unwrap();
    let mut cache = filled(Some(&place(&dir)));
    for txid in 2..10_000 {
        cache.apply(pos(txid), 4, &[new(1, txid as u8)], |_| Some(page(txid as u8).into()));
        cache.flush();
    }
    assert!(cache.log.as_ref().unwrap().len_records() < 2 * LOG_SLACK_RECORDS);
    drop(cache);
    let mut cache = Cache::open(Some(&place(&dir)), NO_LIMITS);
    assert_eq!((cache.pos(), read(&mut cache, 1, 9_999)), (pos(9_999), Some(9_999_u64 as u8)));
}
