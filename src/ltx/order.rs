//! What every LTX file promises about its pages, checked alike when writing and when reading.

use super::checksum::page_checksum;
use super::error::Error;
use super::header::Header;
use crate::types::{Checksum, Pgno};

/// The pages seen so far of one file.
#[derive(Debug)]
pub(super) struct PageOrder {
    header: Header,
    /// The last page seen, 0 before the first.
    last: u32,
    /// The database checksum of the pages seen; meaningful in a snapshot only.
    database_checksum: Checksum,
}

impl PageOrder {
    pub(super) const fn new(header: Header) -> PageOrder {
        PageOrder { header, last: 0, database_checksum: Checksum::EMPTY }
    }

    /// Accepts the number of the next page.
    pub(super) fn next(&mut self, pgno: Pgno) -> Result<(), Error> {
        let next = self.after_last();
        let number = pgno.get();
        if pgno == self.header.page_size.lock_pgno() {
            Err(Error::LockPage)
        } else if number > self.header.commit {
            Err(Error::PageBeyondCommit)
        } else if number <= self.last {
            Err(Error::PageOrder)
        } else if self.header.is_snapshot() && u64::from(number) != next {
            Err(Error::SnapshotGap)
        } else {
            self.last = number;
            Ok(())
        }
    }

    /// Takes in the data of the page accepted last.
    pub(super) fn data(&mut self, pgno: Pgno, data: &[u8]) {
        if self.header.is_snapshot() && !self.header.no_checksum {
            self.database_checksum = self.database_checksum.toggle(page_checksum(pgno, data));
        }
    }

    /// Accepts the end of the pages.
    pub(super) fn end(&self) -> Result<(), Error> {
        let complete = self.after_last() > u64::from(self.header.commit);
        if self.header.is_snapshot() && !complete { Err(Error::SnapshotGap) } else { Ok(()) }
    }

    /// Accepts the post-apply checksum: only a snapshot holds all that is needed to compute it.
    pub(super) fn post_apply(&self, checksum: Checksum) -> Result<(), Error> {
        let header = &self.header;
        let well_formed = checksum.is_set() != header.no_checksum
            && (checksum.is_set() || checksum == Checksum::NONE)
            && (header.commit > 0 || header.no_checksum || checksum == Checksum::EMPTY);
        if !well_formed {
            Err(Error::BadPostApplyChecksum)
        } else if header.is_snapshot() && !header.no_checksum && checksum != self.database_checksum
        {
            Err(Error::DatabaseChecksum)
        } else {
            Ok(())
        }
    }

    /// The page after the last in a database, which has no lock page; past `u32` after the very last.
    fn after_last(&self) -> u64 {
        let next = u64::from(self.last).saturating_add(1);
        if next == u64::from(self.header.page_size.lock_pgno().get()) {
            next.saturating_add(1)
        } else {
            next
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PageSize, Txid};

    fn header(min_txid: u64, commit: u32) -> Header {
        Header {
            commit,
            min_txid: Txid(min_txid),
            max_txid: Txid(min_txid),
            ..Header::new(PageSize::new(65_536).unwrap())
        }
    }

    fn next(order: &mut PageOrder, pgno: u32) -> Result<(), Error> {
        order.next(Pgno::new(pgno).unwrap())
    }

    #[test]
    fn pages_ascend_within_the_commit() {
        let mut order = PageOrder::new(header(2, 9));
        assert_eq!(next(&mut order, 4), Ok(()));
        assert_eq!(next(&mut order, 4), Err(Error::PageOrder));
        assert_eq!(next(&mut order, 3), Err(Error::PageOrder));
        assert_eq!(next(&mut order, 10), Err(Error::PageBeyondCommit));
        assert_eq!(next(&mut order, 9), Ok(()));
        assert_eq!(order.end(), Ok(()));
    }

    #[test]
    fn a_snapshot_has_every_page() {
        let mut order = PageOrder::new(header(1, 3));
        assert_eq!(next(&mut order, 2), Err(Error::SnapshotGap));
        assert_eq!(next(&mut order, 1), Ok(()));
        assert_eq!(order.end(), Err(Error::SnapshotGap));
        assert_eq!(next(&mut order, 2), Ok(()));
        assert_eq!(next(&mut order, 3), Ok(()));
        assert_eq!(order.end(), Ok(()));
        assert_eq!(PageOrder::new(header(1, 0)).end(), Ok(()));
    }

    #[test]
    fn a_snapshot_has_no_lock_page() {
        const LOCK: u32 = 16_385;
        for (commit, ends_before) in [(LOCK - 1, true), (LOCK, true), (LOCK + 1, false)] {
            let mut order = PageOrder::new(header(1, commit));
            (1..LOCK).for_each(|pgno| next(&mut order, pgno).unwrap());
            assert_eq!(order.end().is_ok(), ends_before, "commit {commit}");
        }
        let mut order = PageOrder::new(header(1, LOCK + 1));
        (1..LOCK).for_each(|pgno| next(&mut order, pgno).unwrap());
        assert_eq!(next(&mut order, LOCK), Err(Error::LockPage));
        assert_eq!(next(&mut order, LOCK + 1), Ok(()));
        assert_eq!(order.end(), Ok(()));
    }

    #[test]
    fn the_largest_commit_is_no_exception() {
        let mut order = PageOrder::new(Header { commit: u32::MAX, ..header(2, 0) });
        assert_eq!(next(&mut order, u32::MAX), Ok(()));
        assert_eq!(order.end(), Ok(()));
    }

    #[test]
    fn a_snapshot_knows_its_post_apply_checksum() {
        let page = [7; 65_536];
        let mut order = PageOrder::new(header(1, 1));
        next(&mut order, 1).unwrap();
        order.data(Pgno::ONE, &page);
        assert_eq!(order.post_apply(page_checksum(Pgno::ONE, &page)), Ok(()));
        assert_eq!(order.post_apply(Checksum::EMPTY), Err(Error::DatabaseChecksum));
        assert_eq!(order.post_apply(Checksum(1)), Err(Error::BadPostApplyChecksum));
    }

    #[test]
    fn a_file_without_database_checksums_has_none() {
        let order = PageOrder::new(Header { no_checksum: true, ..header(2, 1) });
        assert_eq!(order.post_apply(Checksum::NONE), Ok(()));
        assert_eq!(order.post_apply(Checksum::EMPTY), Err(Error::BadPostApplyChecksum));
        let order = PageOrder::new(header(2, 1));
        assert_eq!(order.post_apply(Checksum::NONE), Err(Error::BadPostApplyChecksum));
    }

    #[test]
    fn a_dropped_database_has_the_empty_checksum() {
        let order = PageOrder::new(header(2, 0));
        assert_eq!(order.post_apply(Checksum::EMPTY), Ok(()));
        assert_eq!(order.post_apply(Checksum(u64::MAX)), Err(Error::BadPostApplyChecksum));
    }
}
