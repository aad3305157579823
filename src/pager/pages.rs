//! Where cached pages lie, with what is known of each: a file, or memory.

use super::block::Record;
use crate::types::{PageSize, Pgno, Pos, Txid};

/// Cached pages by number.
pub trait Pages: Send {
    /// Forgets everything; further pages are of that size.
    fn start(&mut self, page_size: PageSize);

    /// Limits the number of pages; 0 for no limit.
    fn set_max(&mut self, max_pages: u32);

    /// How many pages it takes at the most.
    fn max_pages(&self) -> u32;

    /// Pages held.
    fn len_pages(&self) -> usize;

    /// What is known of a page; `None` when it is not held.
    fn record(&mut self, pgno: Pgno) -> Option<Record>;

    /// Fills `page` when it is held since `view` or earlier; `false` otherwise.
    fn read(&mut self, pgno: Pgno, view: Txid, page: &mut [u8]) -> bool;

    /// Holds a page.
    fn put(&mut self, pgno: Pgno, record: Record, page: &[u8]);

    /// Forgets a page, because it is another one from now on.
    fn remove(&mut self, pgno: Pgno);

    /// Forgets the pages from `first` on.
    fn remove_from(&mut self, first: Pgno);

    /// Forgets so many pages that were not used for long. Page 1 stays: every transaction reads it.
    fn evict(&mut self, pages: u32);

    /// Puts on the disk what is not there, and then that the pages are good at `pos`. `false` when the
    /// disk failed, now or since the last time.
    fn flush(&mut self, pos: Pos) -> bool;
}
