//! Tests of the cache: what it may hand out, and what it finds of an earlier process.

use super::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const NO_LIMITS: CacheLimits = CacheLimits { max_pages: 0, min_available_space: 0 };

fn pgno(n: u32) -> Pgno {
    Pgno::new(n).unwrap()
}

fn pos(txid: u64) -> Pos {
    let post_apply_checksum = Checksum(Checksum::FLAG | txid);
    Pos { txid: Txid(txid), post_apply_checksum, ..Pos::EMPTY }
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

/// What is in the cache's file of that kind.
fn file(dir: &sys::PrivateDir, extension: &str) -> Vec<u8> {
    std::fs::read(path_of(dir, extension)).unwrap()
}

fn path_of(dir: &sys::PrivateDir, extension: &str) -> std::path::PathBuf {
    let entries = std::fs::read_dir(dir.path().unwrap()).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| path.extension().unwrap() == extension).unwrap()
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
    cache.apply(pos(2), Pgno::new(4), &[new(1, 11), new(2, 12)], |pgno| {
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
    let mut bytes = file(&dir, "pages");
    let begin = super::super::block::BLOCK_LEN;
    bytes[begin + 600] ^= 1;
    bytes.truncate(begin + 1500);
    std::fs::write(path_of(&dir, "pages"), bytes).unwrap();
    let mut cache = Cache::open(Some(&place), NO_LIMITS);
    let found = (1..=4).filter_map(|n| read(&mut cache, n, 1)).count();
    assert_eq!(found, 1);
}

#[test]
fn a_crash_before_the_position_was_written_forgets_the_transaction() {
    let dir = sys::PrivateDir::create().unwrap();
    let place = place(&dir);
    let mut cache = filled(Some(&place));
    cache.apply(pos(2), None, &[new(1, 11), new(5, 15)], |pgno| {
        Some(page(10 + pgno.get() as u8).into())
    });
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
    assert!(cache.dir.is_none());
}

#[test]
fn where_the_space_is_ours_a_full_cache_evicts_pages() {
    let dir = sys::PrivateDir::create().unwrap();
    let mut cache = Cache::open(Some(&place(&dir)), NO_LIMITS);
    let page_size = PageSize::new(512).unwrap();
    cache.reset(pos(1));
    cache.set_page_size(page_size);
    let put = |cache: &mut Cache, pages: core::ops::Range<u32>| {
        for n in pages {
            cache.insert(pgno(n), Txid(1), &page(n as u8));
            cache.flush();
        }
    };
    put(&mut cache, 1..101);
    assert!(cache.fit(page_size, 0));
    put(&mut cache, 101..301);
    assert!((90..=100).contains(&cache.len_pages()));
    for n in (1..=300).filter(|&n| n == 1 || n > 290) {
        assert_eq!(read(&mut cache, n, 1), Some(n as u8));
    }
    assert_eq!(read(&mut cache, 2, 1), None);
    // There is more room again, for 50 pages.
    let len_pages = cache.len_pages();
    assert!(cache.fit(page_size, room_until_next_look(page_size) + 50 * 512));
    put(&mut cache, 301..501);
    assert!((len_pages + 40..=len_pages + 50).contains(&cache.len_pages()));
    // So few that they may as well be in memory.
    let other = sys::PrivateDir::create().unwrap();
    assert!(!filled(Some(&place(&other))).fit(page_size, 0));
}

#[test]
fn the_log_does_not_grow_without_end() {
    let dir = sys::PrivateDir::create().unwrap();
    let mut cache = filled(Some(&place(&dir)));
    for txid in 2..10_000 {
        cache.apply(pos(txid), None, &[new(1, txid as u8)], |_| Some(page(txid as u8).into()));
        cache.flush();
    }
    assert!(file(&dir, "index").len() < 50_000);
    drop(cache);
    let mut cache = Cache::open(Some(&place(&dir)), NO_LIMITS);
    assert_eq!((cache.pos(), read(&mut cache, 1, 9_999)), (pos(9_999), Some(9_999_u64 as u8)));
}

#[test]
fn a_large_cache_is_found_again() {
    let dir = sys::PrivateDir::create().unwrap();
    let place = place(&dir);
    let mut cache = filled(Some(&place));
    for n in 5..=5_000 {
        cache.insert(pgno(n), Txid(1), &page(n as u8));
    }
    // In no order, over more groups than have their blocks in memory.
    let changed: Vec<Pgno> = (0..40).map(|n| pgno(n * 1237 % 5_000 + 1)).collect();
    cache.advance(pos(2), &changed);
    cache.flush();
    drop(cache);
    let mut cache = Cache::open(Some(&place), NO_LIMITS);
    assert_eq!((cache.pos(), cache.len_pages()), (pos(2), 4_960));
    for n in 1..=5_000 {
        let expected = (!changed.contains(&pgno(n))).then_some(n as u8);
        assert_eq!(read(&mut cache, n, 2), expected, "page {n}");
    }
}

#[test]
fn a_large_private_cache_reads_back_what_left_memory() {
    let dir = sys::PrivateDir::create().unwrap();
    let mut cache = filled(Some(&CachePlace { keep: false, ..place(&dir) }));
    for txid in 1..=3 {
        for n in (5..=3_000).step_by(7) {
            cache.insert(pgno(n), Txid(txid), &page((n as u64 + txid) as u8));
        }
        cache.flush();
        for n in (5..=3_000).step_by(7) {
            assert_eq!(read(&mut cache, n, txid), Some((n as u64 + txid) as u8), "page {n}");
        }
        let all: Vec<Pgno> = (5..=3_000).map(pgno).collect();
        cache.advance(pos(txid + 1), &all);
        assert_eq!(cache.len_pages(), 4);
    }
}

#[test]
fn a_bounded_cache_keeps_what_was_read_ahead() {
    let dir = sys::PrivateDir::create().unwrap();
    let limits = CacheLimits { max_pages: 1_000, ..NO_LIMITS };
    let mut cache = Cache::open(Some(&place(&dir)), limits);
    cache.reset(pos(1));
    cache.set_page_size(PageSize::new(512).unwrap());
    for ahead in (1..=20_000).step_by(10) {
        for n in ahead..ahead + 10 {
            cache.insert(pgno(n), Txid(1), &page(n as u8));
        }
        let Some(first) = ahead.checked_sub(490).filter(|&first| first > 0) else { continue };
        for n in first..first + 10 {
            assert_eq!(read(&mut cache, n, 1), Some(n as u8), "page {n}");
        }
    }
}

#[test]
fn what_leaves_a_bounded_cache_gives_its_room_back() {
    use std::os::unix::fs::MetadataExt;
    let dir = sys::PrivateDir::create().unwrap();
    let place = place(&dir);
    let mut cache = Cache::open(Some(&place), CacheLimits { max_pages: 100, ..NO_LIMITS });
    cache.reset(pos(1));
    cache.set_page_size(PageSize::new(65_536).unwrap());
    for n in 1..=500 {
        cache.insert(pgno(n), Txid(1), &vec![n as u8; 65_536]);
        assert!(cache.len_pages() <= 100);
    }
    cache.flush();
    assert!(cache.len_pages() > 90);
    let allocated = std::fs::metadata(path_of(&dir, "pages")).unwrap().blocks() * 512;
    assert!(allocated <= 102 * 65_536, "{allocated}");
}

/// The pages that a transaction changed, and a number that no other transaction has.
type Change = (u64, Vec<Pgno>);

/// What page `n` holds after a transaction.
fn page_at(n: u32, txid: u64, changes: &[Change]) -> Vec<u8> {
    let history = &changes[..=txid as usize];
    let last = history.iter().rev().find(|(_, pages)| pages.contains(&pgno(n)));
    let fill = u64::from(n) << 32 | last.map_or(0, |(number, _)| *number);
    fill.to_le_bytes().repeat(64)
}

/// Random work, and after it a disk that has each sector as it was at some time. Whatever position the
/// next process finds, every page it finds is of that position; also when the server lost what came
/// after it, and has other transactions there now.
#[test]
fn a_power_cut_leaves_no_page_of_another_position() {
    let mut seed = 1_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let (mut found, mut moved) = (0, 0);
    for _ in 0..12 {
        let dir = sys::PrivateDir::create().unwrap();
        let place = place(&dir);
        let mut cache = Cache::open(Some(&place), NO_LIMITS);
        let mut changes: Vec<Change> = vec![(0, vec![]), (1, (1..=1_500).map(pgno).collect())];
        let mut transactions = 1;
        cache.reset(pos(1));
        cache.set_page_size(PageSize::new(512).unwrap());
        for _ in 0..3 {
            let mut states = vec![];
            for _ in 0..12 {
                let newest = changes.len() as u64 - 1;
                if random(2) == 0 {
                    let pages = (0..random(8)).map(|_| pgno(random(1_500) as u32 + 1)).collect();
                    transactions += 1;
                    changes.push((transactions, pages));
                    cache.advance(pos(newest + 1), &changes[newest as usize + 1].1);
                    states.push((file(&dir, "pages"), file(&dir, "index")));
                }
                let txid = cache.pos().txid.0;
                let first = random(1_500) as u32 + 1;
                for n in first..(first + random(100) as u32).min(1_501) {
                    cache.insert(pgno(n), Txid(txid), &page_at(n, txid, &changes));
                }
                cache.flush();
                states.push((file(&dir, "pages"), file(&dir, "index")));
            }
            drop(cache);
            let mut pages = vec![];
            for at in (0..states.last().unwrap().0.len()).step_by(512) {
                let most = random(12) + 1;
                let state = &states[states.len() - 1 - random(most) as usize];
                let sector = state.0.get(at..(at + 512).min(state.0.len())).unwrap_or(&[]);
                pages.resize(at.max(pages.len()), 0);
                pages.extend_from_slice(sector);
            }
            std::fs::write(path_of(&dir, "pages"), pages).unwrap();
            let index = &states[states.len() - 1 - random(12) as usize].1;
            std::fs::write(path_of(&dir, "index"), index).unwrap();
            cache = Cache::open(Some(&place), NO_LIMITS);
            let txid = cache.pos().txid.0;
            moved += u64::from(txid > 1);
            let mut bytes = vec![0; 512];
            for n in 1..=1_500 {
                if cache.read(pgno(n), Txid(txid), &mut bytes) {
                    found += 1;
                    assert_eq!(bytes, page_at(n, txid, &changes), "page {n} at {txid}");
                }
            }
            if random(2) == 0 {
                changes.truncate(txid.max(1) as usize + 1);
            }
            if txid == 0 {
                cache.reset(pos(1));
                cache.set_page_size(PageSize::new(512).unwrap());
            }
            for at in txid.max(1) + 1..changes.len() as u64 {
                cache.advance(pos(at), &changes[at as usize].1);
            }
            cache.flush();
        }
    }
    assert!(found > 1_000 && moved > 12, "{found} pages found, {moved} positions");
}
