//! The first bytes of a SQLite file. Used for uploads, and by `import` before it uploads one.

use litevfs::page1::{self, Fault, HEADER_LEN, MAGIC, Page1};
use litevfs::types::PageSize;

/// How many bytes tell whether SQLite can open a file: the header, and the type of the page behind it.
pub const START_LEN: usize = HEADER_LEN + 1;

/// Why a file is no SQLite file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    /// It has no byte.
    #[error("the file is empty: a database begins with its first table, create one")]
    Empty,
    /// It begins otherwise.
    #[error(
        "this is not a SQLite file: it does not begin with \"SQLite format 3\"; one that a codec encrypted \
         comes in through the extension: copy it there with sqlcipher_export or SQLite's backup functions"
    )]
    Magic,
    /// SQLite could not open it.
    #[error("the SQLite file is damaged, or a codec encrypted it: its first page {0}")]
    Header(Fault),
    /// It ends within a page.
    #[error("the SQLite file is cut short: it ends within a page: get a whole copy")]
    PartialPage,
    /// It has fewer pages than its header says.
    #[error(
        "the SQLite file is cut short: its header says {0} pages, it has {1}: get a whole copy"
    )]
    Shorter(u32, u64),
    /// It has more bytes than its header says.
    #[error(
        "the SQLite file is longer than the {0} pages its header says: run VACUUM INTO on it and take \
         that copy"
    )]
    Longer(u32),
}

/// What a SQLite file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteFile {
    /// Bytes of a page.
    pub page_size: PageSize,
    /// Pages of the database; `None` when the file was last written by a SQLite before 3.7.0, which
    /// did not keep that field.
    claimed: Option<u32>,
}

impl SqliteFile {
    /// Reads the start of a file, up to [`START_LEN`] bytes of it.
    pub fn parse(start: &[u8]) -> Result<SqliteFile, BadFile> {
        if start.is_empty() {
            return Err(BadFile::Empty);
        }
        if start.get(..MAGIC.len()) != Some(MAGIC) {
            return Err(BadFile::Magic);
        }
        if start.len() < START_LEN {
            return Err(BadFile::PartialPage);
        }
        page1::check(start).map_err(BadFile::Header)?;
        let Page1 { page_size, size, .. } = Page1::decode(start).map_err(BadFile::Header)?;
        Ok(SqliteFile { page_size, claimed: size })
    }

    /// The most bytes that the file's content has.
    pub fn most_bytes(&self) -> u64 {
        self.claimed.map_or(u64::MAX, |pages| self.page_size.bytes_of(pages))
    }

    /// How many pages a file of that length holds, all of them whole and none too many.
    pub fn pages(&self, len: u64) -> Result<u64, BadFile> {
        let page_len = u64::from(self.page_size.bytes());
        let whole = len.checked_div(page_len).unwrap_or(0);
        match self.claimed {
            Some(claimed) if whole < u64::from(claimed) => Err(BadFile::Shorter(claimed, whole)),
            Some(claimed) if whole.saturating_mul(page_len) != len || whole > claimed.into() => {
                Err(BadFile::Longer(claimed))
            }
            _ if whole == 0 || whole.saturating_mul(page_len) != len => Err(BadFile::PartialPage),
            _ => Ok(whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(page_size: u16, pages: u32, counters: (u32, u32)) -> Vec<u8> {
        let mut header = vec![0; START_LEN];
        header[..16].copy_from_slice(MAGIC);
        header[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
        header[HEADER_LEN] = 13;
        header[16..18].copy_from_slice(&page_size.to_be_bytes());
        header[24..28].copy_from_slice(&counters.0.to_be_bytes());
        header[28..32].copy_from_slice(&pages.to_be_bytes());
        header[92..96].copy_from_slice(&counters.1.to_be_bytes());
        header
    }

    #[test]
    fn a_file_is_as_long_as_its_header_says() {
        let file = SqliteFile::parse(&header(512, 3, (7, 7))).unwrap();
        assert_eq!(file.page_size.bytes(), 512);
        assert_eq!(file.pages(1536), Ok(3));
        assert_eq!(file.pages(1535), Err(BadFile::Shorter(3, 2)));
        assert_eq!(file.pages(100), Err(BadFile::Shorter(3, 0)));
        assert_eq!(file.pages(1537), Err(BadFile::Longer(3)));
        assert_eq!(file.pages(2048), Err(BadFile::Longer(3)));
    }

    #[test]
    fn without_a_valid_size_the_length_counts() {
        for header in [header(1, 3, (7, 6)), header(1, 0, (7, 7))] {
            let file = SqliteFile::parse(&header).unwrap();
            assert_eq!(file.page_size.bytes(), 65_536);
            assert_eq!(file.pages(131_072), Ok(2));
            assert_eq!(file.pages(131_073), Err(BadFile::PartialPage));
            assert_eq!(file.pages(100), Err(BadFile::PartialPage));
        }
    }

    #[test]
    fn other_files_are_told() {
        let good = header(4096, 1, (1, 1));
        assert_eq!(SqliteFile::parse(b""), Err(BadFile::Empty));
        assert_eq!(SqliteFile::parse(&good[1..]), Err(BadFile::Magic));
        assert_eq!(SqliteFile::parse(&good[..15]), Err(BadFile::Magic));
        assert_eq!(SqliteFile::parse(&good[..100]), Err(BadFile::PartialPage));
        for size in [0, 256, 513, 65_535] {
            let parsed = SqliteFile::parse(&header(size, 1, (1, 1)));
            assert_eq!(parsed, Err(BadFile::Header(Fault::PageSize)));
        }
        let mut encrypted = good;
        encrypted[32..].fill(0xa5);
        let error = SqliteFile::parse(&encrypted).unwrap_err();
        assert!(error.to_string().contains("codec"), "{error}");
    }
}
