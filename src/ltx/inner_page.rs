//! Inner pages of tables in a fraction of their bytes, for answers that carry many of them.
//!
//! Such a page is a list of cells, each a child's page number and a row id; both mostly grow by nearly
//! the same from cell to cell, which LZ4 cannot see. It is packed as
//!
//! | bytes | field |
//! | --- | --- |
//! | 12 | the page's b-tree header, as it is |
//! | LEB128 | how many runs of cells follow |
//! | LEB128, LEB128 | each run: how many cells, and where the first one ends in the page |
//! | 1 or more | each cell: see below |
//! | LEB128, LEB128, ... | what no header, pointer or cell covers: how many zeros, how many other bytes, and those; again until all is covered |
//!
//! In a run, each cell lies right before the one before it. A cell is one byte: the high half for the
//! child, the low half for the row id, each the change of its growth since the cell before, zigzagged
//! so that small ones of either sign are small numbers. 15 says that a LEB128 follows, to add to it.
//!
//! What packs has unpacked and compared, so a page that is laid out in any other way, or is damaged, is
//! simply not packed. Unpacking takes any bytes: it gives a page or an error.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::error::Error;
use super::varint::{put_varint, take_varint};

/// The type byte of an inner page of a table.
const INNER_TABLE: u8 = 5;
/// Bytes of an inner page's header.
const HEADER_LEN: usize = 12;
/// Bytes of a cell without its row id.
const CHILD_LEN: usize = 4;
/// The half byte that says that more follows.
const MORE: u64 = 15;
/// So many zeros end a row of other bytes.
const ZEROS: [u8; 4] = [0; 4];

/// Cells that lie one before the other.
struct Run {
    cells: usize,
    /// Where the first cell ends.
    end: usize,
    /// Where the last cell begins.
    start: usize,
}

/// What a cell says.
#[derive(Clone, Copy, Default)]
struct Cell {
    child: u64,
    row_id: u64,
}

/// The last cell, and by how much it was larger than the one before.
#[derive(Default)]
struct Growth {
    last: Cell,
    step: Cell,
}

/// Packs a page; `None` when it is no inner page of a table, or not to be restored byte for byte.
pub(super) fn pack(page: &[u8]) -> Option<Vec<u8>> {
    let header = page.first_chunk::<HEADER_LEN>()?;
    if header.first() != Some(&INNER_TABLE) {
        return None;
    }
    let count = cell_count(header);
    let pointers = page.get(HEADER_LEN..pointers_end(count))?.as_chunks::<2>().0;
    let (mut runs, mut cells, mut growth) = (Vec::<Run>::new(), Vec::new(), Growth::default());
    for pointer in pointers {
        let start = usize::from(u16::from_be_bytes(*pointer));
        let (cell, len) = read_cell(page.get(start..)?)?;
        let end = start.checked_add(len)?;
        match runs.last_mut() {
            Some(run) if run.start == end => {
                run.start = start;
                run.cells = run.cells.saturating_add(1);
            }
            _ => runs.push(Run { cells: 1, end, start }),
        }
        growth.put(&mut cells, cell);
    }
    let mut packed = header.to_vec();
    put_varint(&mut packed, runs.len() as u64);
    for run in &runs {
        put_varint(&mut packed, run.cells as u64);
        put_varint(&mut packed, run.end as u64);
    }
    packed.append(&mut cells);
    let holes = holes(page.len(), pointers_end(count), &runs).ok()?;
    let rest: Option<Vec<&[u8]>> = holes.into_iter().map(|hole| page.get(hole)).collect();
    put_rest(&mut packed, &rest?.concat());
    let mut restored = vec![0; page.len()];
    unpack(&packed, &mut restored).ok()?;
    (restored == page).then_some(packed)
}

/// Restores a page, all of `page`.
pub(super) fn unpack(packed: &[u8], page: &mut [u8]) -> Result<(), Error> {
    restore(packed, page).ok_or(Error::BadInnerPage)
}

