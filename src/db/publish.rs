//! What the server acknowledged becomes what this process reads.

use super::made::Made;
use super::round::Staged;
use super::state::State;
use crate::pager::DirtyPages;
use crate::sys;
use crate::types::Pgno;
use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl State {
    /// A transaction, acknowledged after `sent`, becomes what this process reads. Of its pages those
    /// are cached that `page` knows.
    pub(super) fn publish<'a>(
        &mut self,
        made: &Made,
        sent: sys::Tick,
        page: impl Fn(Pgno) -> Option<Cow<'a, [u8]>>,
    ) {
        // A poll on another connection may have seen the transaction already, or even a later one.
        let newest = self.cache.pos();
        if newest != made.base && newest != made.pos {
            return;
        }
        if made.is_encrypted {
            self.size_beside = Some((made.pos, made.commit));
        }
        self.cache.set_page_size(made.page_size);
        self.cache.apply(made.pos, made.removed_from, &made.changed, page);
        self.cache.flush();
        self.confirmed = Some(sent);
        // The server may be one that has given it an id.
        self.distrusted |= made.base.is_empty() && !made.pos.commit_id.is_set();
    }
}

impl Staged {
    /// Adds what was committed to the cache, if that is still at its position.
    pub fn keep_pages(&self, dirty: &DirtyPages) {
        let made = &self.made;
        let mut state = self.database.state();
        if state.cache.pos() != made.pos || dirty.page_size() != made.page_size {
            return;
        }
        for &(pgno, checksum) in made.changed.iter().filter(|(pgno, _)| *pgno != Pgno::ONE) {
            if let Ok(Some(page)) = dirty.page(pgno) {
                state.cache.insert_known(pgno, made.pos.txid, &page, checksum);
            }
        }
        state.cache.flush();
    }
}

/// The transactions, acknowledged after `sent`, become what this process reads, all at once. Of the pages only the
/// first is put into the cache here; the connections that hold the others add them.
pub(super) fn publish_together(staged: &[Arc<Staged>], sent: sys::Tick) {
    let Some(first) = staged.first() else { return };
    let origin = first.database.origin();
    let mut number = origin.read_barrier();
    for staged in staged {
        let made = &staged.made;
        let page1 = |pgno| (pgno == Pgno::ONE).then(|| Cow::Borrowed(&*made.page1));
        staged.database.state().publish(made, sent, page1);
    }
    let polls: Vec<u64> = staged.iter().map(|staged| staged.database.state().poll).collect();
    if polls.windows(2).any(|pair| matches!(pair, [a, b] if a != b)) {
        // What is known of them is of different polls. Of one state they are from now on.
        *number = number.saturating_add(1);
        for staged in staged {
            let mut state = staged.database.state();
            if state.cache.pos() == staged.made.pos {
                state.poll = *number;
            }
        }
    }
}
