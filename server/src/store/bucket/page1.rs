//! What page 1 of an upload says about the database: held against what the LTX header says, and against
//! what SQLite demands.
//!
//! A client that gets page 1 and the header apart (by half a change of the page size, for one) would leave
//! a database that nobody can open; the checksums do not notice, because they are right for the pages as they
//! are.
//!
//! Of what a codec encrypted page 1 says nothing, and anything could pass for it. So the header must say that
//! it is encrypted, which the extension does, and a database is so from its first transaction to its last.
//!
//! An import and a restore put a page 1 in the place of another one that SQLite has not made it from. Each
//! connection that has the database open must notice that its pages and its schema are old. SQLite goes by
//! the change counter and the schema cookie for that; so both get past what they were on either page.

use litevfs::ltx::Header;
use litevfs::page1::{self, Page1};

/// What is wrong with page 1 of an upload; `None` when SQLite could open the database with it.
pub(in crate::store) fn disagreement(page1: &[u8], header: &Header) -> Option<String> {
    if header.encrypted {
        return (!page1::is_encrypted(page1)).then(|| {
            "the LTX header says that the database is encrypted, but page 1 begins as SQLite's own: have \
             the codec encrypt all of it"
                .to_owned()
        });
    }
    let Page1 { page_size, size, .. } = match Page1::decode(page1) {
        Ok(page1) => page1,
        Err(fault @ page1::Fault::PageSize) => {
            return Some(format!(
                "page 1 {fault}, the LTX header says that pages have {} bytes: roll the transaction \
                 back and run it again",
                header.page_size.bytes()
            ));
        }
        Err(fault) => return Some(not_sqlite(fault)),
    };
    if page_size != header.page_size {
        return Some(format!(
            "page 1 says that pages have {} bytes, the LTX header says {}: send a file that \
             has every page in the new size, or roll the transaction back and run it again",
            page_size.bytes(),
            header.page_size.bytes()
        ));
    }
    if let Err(fault) = page1::check(page1) {
        return Some(not_sqlite(fault));
    }
    size.filter(|&size| size != header.commit).map(|size| {
        format!(
            "page 1 says that the database has {size} pages, the LTX header says {}: roll the \
             transaction back and run it again",
            header.commit
        )
    })
}

fn not_sqlite(fault: page1::Fault) -> String {
    format!(
        "page 1 {fault}, so SQLite could not open the database with it: write a database that a codec \
         encrypts through the extension, which says so in the LTX header"
    )
}

/// What is wrong with a transaction whose page 1 is encrypted, or not, on top of another.
pub(in crate::store) fn change_of_kind(before: bool, after: bool) -> Option<String> {
    let (is, becomes) = match (before, after) {
        (true, false) => ("is encrypted", "one that is not"),
        (false, true) => ("is not encrypted", "one that is"),
        _ => return None,
    };
    Some(format!("the database {is} and can't become {becomes}: copy it into a new one"))
}

/// Makes a page 1 the successor of another one, for a database of so many pages.
pub(in crate::store) fn succeed(page1: &mut [u8], before: Page1, commit: u32) {
    // One that SQLite could not read is left as it is: what would be changed means something else in it.
    let Ok(own) = Page1::decode(page1) else {
        return;
    };
    let counter = past(own.change_counter, before.change_counter);
    page1::set_counter_and_size(page1, counter, commit);
    page1::set_schema_cookie(page1, past(own.schema_cookie, before.schema_cookie));
}

/// Has page 1 say the size of its database, which a SQLite before 3.7.0 did not keep.
pub(in crate::store) fn keep_size(page1: &mut [u8], commit: u32) {
    if let Ok(own) = Page1::decode(page1)
        && own.size.is_none()
    {
        page1::set_counter_and_size(page1, own.change_counter, commit);
    }
}

/// A count after two others. SQLite's counts begin again at their end.
fn past(a: u32, b: u32) -> u32 {
    a.max(b).wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use litevfs::types::PageSize;

    fn page1(counter: u32, cookie: u32) -> Vec<u8> {
        let mut page = vec![0; 512];
        page[..16].copy_from_slice(page1::MAGIC);
        page[16..24].copy_from_slice(&[2, 0, 1, 1, 0, 64, 32, 32]);
        page[100] = 13;
        page1::set_counter_and_size(&mut page, counter, 9);
        page1::set_schema_cookie(&mut page, cookie);
        page
    }

    #[test]
    fn a_successor_counts_past_both() {
        for (own, before, counts) in
            [((7, 3), (5, 8), (8, 9)), ((5, 8), (7, 3), (8, 9)), ((1, 1), (u32::MAX, 1), (0, 2))]
        {
            let mut page = page1(own.0, own.1);
            succeed(&mut page, Page1::decode(&page1(before.0, before.1)).unwrap(), 4);
            let after = Page1::decode(&page).unwrap();
            assert_eq!((after.change_counter, after.schema_cookie), counts);
            assert_eq!(after.size, Some(4));
        }
    }

    #[test]
    fn encrypted_is_what_both_say() {
        let header = Header { commit: 9, ..Header::new(PageSize::new(512).unwrap()) };
        let encrypted = Header { encrypted: true, ..header };
        let text = |page: &[u8], header| disagreement(page, header).unwrap_or_default();
        assert_eq!(text(&page1(7, 3), &header), "");
        assert_eq!(text(&[7; 512], &encrypted), "");
        assert!(text(&[7; 512], &header).contains("codec"));
        assert!(text(&page1(7, 3), &encrypted).contains("codec"));
        assert!(change_of_kind(true, true).is_none() && change_of_kind(false, false).is_none());
        assert!(change_of_kind(true, false).is_some_and(|text| text.contains("is encrypted")));
        assert!(change_of_kind(false, true).is_some_and(|text| text.contains("is not encrypted")));
    }

    #[test]
    fn what_is_no_header_is_not_written_into() {
        let mut page = vec![7; 512];
        succeed(&mut page, Page1::decode(&page1(1, 1)).unwrap(), 4);
        keep_size(&mut page, 4);
        assert_eq!(page, [7; 512]);
    }

    #[test]
    fn a_size_that_is_kept_stays() {
        let mut page = page1(7, 3);
        keep_size(&mut page, 4);
        assert_eq!(page, page1(7, 3));
        page[95] = 6;
        keep_size(&mut page, 4);
        assert_eq!(Page1::decode(&page).unwrap().size, Some(4));
    }
}
