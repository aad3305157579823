//! What page 1 says about the database, held against what the LTX header says.
//!
//! A client that gets them apart (by half a change of the page size, for one) would leave a database that
//! nobody can open; the checksums do not notice, because they are right for the pages as they are.
//!
//! | offset | size | field of page 1, big-endian |
//! | --- | --- | --- |
//! | 16 | 2 | page size, bytes; 1 stands for 65,536 |
//! | 24 | 4 | change counter |
//! | 28 | 4 | database size, pages; 0 when unknown |
//! | 92 | 4 | the change counter for which the size is valid |

use litevfs::ltx::Header;

/// What is wrong with page 1 of an upload; `None` when it agrees with the LTX header.
pub(super) fn disagreement(page1: &[u8], header: &Header) -> Option<String> {
    let page_size = match field::<2>(page1, 16).map(u16::from_be_bytes) {
        Some(1) => 65_536,
        bytes => u32::from(bytes.unwrap_or(0)),
    };
    if page_size != header.page_size.bytes() {
        return Some(format!(
            "page 1 says that pages have {page_size} bytes, the LTX header says {}: send a file that \
             has every page in the new size, or roll the transaction back and run it again",
            header.page_size.bytes()
        ));
    }
    let commit = field::<4>(page1, 28).map_or(0, u32::from_be_bytes);
    let valid = commit != 0 && field::<4>(page1, 24) == field(page1, 92);
    (valid && commit != header.commit).then(|| {
        format!(
            "page 1 says that the database has {commit} pages, the LTX header says {}: roll the \
             transaction back and run it again",
            header.commit
        )
    })
}

fn field<const N: usize>(page: &[u8], offset: usize) -> Option<[u8; N]> {
    page.get(offset..)?.first_chunk().copied()
}
