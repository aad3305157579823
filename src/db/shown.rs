//! What SQLite saw of page 1 on one connection, and what it is shown of it next.
//!
//! SQLite takes its pages for fresh as long as 16 bytes of page 1 stay as they were, and its schema as
//! long as the schema cookie does. Both hold in a file that SQLite alone writes. Here page 1 can change
//! hands: a database is deleted and made anew, restored, imported over, taken back with its server's
//! folder. Then counter and cookie may be what they were, and mean something else.
//!
//! So whenever the position moved, the version bytes are shown as they never were. And whenever the way
//! from the page 1 that SQLite saw to this one is not known to be commits alone, the cookie is shown as it
//! never was: a shift is added to the stored one that makes it newer than each that SQLite has seen. The
//! shift stays, so that one stored cookie is one shown cookie from then on, and is taken off what SQLite
//! writes: what is stored counts on from what was stored.
//!
//! Commits count up by one a transaction on page 1 (`make.rs` sees to it in exclusive locking mode). A
//! counter that went another way than the TXID tells of a restore by a server that does not raise the
//! cookie itself, or of writers of another kind; for these the schema is read once too often.
//!
//! Of an encrypted page 1 nothing can be shown otherwise but the version bytes, and these only to a codec in
//! SQLite's pager, which compares them as they are. One in a VFS decrypts them first, and finds the counter:
//! that tells of commits, as long as each counts. So where it is not known that commits alone led to what is
//! there, such a connection is cut off: it gets errors until it is closed.

use super::view::View;
use crate::error::Result;
use crate::ltx::page_checksum;
use crate::page1::{HEADER_LEN, Page1};
use crate::pager::header;
use crate::types::{Checksum, Pgno, Pos};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The page 1 that SQLite saw last; `None` before the first.
    last: Option<Sight>,
    /// SQLite must read page 1 again, although it is the one that it wrote.
    pub is_outdated: bool,
    /// Added to the stored schema cookie.
    shift: u32,
    /// The newest cookie that SQLite has seen or made.
    newest: u32,
}

/// What there is to know of a page 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenPage1 {
    pub header: Page1,
    /// Of what follows the header, which is the schema or where it begins.
    schema: Checksum,
}

impl SeenPage1 {
    pub fn new(page1: &[u8]) -> Result<SeenPage1> {
        let header = header::decode(page1)?;
        let schema = page_checksum(Pgno::ONE, page1.get(HEADER_LEN..).unwrap_or_default());
        Ok(SeenPage1 { header, schema })
    }
}

/// A page 1, and where it was seen.
#[derive(Debug, Clone, Copy)]
struct Sight {
    pos: Pos,
    handovers: u64,
    rewrites: u64,
    breaks: u64,
    is_encrypted: bool,
    /// `None` of an empty database, and of an encrypted one.
    page1: Option<SeenPage1>,
}

impl Shown {
    /// What is added to the stored schema cookie.
    pub fn shift(&self) -> u32 {
        self.shift
    }

    /// Whether SQLite has seen page 1 at that view.
    fn is_at(&self, view: View) -> bool {
        self.last.is_some_and(|last| last.pos == view.pos && last.handovers == view.handovers)
    }

    /// Page 1 at that view, if SQLite has seen it.
    pub fn page1_at(&self, view: View) -> Option<SeenPage1> {
        self.last.filter(|_| self.is_at(view)).and_then(|last| last.page1)
    }

    /// Whether what SQLite has seen may be of another history than a view, and it can't be made to notice.
    pub fn is_cut_off(&self, view: View) -> bool {
        self.last.is_some_and(|last| {
            let is_encrypted = last.is_encrypted || view.is_encrypted;
            is_encrypted && !last.pos.is_empty() && last.breaks != view.breaks
        })
    }