/// Restores a page of a size that is not known, at the start of `page`; returns how many bytes it has. A packed
/// page accounts for each of its bytes, so only one size is right.
pub(super) fn unpack_within(packed: &[u8], page: &mut [u8]) -> Result<usize, Error> {
    let mut len = page.len();
    while let Some(page) = page.get_mut(..len).filter(|page| !page.is_empty()) {
        if restore(packed, page).is_some() {
            return Ok(len);
        }
        len /= 2;
    }
    Err(Error::BadInnerPage)
}

fn restore(packed: &[u8], page: &mut [u8]) -> Option<()> {
    let (header, mut rest) = packed.split_first_chunk::<HEADER_LEN>()?;
    page.fill(0);
    page.get_mut(..HEADER_LEN)?.copy_from_slice(header);
    let count = cell_count(header);
    // Also the bound of what follows: no page has room for more cells than pointers.
    let pointers_end = Some(pointers_end(count)).filter(|&end| end <= page.len())?;
    let mut runs = take_runs(&mut rest, count)?;
    let (mut growth, mut pointer) = (Growth::default(), HEADER_LEN);
    for run in &mut runs {
        for _ in 0..run.cells {
            let (bytes, len) = cell_bytes(growth.take(&mut rest)?);
            let end = run.start;
            run.start = end.checked_sub(len)?;
            page.get_mut(run.start..end)?.copy_from_slice(bytes.get(..len)?);
            let place = u16::try_from(run.start).ok()?;
            let next = pointer.checked_add(2)?;
            page.get_mut(pointer..next)?.copy_from_slice(&place.to_be_bytes());
            pointer = next;
        }
    }
    let holes = holes(page.len(), pointers_end, &runs).ok()?;
    take_rest(&mut rest, page, holes)?;
    rest.is_empty().then_some(())
}

/// How many cells a page says it has.
const fn cell_count(header: &[u8; HEADER_LEN]) -> usize {
    let [_, _, _, high, low, ..] = *header;
    u16::from_be_bytes([high, low]) as usize
}

/// Where the pointers to so many cells end.
const fn pointers_end(count: usize) -> usize {
    count.saturating_mul(2).saturating_add(HEADER_LEN)
}

/// Reads runs that have `count` cells together; each begins where its cells are to be put.
fn take_runs(rest: &mut &[u8], count: usize) -> Option<Vec<Run>> {
    let runs = usize::try_from(take_varint(rest)?).ok().filter(|&runs| runs <= count)?;
    let (mut taken, mut left) = (Vec::with_capacity(runs), count);
    for _ in 0..runs {
        let cells = usize::try_from(take_varint(rest)?).ok()?;
        let end = usize::try_from(take_varint(rest)?).ok()?;
        left = left.checked_sub(cells)?;
        taken.push(Run { cells, end, start: end });
    }
    (left == 0).then_some(taken)
}

/// What lies between the pointers, the runs and the end of the page.
fn holes(page_len: usize, from: usize, runs: &[Run]) -> Result<Vec<Range<usize>>, Error> {
    // They are few. Sorting is 2 KB of code for each type.
    let mut ascending: Vec<&Run> = Vec::with_capacity(runs.len());
    for run in runs {
        ascending.insert(ascending.partition_point(|other| other.start <= run.start), run);
    }
    let mut holes = Vec::with_capacity(runs.len().saturating_add(1));
    let mut covered = from;
    for run in ascending {
        if run.start < covered || run.end > page_len {
            return Err(Error::BadInnerPage);
        }
        holes.push(covered..run.start);
        covered = run.end;
    }
    holes.push(covered..page_len);
    Ok(holes)
}

/// Reads a cell; also how many bytes it has.
fn read_cell(bytes: &[u8]) -> Option<(Cell, usize)> {
    let (child, rest) = bytes.split_first_chunk::<CHILD_LEN>()?;
    let (mut row_id, mut len) = (0_u64, 0_usize);
    // SQLite's own varints: seven bits a byte, the highest first, all eight of a ninth byte.
    for &byte in rest.iter().take(9) {
        len = len.saturating_add(1);
        if len == 9 {
            row_id = row_id << 8 | u64::from(byte);
        } else {
            row_id = row_id << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                continue;
            }
        }
        let cell = Cell { child: u64::from(u32::from_be_bytes(*child)), row_id };
        return Some((cell, len.saturating_add(CHILD_LEN)));
    }
    None
}

