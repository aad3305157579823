//! Pages as SQLite lays them out, pages that nobody would, and packed forms that are damaged.

use alloc::vec;
use alloc::vec::Vec;

use super::*;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

/// An inner page of cells, the first at the end; with holes that are not empty, where asked for.
fn page(page_len: usize, cells: &[(u32, u64)], holes: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
    let mut page = vec![0; page_len];
    page[0] = INNER_TABLE;
    page[3..5].copy_from_slice(&(cells.len() as u16).to_be_bytes());
    let mut end = page_len;
    for (place, &(child, row_id)) in cells.iter().enumerate() {
        let (bytes, len) = cell_bytes(Cell { child: u64::from(child), row_id });
        let hole = holes(place);
        page[end - hole..end].fill(0xa5);
        let start = end - hole - len;
        page[start..start + len].copy_from_slice(&bytes[..len]);
        page[HEADER_LEN + 2 * place..][..2].copy_from_slice(&(start as u16).to_be_bytes());
        end = start;
    }
    page[5..7].copy_from_slice(&(end as u16).to_be_bytes());
    page
}

fn restored(packed: &[u8], page_len: usize) -> Vec<u8> {
    let mut page = vec![7; page_len];
    unpack(packed, &mut page).unwrap();
    page
}

#[test]
fn a_page_of_a_table_that_grew_takes_a_byte_a_cell() {
    for page_len in [512, 4096, 65_536] {
        let count = (page_len - HEADER_LEN) / 10;
        let cells: Vec<(u32, u64)> = (0..count as u64).map(|n| (n as u32 + 9, n * 52)).collect();
        let page = page(page_len, &cells, &mut |_| 0);
        let packed = pack(&page).unwrap();
        assert!(packed.len() < count + 40, "{page_len}: {}", packed.len());
        assert!(restored(&packed, page_len) == page);
    }
}

#[test]
fn every_row_id_and_child_comes_back() {
    let row_ids = (0..64).flat_map(|bits| {
        let power = 1_u64 << bits;
        [power - 1, power, power.wrapping_neg()]
    });
    let cells: Vec<(u32, u64)> =
        row_ids.map(|row_id| ((row_id.rotate_left(9)) as u32, row_id)).collect();
    let page = page(8192, &cells, &mut |place| place % 3);
    assert!(restored(&pack(&page).unwrap(), 8192) == page);
}

#[test]
fn whatever_is_packed_comes_back_and_the_rest_is_left_alone() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut packed_some, mut left_some) = (false, false);
    for round in 0..2000 {
        let page_len = 512 << random.below(4);
        let count = random.below(page_len / 20);
        let cells: Vec<(u32, u64)> = (0..count)
            .map(|_| (random.below(1 << 32) as u32, random.below(1 << 40) as u64))
            .collect();
        let mut holes = Random(round + 1);
        let mut page = page(page_len, &cells, &mut |_| holes.below(8) / 7);
        for _ in 0..random.below(4) {
            let place = random.below(page_len);
            page[place] ^= 1 << random.below(8);
        }
        match pack(&page) {
            Some(packed) => {
                packed_some = true;
                assert!(restored(&packed, page_len) == page);
            }
            None => left_some = true,
        }
        let noise: Vec<u8> = (0..page_len).map(|_| random.below(256) as u8).collect();
        if let Some(packed) = pack(&noise) {
            assert!(restored(&packed, page_len) == noise);
        }
    }
    assert!(packed_some && left_some);
}

#[test]
fn damaged_forms_are_errors_or_pages_and_never_more() {
    let cells: Vec<(u32, u64)> = (0..60).map(|n| (n * n, u64::from(n) << (n / 2))).collect();
    let packed = pack(&page(1024, &cells, &mut |place| place % 2)).unwrap();
    let mut out = vec![0; 1024];
    for len in 0..packed.len() {
        assert_eq!(unpack(&packed[..len], &mut out), Err(Error::BadInnerPage), "{len} bytes");
    }
    assert_eq!(unpack(&[&packed[..], &[0]].concat(), &mut out), Err(Error::BadInnerPage));
    let mut random = Random(99);
    for _ in 0..20_000 {
        let mut damaged = packed.clone();
        for _ in 0..=random.below(3) {
            let place = random.below(damaged.len());
            damaged[place] = random.below(256) as u8;
        }
        let _ = unpack(&damaged, &mut out);
        let _ = unpack(&damaged, &mut out[..500]);
        let noise: Vec<u8> = (0..random.below(200)).map(|_| random.below(256) as u8).collect();
        let _ = unpack(&noise, &mut out);
    }
}

#[test]
fn other_pages_are_not_packed() {
    for first in [0, 2, 10, 13] {
        let mut page = page(512, &[(2, 3)], &mut |_| 0);
        page[0] = first;
        assert_eq!(pack(&page), None);
    }
    assert_eq!(pack(&[]), None);
    assert_eq!(pack(&[5; 11]), None);
}
