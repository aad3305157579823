//! Reads as much of SQLite's b-tree pages as it takes to find the pages that lead to all others.
//!
//! Pages come from clients, so anything may be in them: whatever makes no sense is passed over. A page
//! counts as many cells as fit into it, and one that several pointers lead to once.

use std::collections::HashSet;

use litevfs::types::{PageSize, Pgno};

/// Where the b-tree header of page 1 begins, after the database header.
const DATABASE_HEADER_LEN: usize = 100;
/// Where page 1 says how many bytes at the end of each page are not SQLite's.
const RESERVED_AT: usize = 20;
/// Bytes of an inner page's header, and of a leaf's.
const INNER_LEN: usize = 12;
const LEAF_LEN: usize = 8;
/// Bytes that a cell takes at least, with its pointer.
const MIN_CELL_LEN: usize = 6;
/// Which column of the schema's rows is the root page.
const ROOT_PAGE: usize = 3;

/// What a page of a b-tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Leads to other pages of a table.
    InnerTable,
    /// Leads to other pages of an index, or of a table without row ids.
    InnerIndex,
    /// Has rows.
    LeafTable,
    /// Has keys.
    LeafIndex,
}

/// What a row of the schema leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaRow {
    /// The root page of the table or index.
    pub root: Option<Pgno>,
    /// The page with the rest of the row, if it is a long one.
    pub overflow: Option<Pgno>,
}

/// One page.
#[derive(Debug, Clone, Copy)]
pub struct BtreePage<'a> {
    kind: Kind,
    page: &'a [u8],
    /// Where its cell pointers begin.
    pointers_at: usize,
    cells: usize,
    right: Option<Pgno>,
}

impl<'a> BtreePage<'a> {
    /// A page of a b-tree; `None` when it is none.
    pub fn new(pgno: Pgno, page: &'a [u8]) -> Option<BtreePage<'a>> {
        let header_at = if pgno == Pgno::ONE { DATABASE_HEADER_LEN } else { 0 };
        let header = page.get(header_at..)?;
        let (kind, len) = match header.first()? {
            5 => (Kind::InnerTable, INNER_LEN),
            2 => (Kind::InnerIndex, INNER_LEN),
            13 => (Kind::LeafTable, LEAF_LEN),
            10 => (Kind::LeafIndex, LEAF_LEN),
            _ => return None,
        };
        let cells = usize::from(u16::from_be_bytes(field(header, 3)?));
        let right = if len == INNER_LEN { number(header, LEAF_LEN) } else { None };
        let room = page.len().saturating_sub(LEAF_LEN) / MIN_CELL_LEN;
        let (pointers_at, cells) = (header_at.checked_add(len)?, cells.min(room));
        Some(BtreePage { kind, page, pointers_at, cells, right })
    }

    /// What it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    fn cells(self) -> impl Iterator<Item = &'a [u8]> {
        let pointers = self.page.get(self.pointers_at..).unwrap_or_default().as_chunks::<2>().0;
        let mut seen = HashSet::new();
        let first = move |pointer: &&[u8; 2]| seen.insert(**pointer);
        let cell = move |&pointer| self.page.get(usize::from(u16::from_be_bytes(pointer))..);
        pointers.iter().take(self.cells).filter(first).filter_map(cell)
    }

    /// The pages that an inner page leads to, in the order of their keys.
    pub fn children(self) -> impl Iterator<Item = Pgno> {
        let inner = matches!(self.kind, Kind::InnerTable | Kind::InnerIndex);
        let left = self.cells().filter_map(|cell| number(cell, 0));
        left.chain(self.right).filter(move |_| inner)
    }

    /// What the rows of a leaf of the schema lead to, in pages of which so many bytes are used.
    pub fn schema_rows(self, usable: usize) -> impl Iterator<Item = SchemaRow> {
        let leaf = self.kind == Kind::LeafTable;
        self.cells().filter(move |_| leaf).filter_map(move |cell| schema_row(cell, usable))
    }
}

/// How many bytes of a page are used, as page 1 says.
pub fn usable_len(page1: &[u8], page_size: PageSize) -> usize {
    let reserved = page1.get(RESERVED_AT).copied().unwrap_or(0);
    page_size.len_bytes().saturating_sub(usize::from(reserved))
}

/// The page that follows in a chain of overflow pages.
pub fn next_overflow(page: &[u8]) -> Option<Pgno> {
    number(page, 0)
}

fn field<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

fn number(bytes: &[u8], offset: usize) -> Option<Pgno> {
    Pgno::new(u32::from_be_bytes(field(bytes, offset)?))
}

/// A varint of SQLite's: seven bits a byte, the highest first, all eight of a ninth byte.
fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for _ in 0..8 {
        let byte = *rest.split_off_first()?;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    Some(value << 8 | u64::from(*rest.split_off_first()?))
}

fn schema_row(cell: &[u8], usable: usize) -> Option<SchemaRow> {
    let mut rest = cell;
    let len = usize::try_from(take_varint(&mut rest)?).ok()?;
    take_varint(&mut rest)?;
    let local = local_len(len, usable)?;
    let payload = rest.get(..local).unwrap_or(rest);
    let overflow = if local < len { number(rest, local) } else { None };
    Some(SchemaRow { root: root_page(payload), overflow })
}