/// A cell as it lies in a page: these bytes, so many of them.
fn cell_bytes(cell: Cell) -> ([u8; CHILD_LEN + 9], usize) {
    let [a, b, c, d] = (cell.child as u32).to_be_bytes();
    let mut bytes = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let bits = u64::BITS.saturating_sub(cell.row_id.leading_zeros());
    let full = bits > 56;
    let len = if full { 9 } else { bits.div_ceil(7).max(1) as usize };
    let mut left = cell.row_id;
    for (place, byte) in bytes.iter_mut().skip(CHILD_LEN).take(len).enumerate().rev() {
        let is_last = place.saturating_add(1) == len;
        let width = if full && is_last { 8 } else { 7 };
        let low = left as u8 & if width == 8 { 0xff } else { 0x7f };
        *byte = if is_last { low } else { low | 0x80 };
        left >>= width;
    }
    (bytes, len.saturating_add(CHILD_LEN))
}

impl Growth {
    fn put(&mut self, out: &mut Vec<u8>, cell: Cell) {
        let step = Cell {
            child: cell.child.wrapping_sub(self.last.child),
            row_id: cell.row_id.wrapping_sub(self.last.row_id),
        };
        let child = zigzag(step.child.wrapping_sub(self.step.child));
        let row_id = zigzag(step.row_id.wrapping_sub(self.step.row_id));
        out.push((child.min(MORE) << 4 | row_id.min(MORE)) as u8);
        for more in [child, row_id].into_iter().filter_map(|value| value.checked_sub(MORE)) {
            put_varint(out, more);
        }
        *self = Growth { last: cell, step };
    }

    fn take(&mut self, rest: &mut &[u8]) -> Option<Cell> {
        let both = u64::from(*rest.split_off_first()?);
        let mut half = |value: u64| match value {
            MORE => take_varint(rest)?.checked_add(MORE),
            value => Some(value),
        };
        let (child, row_id) = (half(both >> 4)?, half(both & 0xf)?);
        self.step.child = self.step.child.wrapping_add(unzigzag(child));
        self.step.row_id = self.step.row_id.wrapping_add(unzigzag(row_id));
        self.last.child = self.last.child.wrapping_add(self.step.child);
        self.last.row_id = self.last.row_id.wrapping_add(self.step.row_id);
        Some(self.last)
    }
}

/// A difference, so that small ones of either sign are small numbers.
const fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ ((difference as i64) >> 63) as u64
}

const fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

fn put_rest(out: &mut Vec<u8>, mut rest: &[u8]) {
    while !rest.is_empty() {
        let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
        rest = rest.get(zeros..).unwrap_or_default();
        let end = rest.windows(ZEROS.len()).position(|four| four == ZEROS);
        let (others, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or_default();
        put_varint(out, zeros as u64);
        put_varint(out, others.len() as u64);
        out.extend_from_slice(others);
        rest = after;
    }
}

/// Fills holes of a page that is zero there.
fn take_rest(rest: &mut &[u8], page: &mut [u8], holes: Vec<Range<usize>>) -> Option<()> {
    // Bytes to be passed over, and bytes to be put.
    let (mut zeros, mut others): (usize, &[u8]) = (0, &[]);
    for hole in holes {
        let mut hole = page.get_mut(hole)?;
        while !hole.is_empty() {
            if zeros == 0 && others.is_empty() {
                zeros = usize::try_from(take_varint(rest)?).ok()?;
                let len = usize::try_from(take_varint(rest)?).ok()?;
                others = rest.split_off(..len)?;
                if zeros == 0 && others.is_empty() {
                    return None;
                }
            }
            let passed = zeros.min(hole.len());
            zeros = zeros.saturating_sub(passed);
            hole = hole.split_at_mut_checked(passed)?.1;
            let put = if zeros == 0 { others.len().min(hole.len()) } else { 0 };
            let (target, after) = hole.split_at_mut_checked(put)?;
            target.copy_from_slice(others.split_off(..put)?);
            hole = after;
        }
    }
    (zeros == 0 && others.is_empty()).then_some(())
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;
