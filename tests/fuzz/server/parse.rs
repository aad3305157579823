//! What the server reads out of requests, page 1 and b-trees: nothing is too strange, and it means one thing.

use super::Target;
use crate::auth::Glob;
use crate::btree::{BtreePage, next_overflow, usable_len};
use crate::page_list::PageList;
use crate::sqlite_file::SqliteFile;
use crate::times;
use crate::wire::{parse_time_ms, rfc3339_ms};
use litevfs::types::{DbName, PageSize, Pgno};

/// The most pages of a list to look at one by one.
const MOST: u64 = 4096;
/// As many cells as a page can say it has.
const MOST_CELLS: usize = 1 << 16;

/// The first byte says what the others are.
pub const TARGET: Target = Target { name: "server_parse", check, seeds };

fn check(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    match choice % 5 {
        0 => lists(text, choice >> 4),
        1 => btrees(bytes, choice & 16 == 0),
        2 => files(bytes),
        3 => globs(text),
        _ => moments(text, bytes),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "\x001,5-20,77-90",
        "\x504294967295,1-4294967295",
        "\x00 7-7,7",
        "\x03app-*-?\napp-eu-1",
        "\x03**a*b?\nxaxbx",
        "\x045 minutes ago",
        "\x042023-11-15T00:13:20.123 02:00",
        "\x04now",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    for file in super::source::files("tests/data/ltx") {
        if file.starts_with(b"SQLite format 3") {
            let page = file.len().min(4096);
            seeds.push([&[1], &file[..page]].concat());
            seeds.push([&[0x11], &file[page / 2..page]].concat());
            seeds.push([&[2], &file[..101]].concat());
        }
    }
    seeds
}

fn lists(text: &str, lock: u8) {
    let Ok(list) = text.parse::<PageList>() else { return };
    let lock = Pgno::new(u32::from(lock) + 1).unwrap();
    let (count, repeats) = (list.count(), list.repeats());
    let missing = list.missing(1000, lock);
    if count > MOST {
        return;
    }
    // The highest page stands for a lock page that is in no list.
    let last = Pgno::new(u32::MAX).unwrap();
    let mut all: Vec<Pgno> = list.clone().pgnos(last).collect();
    if all.len() as u64 != count {
        return;
    }
    assert_eq!(list.first(), all.first().copied());
    if all.iter().any(|pgno| pgno.get() > 1000) {
        assert!(missing.is_some(), "{text}");
    } else {
        assert!(missing.is_none_or(|pgno| pgno == lock), "{text}");
    }
    all.sort();
    all.dedup();
    assert_eq!((all.len() as u64) < count, repeats, "{text}");
}

fn btrees(bytes: &[u8], is_first: bool) {
    let pgno = if is_first { Pgno::ONE } else { Pgno::new(2).unwrap() };
    let _ = (usable_len(bytes, PageSize::new(512).unwrap()), next_overflow(bytes));
    let Some(page) = BtreePage::new(pgno, bytes) else { return };
    assert!(page.children().count() <= MOST_CELLS);
    for usable in [0, 11, 12, 35, 480, 512, bytes.len()] {
        assert!(page.schema_rows(usable).count() <= MOST_CELLS);
    }
}

fn files(bytes: &[u8]) {
    let Ok(file) = SqliteFile::parse(bytes) else { return };
    let page_len = u64::from(file.page_size.bytes());
    for len in [0, bytes.len() as u64, 512, 4096, 65_536, u64::MAX] {
        if let Ok(pages) = file.pages(len) {
            assert!(pages > 0 && pages * page_len == len);
        }
    }
}

fn globs(text: &str) {
    let Some((glob, name)) = text.split_once('\n') else { return };
    let (Ok(glob), Ok(name)) = (glob.parse::<Glob>(), name.parse::<DbName>()) else { return };
    let plain = matches(glob.to_string().as_bytes(), name.as_str().as_bytes());
    assert_eq!(glob.matches(&name), plain, "{text:?}");
}

/// The same, each character of the pattern against each place of the name.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for &symbol in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match symbol {
                b'*' => reached[..=at].contains(&true),
                _ => at > 0 && reached[at - 1] && (symbol == b'?' || symbol == name[at - 1]),
            };
        }
        reached = next;
    }
    reached[name.len()]
}

fn moments(text: &str, bytes: &[u8]) {
    let _ = times::parse(text);
    if let Ok(ms) = parse_time_ms(text)
        && let Some(shown) = rfc3339_ms(ms)
    {
        assert_eq!(parse_time_ms(&shown), Ok(ms), "{shown}");
    }
    let ms = bytes.iter().take(8).fold(0, |ms, byte| ms << 8 | u64::from(*byte));
    // What is shown past the year 9999 has a sign in front, and is no RFC 3339 any more.
    if let Some(shown) = rfc3339_ms(ms).filter(|shown| !shown.starts_with('+')) {
        assert_eq!(parse_time_ms(&shown), Ok(ms), "{shown}");
    }
}
