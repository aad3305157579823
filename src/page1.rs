//! The database header on page 1: its fields, and what SQLite demands of them before it opens a database
//! ("Database File Format", section 1.3; `lockBtree` and `sqlite3InitOne` in its source).
//!
//! The extension and the server must agree on this: what one takes, the other has to serve.
//!
//! | offset | size | field, big-endian | what SQLite demands |
//! | --- | --- | --- | --- |
//! | 0 | 16 | `SQLite format 3` and a zero byte | just that |
//! | 16 | 2 | page size, bytes; 1 stands for 65,536 | a power of two from 512 |
//! | 18, 19 | 1, 1 | write and read version: 1 rollback journal, 2 WAL | at most 2 |
//! | 20 | 1 | bytes at the end of each page that SQLite leaves alone | 480 others at least |
//! | 21 | 3 | payload fractions | 64, 32, 32 |
//! | 24 | 4 | change counter | |
//! | 28 | 4 | database size, pages | |
//! | 40 | 4 | schema cookie | |
//! | 44 | 4 | schema format | at most 4 |
//! | 56 | 4 | text encoding: 1 UTF-8, 2 and 3 UTF-16; 0 before the first table | at most 3 |
//! | 92 | 4 | the change counter for which the size is valid | |
//! | 100 | 1 | type of the b-tree page that the schema begins with | 5 or 13, a table's |

use crate::types::PageSize;
use core::fmt;
use core::ops::Range;

/// Bytes of the header.
pub const HEADER_LEN: usize = 100;
/// What every SQLite database begins with.
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the write and read versions lie.
pub const FORMAT_VERSIONS: Range<usize> = 18..20;
/// Where the schema cookie lies: SQLite reads the schema again when it is another one.
pub const SCHEMA_COOKIE: Range<usize> = 40..44;

const CHANGE_COUNTER: Range<usize> = 24..28;
const SIZE: Range<usize> = 28..32;
const VALID_FOR: Range<usize> = 92..96;
/// The counter for which the size is valid, and the version of the SQLite that wrote it.
const WRITER: Range<usize> = 92..100;
const MAX_FORMAT_VERSION: u8 = 2;
const MIN_USABLE_LEN: u32 = 480;
const PAYLOAD_FRACTIONS: [u8; 3] = [64, 32, 32];
const MAX_SCHEMA_FORMAT: u32 = 4;
const MAX_TEXT_ENCODING: u32 = 3;
const TABLE_PAGE_TYPES: [u8; 2] = [5, 13];

/// Why SQLite would not open a database with that page 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It begins otherwise, or is too short.
    Magic,
    /// The page size is none.
    PageSize,
    /// The write or read version is of a later format.
    Version(u8),
    /// Too few bytes of a page are left for SQLite.
    Reserved(u8),
    /// The payload fractions are not the only ones there are.
    Fractions,
    /// The schema format is of a later SQLite.
    SchemaFormat(u32),
    /// The text encoding is none.
    TextEncoding(u32),
    /// The schema does not begin on it.
    PageType(u8),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Magic => f.write_str("does not begin with \"SQLite format 3\""),
            Fault::PageSize => f.write_str("names a page size there is not"),
            Fault::Version(version) => {
                write!(f, "has the file format version {version}, not 1 or 2")
            }
            Fault::Reserved(bytes) => {
                write!(f, "reserves {bytes} bytes of each page, which leaves SQLite too few")
            }
            Fault::Fractions => f.write_str("has other payload fractions than 64, 32 and 32"),
            Fault::SchemaFormat(format) => write!(f, "has the schema format {format}, not 1 to 4"),
            Fault::TextEncoding(encoding) => {
                write!(f, "has the text encoding {encoding}, not 1 to 3")
            }
            Fault::PageType(byte) => write!(f, "is a b-tree page of type {byte}, not of a table"),
        }
    }
}

impl core::error::Error for Fault {}

/// Whether a codec above SQLite's files encrypted this page 1: what SQLite itself writes begins with
/// [`MAGIC`]. One that leaves the magic readable is not recognised, and fails [`check`].
pub fn is_encrypted(page1: &[u8]) -> bool {
    !page1.starts_with(MAGIC)
}

/// What page 1 says about the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page1 {
    /// Bytes of a page.
    pub page_size: PageSize,
    /// Pages of the database; `None` when a SQLite before 3.7.0 wrote last, which did not keep it.
    pub size: Option<u32>,
    /// Counts the transactions, so that clients find their cached pages stale.
    pub change_counter: u32,
    /// Counts the changes of the schema.
    pub schema_cookie: u32,
}

impl Page1 {
    /// Reads the header as far as it takes to find the other pages.
    pub fn decode(page1: &[u8]) -> Result<Page1, Fault> {
        if page1.len() < HEADER_LEN || !page1.starts_with(MAGIC) {
            return Err(Fault::Magic);
        }
        let page_size = match page1.get(16..18) {
            Some([0, 1]) => PageSize::new(65_536),
            Some(&[high, low]) => PageSize::new(u32::from(u16::from_be_bytes([high, low]))),
            _ => None,
        };
        let size = u32_at(page1, &SIZE);
        let change_counter = u32_at(page1, &CHANGE_COUNTER);
        let is_valid = size != 0 && change_counter == u32_at(page1, &VALID_FOR);
        Ok(Page1 {
            page_size: page_size.ok_or(Fault::PageSize)?,
            size: is_valid.then_some(size),
            change_counter,
            schema_cookie: u32_at(page1, &SCHEMA_COOKIE),
        })
    }
}

