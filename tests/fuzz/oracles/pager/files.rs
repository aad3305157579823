//! A cache takes any files, in bounded memory: what it reads then has the checksum that it tells.

use super::{Files, limits};
use crate::ltx::{Crc64, page_checksum};
use crate::types::{PageSize, Pgno, Pos, Txid};

const HEADER: usize = 48;
const GROUP: usize = 16;

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![1, 9], vec![0; 200], vec![2; 400]];
    let files = Files::new();
    let mut cache = files.open(0);
    cache.reset(Pos::EMPTY);
    cache.set_page_size(PageSize::new(512).unwrap());
    for number in [1, 2, 300] {
        cache.insert(Pgno::new(number).unwrap(), Txid(1), &[7; 512]);
        cache.flush();
    }
    drop(cache);
    let [index, pages] = files.read();
    for choice in [0, 1, 2, 0xf1] {
        let len = index.len().min(pages.len());
        seeds.push([&[choice, 20], &index[..len], &pages[..len]].concat());
    }
    seeds
}

/// The first byte says what is made right, the second how long the file of pages is; the halves are the files.
pub fn check(data: &[u8]) {
    let [choice, len, rest @ ..] = data else { return };
    let files = Files::new();
    let (index, pages) = rest.split_at(rest.len() / 2);
    let mut index = index.to_vec();
    if choice & 1 == 0 {
        make_right(&mut index, files.identity, choice & 2 == 0);
    }
    files.write(&[index, pages.to_vec()]);
    let file = std::fs::OpenOptions::new().write(true).open(&files.pages).unwrap();
    file.set_len(1 << (len % 27)).unwrap();
    for _ in 0..2 {
        use_it(&files, *choice);
    }
}

fn use_it(files: &Files, choice: u8) {
    let mut cache = files.open(u32::from(choice >> 4));
    let Some(page_size) = cache.page_size() else {
        cache.reset(Pos::EMPTY);
        cache.set_page_size(PageSize::new(512).unwrap());
        cache.insert(Pgno::ONE, Txid(1), &[7; 512]);
        cache.flush();
        return;
    };
    let mut page = vec![0; page_size.len_bytes()];
    for number in [1, 2, 255, 256, 511, 65_535, 1 << 24, u32::MAX] {
        let pgno = Pgno::new(number).unwrap();
        if cache.read(pgno, Txid(u64::MAX), &mut page) {
            let checksum = page_checksum(pgno, &page);
            assert_eq!(cache.checksum(pgno, Txid(u64::MAX)), Some(checksum));
        }
    }
    page.fill(choice);
    for number in [1, 3, 300] {
        cache.insert(Pgno::new(number).unwrap(), Txid(9), &page);
    }
    let changed = [3, u32::MAX].map(|number| Pgno::new(number).unwrap());
    cache.advance(cache.pos(), &changed);
    cache.set_limits(limits(2));
    cache.flush();
    assert!(cache.len_pages() <= 2 + 1, "{} pages are kept", cache.len_pages());
}

/// Makes a log of which the header holds, and each entry, perhaps with groups that a small file can have.
fn make_right(log: &mut [u8], identity: u64, has_low_groups: bool) {
    let Some((header, mut rest)) = log.split_at_mut_checked(HEADER) else { return };
    header[..8].copy_from_slice(b"LITEVFS2");
    header[8..16].copy_from_slice(&identity.to_be_bytes());
    let page_size = 512_u64 << (header[31] & 7);
    header[24..32].copy_from_slice(&page_size.to_be_bytes());
    seal(0, header);
    let round = u64::from_be_bytes(header[32..40].try_into().unwrap());
    while let Some(byte) = rest.get(7) {
        let groups = usize::from(byte % 5);
        let Some((entry, after)) = rest.split_at_mut_checked(groups * GROUP + 32) else { return };
        entry[..8].copy_from_slice(&(groups as u64).to_be_bytes());
        for group in entry[8..].as_chunks_mut::<GROUP>().0.iter_mut().take(groups) {
            if has_low_groups {
                group[..2].copy_from_slice(&[0, 0]);
                group[2] &= 1;
            }
        }
        seal(round, entry);
        rest = after;
    }
}

/// Ends bytes with the CRC of those before.
fn seal(round: u64, bytes: &mut [u8]) {
    let Some((body, place)) = bytes.split_last_chunk_mut::<8>() else { return };
    let mut crc = Crc64::new();
    crc.update(&round.to_be_bytes());
    crc.update(body);
    *place = crc.finish().to_be_bytes();
}