    /// SQLite is about to see page 1 at a view, `None` of an empty or encrypted database. Answers whether it must be
    /// made to drop what it has seen before.
    pub fn look(&mut self, view: View, page1: Option<SeenPage1>) -> bool {
        let was_outdated = core::mem::take(&mut self.is_outdated);
        if self.is_at(view) {
            return was_outdated;
        }
        let cookie = page1.map_or(0, |page1| page1.header.schema_cookie);
        let sight = Sight::of(view, page1);
        let before = self.last.replace(sight);
        let is_new = is_newer(cookie.wrapping_add(self.shift), self.newest);
        let is_other = before.is_some_and(|before| !before.leads_to(&sight));
        if is_other && !is_new && page1.is_some() {
            self.shift = self.newest.wrapping_add(1).wrapping_sub(cookie);
        }
        if before.is_none() {
            self.newest = cookie;
        }
        self.note(cookie);
        was_outdated || is_other || before.is_some_and(|before| before.pos != view.pos)
    }

    /// SQLite wrote this page 1, as it is stored by now, and goes on from it at a view.
    pub fn wrote(&mut self, view: View, page1: Option<SeenPage1>) {
        self.last = Some(Sight::of(view, page1));
        if let Some(page1) = page1 {
            self.note(page1.header.schema_cookie);
        }
    }

    fn note(&mut self, cookie: u32) {
        let shown = cookie.wrapping_add(self.shift);
        if is_newer(shown, self.newest) {
            self.newest = shown;
        }
    }
}

impl Sight {
    fn of(view: View, page1: Option<SeenPage1>) -> Sight {
        let View { pos, handovers, rewrites, breaks, is_encrypted, .. } = view;
        Sight { pos, handovers, rewrites, breaks, is_encrypted, page1 }
    }

    /// Whether commits alone lead from this page 1 to a later one, as far as can be told.
    fn leads_to(&self, later: &Sight) -> bool {
        let counter = |sight: &Sight| sight.page1.map_or(0, |page1| page1.header.change_counter);
        let counted = u64::from(counter(later).wrapping_sub(counter(self)));
        // A commit to a few pages may change them all, but not the schema without the cookie.
        let schema = |sight: &Sight| sight.page1.map(|page1| page1.schema);
        let is_rewritten = later.rewrites != self.rewrites && schema(later) != schema(self);
        self.handovers == later.handovers
            && !is_rewritten
            && later.pos.txid.since(self.pos.txid) == Some(counted)
    }
}