/// Whether SQLite can open a database with that page 1, and write to it.
pub fn check(page1: &[u8]) -> Result<(), Fault> {
    let Page1 { page_size, .. } = Page1::decode(page1)?;
    let byte = |at: usize| page1.get(at).copied().unwrap_or_default();
    for at in FORMAT_VERSIONS {
        if byte(at) > MAX_FORMAT_VERSION {
            return Err(Fault::Version(byte(at)));
        }
    }
    let reserved = byte(20);
    if page_size.bytes().saturating_sub(u32::from(reserved)) < MIN_USABLE_LEN {
        return Err(Fault::Reserved(reserved));
    }
    if page1.get(21..24) != Some(&PAYLOAD_FRACTIONS) {
        return Err(Fault::Fractions);
    }
    match u32_at(page1, &(44..48)) {
        0..=MAX_SCHEMA_FORMAT => {}
        format => return Err(Fault::SchemaFormat(format)),
    }
    match u32_at(page1, &(56..60)) {
        0..=MAX_TEXT_ENCODING => {}
        encoding => return Err(Fault::TextEncoding(encoding)),
    }
    if !TABLE_PAGE_TYPES.contains(&byte(HEADER_LEN)) {
        return Err(Fault::PageType(byte(HEADER_LEN)));
    }
    Ok(())
}

/// Gives page 1 another change counter, and says for it that the database has so many pages.
pub fn set_counter_and_size(page1: &mut [u8], change_counter: u32, size: u32) {
    for (place, value) in
        [(CHANGE_COUNTER, change_counter), (SIZE, size), (VALID_FOR, change_counter)]
    {
        set_u32(page1, place, value);
    }
}

/// Gives page 1 another schema cookie.
pub fn set_schema_cookie(page1: &mut [u8], cookie: u32) {
    set_u32(page1, SCHEMA_COOKIE, cookie);
}

/// Whether two pages 1 differ at most in what counts and in who wrote last: the change counter, the
/// schema cookie, whether the size is kept.
pub fn differ_in_counts_only(a: &[u8], b: &[u8]) -> bool {
    let rest = |page1: &[u8]| {
        let mut page1 = page1.to_vec();
        for place in [CHANGE_COUNTER, SIZE, SCHEMA_COOKIE, WRITER] {
            page1.get_mut(place).unwrap_or_default().fill(0);
        }
        page1
    };
    a.len() == b.len() && rest(a) == rest(b)
}

fn u32_at(bytes: &[u8], place: &Range<usize>) -> u32 {
    let field = bytes.get(place.start..).and_then(|bytes| bytes.first_chunk());
    field.copied().map_or(0, u32::from_be_bytes)
}

fn set_u32(bytes: &mut [u8], place: Range<usize>, value: u32) {
    if let Some(field) = bytes.get_mut(place) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;

    /// Page 1 of an empty database, as SQLite makes it.
    fn page1() -> Vec<u8> {
        let mut page = vec![0; 512];
        page[..16].copy_from_slice(MAGIC);
        page[16..24].copy_from_slice(&[2, 0, 1, 1, 0, 64, 32, 32]);
        page[100] = 13;
        set_counter_and_size(&mut page, 7, 3);
        page
    }

    #[test]
    fn fields_are_read() {
        let mut page = page1();
        set_schema_cookie(&mut page, 9);
        let header = Page1::decode(&page).unwrap();
        assert_eq!(header.page_size.bytes(), 512);
        assert_eq!((header.size, header.change_counter, header.schema_cookie), (Some(3), 7, 9));
        page[16..18].copy_from_slice(&[0, 1]);
        page[95] = 6;
        let header = Page1::decode(&page).unwrap();
        assert_eq!((header.page_size.bytes(), header.size), (65_536, None));
    }

    #[test]
    fn what_sqlite_does_not_open_is_told() {
        assert_eq!(check(&page1()), Ok(()));
        let with = |at: usize, byte: u8| {
            let mut page = page1();
            page[at] = byte;
            check(&page)
        };
        for (at, byte, fault) in [
            (0, b's', Fault::Magic),
            (16, 3, Fault::PageSize),
            (17, 3, Fault::PageSize),
            (18, 3, Fault::Version(3)),
            (19, 255, Fault::Version(255)),
            (20, 33, Fault::Reserved(33)),
            (21, 63, Fault::Fractions),
            (23, 0, Fault::Fractions),
            (47, 5, Fault::SchemaFormat(5)),
            (44, 1, Fault::SchemaFormat(1 << 24)),
            (59, 4, Fault::TextEncoding(4)),
            (100, 10, Fault::PageType(10)),
            (100, 0, Fault::PageType(0)),
        ] {
            assert_eq!(with(at, byte), Err(fault), "byte {at}");
            assert!(!fault.to_string().is_empty());
        }
        for (at, byte) in [(18, 2), (19, 0), (20, 32), (47, 4), (59, 3), (100, 5), (24, 255)] {
            assert_eq!(with(at, byte), Ok(()), "byte {at}");
        }
        assert_eq!(check(&page1()[..99]), Err(Fault::Magic));
    }

    #[test]
    fn counts_are_no_content() {
        let mut other = page1();
        set_counter_and_size(&mut other, 70, 3);
        set_schema_cookie(&mut other, 5);
        other[99] = 1;
        assert!(differ_in_counts_only(&page1(), &other));
        other[63] = 1;
        assert!(!differ_in_counts_only(&page1(), &other));
        assert!(!differ_in_counts_only(&page1(), &page1()[..500]));
    }
}
