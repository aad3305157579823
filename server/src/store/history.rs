//! The positions a database has had, one for each LTX file, oldest first.

use litevfs::ltx::Header;
use litevfs::types::{Checksum, PageSize, Pos, Txid};

use super::error::Error;

/// What one LTX file did to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its first transaction.
    pub min_txid: Txid,
    /// Its last transaction.
    pub max_txid: Txid,
    /// Pages of the database after it.
    pub commit: u32,
    /// When it was committed, in ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// The database checksum before it; [`Checksum::NONE`] for the first.
    pub pre_apply_checksum: Checksum,
    /// The database checksum after it.
    pub post_apply_checksum: Checksum,
}

impl Step {
    /// The step of a file with that header and post-apply checksum.
    pub const fn new(header: &Header, post_apply_checksum: Checksum) -> Step {
        Step {
            min_txid: header.min_txid,
            max_txid: header.max_txid,
            commit: header.commit,
            timestamp_ms: header.timestamp_ms,
            pre_apply_checksum: header.pre_apply_checksum,
            post_apply_checksum,
        }
    }

    /// The position after it.
    pub const fn pos(&self) -> Pos {
        Pos { txid: self.max_txid, post_apply_checksum: self.post_apply_checksum }
    }

    /// Whether the other step may be the same, sent again. Without the time of the commit, the same
    /// change made by two clients to the same base would be one transaction, acknowledged to both.
    fn repeats(&self, other: &Step) -> bool {
        self.min_txid == other.min_txid
            && self.timestamp_ms == other.timestamp_ms
            && self.pre_apply_checksum == other.pre_apply_checksum
            && self.pos() == other.pos()
    }
}

/// All steps of a database, without a gap from the first transaction on.
#[derive(Debug)]
pub struct History {
    page_size: PageSize,
    steps: Vec<Step>,
}

impl History {
    /// The history of a database without transactions.
    pub const fn new(page_size: PageSize) -> History {
        History { page_size, steps: Vec::new() }
    }

    /// Bytes of a page.
    pub const fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// The last step.
    pub fn last(&self) -> Option<&Step> {
        self.steps.last()
    }

    /// The step with that number, from 0.
    pub fn step(&self, number: usize) -> Option<&Step> {
        self.steps.get(number)
    }

    /// How many steps there are.
    pub const fn len(&self) -> usize {
        self.steps.len()
    }

    /// The current position.
    pub fn pos(&self) -> Pos {
        self.last().map_or(Pos::EMPTY, Step::pos)
    }

    /// Pages of the database now.
    pub fn commit(&self) -> u32 {
        self.last().map_or(0, |step| step.commit)
    }

    /// The number of the step that led to a position; `None` when the database was never there.
    pub fn find(&self, pos: Pos) -> Option<usize> {
        let number = self.steps.binary_search_by_key(&pos.txid, |step| step.max_txid).ok()?;
        self.steps.get(number).filter(|step| step.pos() == pos).map(|_| number)
    }

    /// The number of the step that did what another one claims to do: the same transactions, from
    /// the same checksum to the same, committed at the same time.
    pub fn find_repeated(&self, claim: &Step) -> Option<usize> {
        let number = self.find(claim.pos())?;
        let held = self.step(number)?;
        held.repeats(claim).then_some(number)
    }

    /// Whether a file may be the next: it has the database's page size and follows the last step.
    pub fn check_next(&self, header: &Header) -> Result<(), Error> {
        if header.page_size != self.page_size {
            return Err(Error::PageSize { database: self.page_size, file: header.page_size });
        }
        let pos = self.pos();
        let follows = header.min_txid == pos.txid.next()
            && header.pre_apply_checksum == pos.post_apply_checksum;
        if follows { Ok(()) } else { Err(Error::PosMismatch(pos)) }
    }

    /// Takes in the next step, which [`History::check_next`] has passed.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Whether the database lost pages at any step after that one.
    pub fn shrank_since(&self, number: usize) -> bool {
        let commits = self.steps.get(number..).unwrap_or_default();
        commits
            .iter()
            .zip(commits.iter().skip(1))
            .any(|(before, after)| after.commit < before.commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(min: u64, max: u64, commit: u32, pre: u64, post: u64) -> Step {
        let flag = |sum: u64| Checksum(if sum == 0 { 0 } else { sum | Checksum::FLAG });
        Step {
            min_txid: Txid(min),
            max_txid: Txid(max),
            commit,
            timestamp_ms: 0,
            pre_apply_checksum: flag(pre),
            post_apply_checksum: flag(post),
        }
    }

    fn history() -> History {
        let mut history = History::new(PageSize::new(4096).unwrap());
        for step in [step(1, 1, 2, 0, 1), step(2, 5, 4, 1, 2), step(6, 6, 3, 2, 3)] {
            history.push(step);
        }
        history
    }

    #[test]
    fn a_position_is_held_only_with_its_checksum() {
        let history = history();
        let at = |txid, sum: u64| Pos {
            txid: Txid(txid),
            post_apply_checksum: Checksum(sum | Checksum::FLAG),
        };
        assert_eq!(history.pos(), at(6, 3));
        assert_eq!(history.find(at(5, 2)), Some(1));
        assert_eq!(history.find(at(5, 3)), None);
        assert_eq!(history.find(at(4, 2)), None);
        assert_eq!(history.find(Pos::EMPTY), None);
    }

    #[test]
    fn a_repeat_has_the_same_transactions_checksums_and_time() {
        let history = history();
        assert_eq!(history.find_repeated(&step(2, 5, 4, 1, 2)), Some(1));
        let later = Step { timestamp_ms: 1, ..step(2, 5, 4, 1, 2) };
        assert_eq!(history.find_repeated(&later), None);
        assert_eq!(history.find_repeated(&step(3, 5, 4, 1, 2)), None);
        assert_eq!(history.find_repeated(&step(2, 5, 4, 9, 2)), None);
        assert_eq!(history.find_repeated(&step(2, 5, 4, 1, 9)), None);
    }

    #[test]
    fn shrinking_is_seen_from_the_step_before_it() {
        let history = history();
        assert!(history.shrank_since(0));
        assert!(history.shrank_since(1));
        assert!(!history.shrank_since(2));
    }
}
