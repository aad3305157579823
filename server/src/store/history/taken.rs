//! The last groups that a database took in, by which positions of several databases are told to be of one
//! state.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use litevfs::types::Txid;
use tokio::time::Instant;

use crate::store::bucket::decision::Committed;
use crate::store::bucket::moment::now_ms;

/// How many groups a database remembers.
const MAX_GROUPS: usize = 16;
/// Bytes that a member of a remembered group takes, about.
const MEMBER_BYTES: usize = 64;
/// A database whose last transaction is older than this has no group that others may lack.
const SETTLED: Duration = Duration::from_secs(300);

/// The last groups that a database took in.
#[derive(Debug, Default)]
pub(in crate::store) struct Together {
    /// Groups taken in until then may not be among them.
    pub(in crate::store) since: Option<Instant>,
    pub(in crate::store) groups: VecDeque<Taken>,
}

/// A group that was taken in.
#[derive(Debug)]
pub(in crate::store) struct Taken {
    /// When.
    pub(in crate::store) at: Instant,
    /// The database's own transaction.
    pub(in crate::store) txid: Txid,
    /// With what else.
    pub(in crate::store) group: Arc<Committed>,
}

impl Together {
    /// What is known when a database was opened whose last transaction is of that time, in ms.
    pub(in crate::store) fn when_opened(last_ms: u64) -> Together {
        let age = Duration::from_millis(now_ms().saturating_sub(last_ms));
        Together { since: (age < SETTLED).then(Instant::now), groups: VecDeque::new() }
    }

    /// Bytes of memory it takes, about, as if no other database remembered the groups.
    pub(in crate::store) fn memory(&self) -> usize {
        let members = self.groups.iter().map(|taken| taken.group.members.len());
        let members = members.fold(0, usize::saturating_add);
        let groups = self.groups.capacity().saturating_mul(size_of::<Taken>());
        groups.saturating_add(members.saturating_mul(MEMBER_BYTES))
    }

    /// Takes a group in, with the database's own transaction.
    pub(in crate::store) fn note(&mut self, txid: Txid, group: &Arc<Committed>) {
        if self.groups.len() >= MAX_GROUPS
            && let Some(oldest) = self.groups.pop_front()
        {
            self.since = Some(oldest.at);
        }
        self.groups.push_back(Taken { at: Instant::now(), txid, group: Arc::clone(group) });
    }
}