/// How many bytes of a row lie in its leaf.
fn local_len(len: usize, usable: usize) -> Option<usize> {
    let most = usable.checked_sub(35)?;
    if len <= most {
        return Some(len);
    }
    let least = usable.checked_sub(12)?.checked_mul(32)?.checked_div(255)?.checked_sub(23)?;
    let local = len.checked_sub(least)?.checked_rem(usable.checked_sub(4)?)?.checked_add(least)?;
    Some(if local <= most { local } else { least })
}

/// The root page that a row of the schema names.
fn root_page(payload: &[u8]) -> Option<Pgno> {
    let mut header = payload;
    let header_len = usize::try_from(take_varint(&mut header)?).ok()?;
    let mut offset = header_len;
    for _ in 0..ROOT_PAGE {
        offset = offset.checked_add(value_len(take_varint(&mut header)?)?)?;
    }
    let len = value_len(take_varint(&mut header)?).filter(|len| (1..=4).contains(len))?;
    let value = payload.get(offset..offset.checked_add(len)?)?;
    Pgno::new(value.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}

/// Bytes of a value, by its serial type.
fn value_len(serial_type: u64) -> Option<usize> {
    Some(match serial_type {
        0 | 8..=11 => 0,
        1..=4 => usize::try_from(serial_type).ok()?,
        5 => 6,
        6 | 7 => 8,
        _ => usize::try_from(serial_type.checked_sub(12)? / 2).ok()?,
    })
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    /// A real database, as SQLite makes it: its pages.
    fn database(sql: &str, page_size: u32) -> Vec<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(&format!("PRAGMA page_size={page_size}; {sql}")).unwrap();
        drop(db);
        let bytes = std::fs::read(path).unwrap();
        bytes.chunks(page_size as usize).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn roots_are_those_that_sqlite_names() {
        let long = "x".repeat(5000);
        let pages = database(
            &format!(
                "CREATE TABLE a(x); CREATE INDEX i ON a(x); CREATE VIEW v AS SELECT '{long}';"
            ),
            4096,
        );
        let page = BtreePage::new(Pgno::ONE, &pages[0]).unwrap();
        let usable = usable_len(&pages[0], PageSize::new(4096).unwrap());
        let rows: Vec<SchemaRow> = page.schema_rows(usable).collect();
        let roots: Vec<u32> = rows.iter().filter_map(|row| row.root).map(Pgno::get).collect();
        assert_eq!(roots, [2, 3]);
        let mut overflow = rows.last().unwrap().overflow;
        let mut chain = 0;
        while let Some(pgno) = overflow {
            chain += 1;
            overflow = next_overflow(&pages[pgno.get() as usize - 1]);
        }
        assert_eq!(chain, pages.len() - 3);
    }

    #[test]
    fn children_of_a_table_are_all_its_leaves() {
        let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500)
            INSERT INTO a SELECT i, hex(randomblob(20)) FROM n;";
        let pages = database(&format!("CREATE TABLE a(i INTEGER PRIMARY KEY, x); {rows}"), 1024);
        let root = BtreePage::new(Pgno::new(2).unwrap(), &pages[1]).unwrap();
        assert_eq!(root.kind(), Kind::InnerTable);
        let leaves: Vec<Pgno> = root.children().collect();
        assert_eq!(leaves.len(), pages.len() - 2);
        for leaf in leaves {
            let page = BtreePage::new(leaf, &pages[leaf.get() as usize - 1]).unwrap();
            assert_eq!((page.kind(), page.children().count()), (Kind::LeafTable, 0));
        }
    }

    #[test]
    fn a_cell_counts_once_however_many_pointers_lead_to_it() {
        for (kind, header_len) in [(5, INNER_LEN), (13, LEAF_LEN)] {
            let mut page = vec![0; 65_536];
            page[0] = kind;
            page[3..5].copy_from_slice(&u16::MAX.to_be_bytes());
            page[8..12].copy_from_slice(&9_u32.to_be_bytes());
            page[header_len..60_000].fill(0xee);
            let page = BtreePage::new(Pgno::new(2).unwrap(), &page).unwrap();
            assert_eq!(page.cells().count(), 1);
            assert!(page.children().count() <= 2);
        }
        let mut page = vec![0; 512];
        page[0] = 13;
        page[3..5].copy_from_slice(&u16::MAX.to_be_bytes());
        for (place, pointer) in page[LEAF_LEN..].chunks_mut(2).enumerate() {
            pointer.copy_from_slice(&(place as u16).to_be_bytes());
        }
        let page = BtreePage::new(Pgno::new(2).unwrap(), &page).unwrap();
        assert_eq!(page.cells().count(), (512 - LEAF_LEN) / MIN_CELL_LEN);
    }

    #[test]
    fn no_bytes_are_too_strange() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..5000_usize {
            let mut page: Vec<u8> = (0..round % 700)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            for pgno in [1, 2].map(|pgno| Pgno::new(pgno).unwrap()) {
                let at = if pgno == Pgno::ONE { 100 } else { 0 };
                if let Some(kind) = page.get_mut(at) {
                    *kind = [2, 5, 10, 13][round % 4];
                }
                if let Some(page) = BtreePage::new(pgno, &page) {
                    assert!(page.children().count() <= 1 << 16);
                    let _ = page.schema_rows(512).count() + page.schema_rows(round % 40).count();
                }
            }
        }
    }
}
