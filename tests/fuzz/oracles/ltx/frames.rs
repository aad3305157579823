//! Pages as they are sent: a row gives whole pages of one size, or an error, and then nothing more.

use super::files;
use crate::ltx::inner_page::{pack, unpack};
use crate::ltx::{
    END_OF_PAGES, Error, PageFrames, PageIndex, decode_page_frame, inner_page_frame,
    starts_page_frame,
};
use crate::types::{PageSize, Pgno};

/// Bytes of pages after which a row has shown enough.
const MOST: usize = 16 << 20;

/// Frames of files, alone and in a row.
pub fn rows() -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    for file in files::examples() {
        let Ok(index) = PageIndex::decode(&file, file.len() as u64) else { continue };
        let mut row = vec![11];
        for entry in index.entries().iter().take(3) {
            let frame = &file[entry.offset as usize..(entry.offset + entry.len) as usize];
            rows.push([&[3], frame].concat());
            row.extend_from_slice(frame);
        }
        row.extend(END_OF_PAGES);
        rows.push(row);
    }
    for (choice, len) in [(8, 512), (15, 65_536)] {
        let mut page = vec![0; len];
        page[0] = 5;
        let frame = inner_page_frame(Pgno::ONE, &page, usize::MAX).unwrap();
        rows.push([&[choice], &frame[..], &END_OF_PAGES].concat());
    }
    rows
}

/// The first byte says the size of pages, and whether it is known.
pub fn check_row(data: &[u8]) {
    let Some((&choice, row)) = data.split_first() else { return };
    let page_size = PageSize::new(512 << (choice & 7)).unwrap();
    let known = Some(page_size).filter(|_| choice & 8 != 0);
    let mut frames = PageFrames::new(row, known);
    let (mut page, mut len) = (vec![1; 7], 0);
    let end = loop {
        match frames.next_page(&mut page).map_err(Error::from) {
            Ok(Some(pgno)) => {
                let size = frames.page_size().unwrap();
                assert_eq!(page.len(), size.len_bytes());
                assert_ne!(pgno, size.lock_pgno());
                assert!(known.is_none_or(|known| known == size));
                len += page.len();
            }
            end => break end,
        }
        if len > MOST {
            return;
        }
    };
    let after = frames.next_page(&mut page).map_err(Error::from);
    assert_eq!(after, end.and(Ok(None)).map_err(|_| Error::AlreadyFailed));
    if let Ok((pgno, page)) = decode_page_frame(row, page_size) {
        assert!(page.len() == page_size.len_bytes() && starts_page_frame(row, pgno));
        comes_alone(row, pgno, &page);
    }
}

/// A frame by itself gives that page.
fn comes_alone(frame: &[u8], pgno: Pgno, page: &[u8]) {
    let row = [frame, &END_OF_PAGES].concat();
    let size = u32::try_from(page.len()).ok().and_then(PageSize::new);
    for known in [size, None] {
        let (mut frames, mut came) = (PageFrames::new(&row[..], known), Vec::new());
        assert_eq!(frames.next_page(&mut came).map_err(Error::from), Ok(Some(pgno)));
        assert!(came == page);
        assert_eq!(frames.next_page(&mut came).map_err(Error::from), Ok(None));
    }
}

/// Inner pages, packed, as they are, and in words for [`made_page`].
pub fn inner_pages() -> Vec<Vec<u8>> {
    let cells: Vec<u8> = (0..60).flat_map(|n: u8| [n % 7, 1, n]).collect();
    let made = made_page(&cells, 512, 3);
    vec![
        [&[0], &pack(&made).unwrap()[..]].concat(),
        [&[8], &made[..]].concat(),
        [&[24 | 3], &cells[..]].concat(),
        [&[8], &[5; 40][..]].concat(),
    ]
}

/// The first byte says the size of the page, and what the others are: a packed page, a page, or its cells.
pub fn check_inner(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let len = 512_usize << (choice & 7);
    let page = match choice >> 3 & 3 {
        0 | 2 => {
            let mut page = vec![0xa5; len];
            if unpack(bytes, &mut page).is_err() {
                return;
            }
            page
        }
        1 => {
            let mut page = bytes.to_vec();
            page.resize(len, 0);
            page
        }
        _ => made_page(bytes, len, choice),
    };
    let Some(packed) = pack(&page) else { return };
    let mut again = vec![0x5a; len];
    unpack(&packed, &mut again).unwrap();
    assert!(again == page, "another page comes out");
    // A frame that is no smaller than the page is not sent.
    let pgno = Pgno::new(7).unwrap();
    if let Some(frame) = inner_page_frame(pgno, &page, len) {
        comes_alone(&frame, pgno, &page);
    }
}

/// An inner page with cells that the bytes describe.
fn made_page(bytes: &[u8], len: usize, choice: u8) -> Vec<u8> {
    let mut page = vec![0; len];
    let (mut at, mut count, mut row_id, mut child) = (len, 0_usize, 0_u64, 0_u32);
    for &[a, b, c] in bytes.as_chunks::<3>().0 {
        row_id = match c & 0x80 {
            0 => row_id.wrapping_add(u64::from(a)),
            _ => row_id.wrapping_mul(u64::from(a) | 0x101).rotate_left(u32::from(b)),
        };
        child = child.wrapping_add(u32::from(b)).wrapping_add(u32::from(c & 0x40) << 20);
        let cell = cell(child, row_id);
        // Now and then with a gap.
        let gap = if c & 0x20 != 0 { usize::from(c & 7) } else { 0 };
        let pointers_end = 12 + 2 * (count + 1);
        let Some(start) = at.checked_sub(gap + cell.len()).filter(|&start| start >= pointers_end)
        else {
            break;
        };
        at = start;
        page[at..at + cell.len()].copy_from_slice(&cell);
        page[pointers_end - 2..pointers_end].copy_from_slice(&(at as u16).to_be_bytes());
        count += 1;
    }
    page[0] = 5;
    page[3..5].copy_from_slice(&(count as u16).to_be_bytes());
    page[8] = choice;
    page
}

/// A cell as SQLite writes it: the child, and the row id in a varint, the highest bits first.
fn cell(child: u32, row_id: u64) -> Vec<u8> {
    let mut backwards = Vec::new();
    let mut left = row_id;
    if row_id >> 56 != 0 {
        backwards.push(left as u8);
        left >>= 8;
        backwards.extend((0..8).map(|n| (left >> (7 * n)) as u8 & 0x7f | 0x80));
    } else {
        backwards.push(left as u8 & 0x7f);
        while left > 0x7f {
            left >>= 7;
            backwards.push(left as u8 & 0x7f | 0x80);
        }
    }
    let varint = backwards.into_iter().rev();
    child.to_be_bytes().into_iter().chain(varint).collect()
}