/// Whether a counter that wraps is past another one.
fn is_newer(counter: u32, than: u32) -> bool {
    (1..=u32::MAX / 2).contains(&counter.wrapping_sub(than))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PageSize, Txid};

    fn view(txid: u64, handovers: u64) -> View {
        let pos = Pos {
            txid: Txid(txid),
            post_apply_checksum: Checksum(Checksum::FLAG | txid),
            ..Pos::EMPTY
        };
        View { pos, handovers, ..View::EMPTY }
    }

    fn page1(change_counter: u32, schema_cookie: u32) -> Option<SeenPage1> {
        let header = Page1 { page_size: PageSize::MAX, size: None, change_counter, schema_cookie };
        Some(SeenPage1 { header, schema: Checksum(1) })
    }

    /// The cookie that SQLite is shown.
    fn look(shown: &mut Shown, at: View, counter: u32, cookie: u32) -> u32 {
        shown.look(at, page1(counter, cookie));
        cookie.wrapping_add(shown.shift())
    }

    #[test]
    fn commits_are_shown_as_they_are() {
        let mut shown = Shown::default();
        assert!(!shown.look(view(3, 0), page1(9, 4)));
        assert!(!shown.look(view(3, 0), page1(9, 4)));
        assert!(shown.look(view(5, 0), page1(11, 4)));
        assert_eq!((shown.shift(), shown.newest), (0, 4));
        assert_eq!(look(&mut shown, view(6, 0), 12, 2), 2);
    }

    #[test]
    fn a_cookie_that_was_seen_is_not_shown_for_another_history() {
        let mut shown = Shown::default();
        assert_eq!(look(&mut shown, view(3, 0), 9, 4), 4);
        // Deleted and made anew, with a counter as if by commits.
        assert_eq!(look(&mut shown, view(4, 1), 10, 4), 5);
        // Changed by others and by SQLite itself.
        assert_eq!(look(&mut shown, view(5, 1), 11, 5), 6);
        shown.wrote(view(6, 1), page1(12, 6));
        // Restored: the counter went back.
        assert_eq!(look(&mut shown, view(7, 1), 11, 5), 8);
        // One that is new needs no shift more.
        assert_eq!(look(&mut shown, view(3, 2), 1, 50), 53);
    }

    #[test]
    fn a_restore_and_commits_after_it_are_told_from_commits() {
        let mut shown = Shown::default();
        look(&mut shown, view(10, 0), 10, 3);
        // Restored to the content of 8, then changed twice.
        assert_eq!(look(&mut shown, view(13, 0), 10, 3), 4);
    }

    #[test]
    fn every_page_anew_is_another_schema_only_if_page_1_says_so() {
        let rewritten = |txid, rewrites| View { rewrites, ..view(txid, 0) };
        let mut shown = Shown::default();
        assert_eq!(look(&mut shown, rewritten(3, 0), 9, 4), 4);
        assert_eq!(look(&mut shown, rewritten(4, 1), 10, 4), 4);
        let other = page1(11, 4).map(|page1| SeenPage1 { schema: Checksum(2), ..page1 });
        shown.look(rewritten(5, 2), other);
        assert_eq!(shown.shift(), 1);
    }

    #[test]
    fn an_encrypted_database_of_another_history_is_not_shown() {
        let at = |txid, breaks| View { breaks, is_encrypted: true, ..view(txid, breaks) };
        let mut shown = Shown::default();
        assert!(!shown.is_cut_off(at(1, 1)));
        shown.look(View::EMPTY, None);
        assert!(!shown.is_cut_off(at(1, 1)));
        assert!(shown.look(at(1, 1), None));
        assert!(!shown.look(at(1, 1), None));
        assert!(!shown.is_cut_off(View { handovers: 9, rewrites: 9, ..at(5, 1) }));
        assert!(shown.look(at(5, 1), None));
        shown.wrote(at(6, 1), None);
        assert!(shown.is_cut_off(at(7, 2)) && shown.is_cut_off(View { breaks: 2, ..View::EMPTY }));
        assert_eq!(shown.shift(), 0);
        let mut plain = Shown::default();
        plain.look(view(3, 0), page1(9, 4));
        assert!(!plain.is_cut_off(View { breaks: 1, ..view(3, 1) }));
        assert!(plain.is_cut_off(at(3, 1)));
    }

    #[test]
    fn an_empty_database_counts_as_one() {
        let mut shown = Shown::default();
        assert!(!shown.look(View::EMPTY, None));
        assert_eq!(look(&mut shown, view(1, 0), 7, 0), 1);
        let mut shown = Shown::default();
        shown.look(View::EMPTY, None);
        assert_eq!(look(&mut shown, view(1, 0), 1, 1), 1);
    }

    #[test]
    fn counters_wrap() {
        let mut shown = Shown::default();
        assert_eq!(look(&mut shown, view(1, 0), u32::MAX, u32::MAX), u32::MAX);
        assert_eq!(look(&mut shown, view(2, 0), 0, u32::MAX), u32::MAX);
        assert_eq!(look(&mut shown, view(2, 1), 0, u32::MAX), 0);
        assert_eq!(look(&mut shown, view(2, 2), 0, u32::MAX), 1);
    }

    #[test]
    fn what_is_outdated_is_read_again_once() {
        let mut shown = Shown::default();
        shown.look(view(1, 0), page1(1, 1));
        shown.is_outdated = true;
        assert!(shown.look(view(1, 0), page1(1, 1)));
        assert!(!shown.look(view(1, 0), page1(1, 1)));
    }
}
