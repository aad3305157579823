//! The databases that one SQLite connection has open: the main one and what it attached.
//!
//! `vfs/` has each join its connection's group when it is opened, and whenever SQLite locks it or
//! announces a commit. The group knows who writes, so that a commit of several databases is held back
//! until all have announced it (`round.rs`), and at which positions the others may begin to read.

use super::database::Database;
use super::round::{Round, Staged};
use super::view::Place;
use crate::error::Result;
use crate::sys;
use crate::types::Pos;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// Stands for a connection of SQLite's, as long as that is open.
pub type Owner = usize;

/// The groups of all connections of the process.
#[derive(Default)]
pub struct Groups(sys::Mutex<Vec<Weak<Group>>>);

/// The open databases of one connection.
pub struct Group {
    owner: Owner,
    pub(super) inner: sys::Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub members: Vec<Member>,
    members_ever: u64,
    /// The commit that is being announced.
    round: Option<Arc<Round>>,
}

pub(super) struct Member {
    pub number: u64,
    pub database: Arc<Database>,
    pub state: MemberState,
    /// Where a view may begin that is to be of one state with the views there are; `None` when that is
    /// not known.
    pub beside: Option<Place>,
}

/// What a member does, as far as the others must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It has no lock.
    Unlocked,
    /// It is pinned to a position.
    Reading(Pos),
    /// It may write, on top of a position.
    Writing(Pos),
}

/// A place in a group, given back when dropped.
pub struct Membership {
    pub(super) group: Arc<Group>,
    pub(super) number: u64,
}

impl Groups {
    /// None yet.
    pub const fn new() -> Groups {
        Groups(sys::Mutex::new(Vec::new()))
    }

    /// Adds a database to the group of a connection.
    pub(super) fn join(&self, owner: Owner, database: &Arc<Database>) -> Membership {
        let mut groups = self.0.lock();
        groups.retain(|group| group.strong_count() > 0);
        let known = groups.iter().filter_map(Weak::upgrade).find(|group| group.owner == owner);
        let group = known.unwrap_or_else(|| {
            let group = Arc::new(Group { owner, inner: sys::Mutex::new(Inner::default()) });
            groups.push(Arc::downgrade(&group));
            group
        });
        drop(groups);
        let mut inner = group.inner.lock();
        inner.members_ever = inner.members_ever.saturating_add(1);
        let number = inner.members_ever;
        let database = Arc::clone(database);
        let state = MemberState::Unlocked;
        inner.members.push(Member { number, database, state, beside: None });
        drop(inner);
        Membership { group, number }
    }

    /// Whether a database of that name is open in any group.
    pub fn has(&self, name: &str) -> bool {
        let groups = self.0.lock();
        groups.iter().filter_map(Weak::upgrade).any(|group| {
            let inner = group.inner.lock();
            inner.members.iter().any(|member| member.database.name().as_str() == name)
        })
    }
}

impl Group {
    /// The connection whose databases they are.
    pub fn owner(&self) -> Owner {
        self.owner
    }
}

impl Membership {
    /// The connection whose group it is.
    pub fn owner(&self) -> Owner {
        self.group.owner
    }

    /// The group.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Tells what the member does from now on.
    pub fn set_state(&self, state: MemberState) {
        let mut inner = self.group.inner.lock();
        if let Some(member) = inner.members.iter_mut().find(|m| m.number == self.number) {
            member.state = state;
        }
    }

    /// Whether another database of the connection may be written in the same transaction.
    pub fn others_write(&self) -> bool {
        let inner = self.group.inner.lock();
        let writes = |member: &Member| matches!(member.state, MemberState::Writing(_));
        inner.members.iter().any(|member| member.number != self.number && writes(member))
    }

    /// Holds a commit back until those of the others are there.
    pub fn stage(&self, staged: Arc<Staged>) -> Result<Arc<Round>> {
        let mut inner = self.group.inner.lock();
        let round = inner.round.take().filter(|round| round.is_open()).unwrap_or_default();
        inner.round = Some(Arc::clone(&round));
        drop(inner);
        round.add(staged)?;
        Ok(round)
    }

    /// Gives up the commit that is being announced: one of the databases can't take part.
    pub fn abandon_round(&self) {
        if let Some(round) = self.group.inner.lock().round.take() {
            round.abandon();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.group.inner.lock().members.retain(|member| member.number != self.number);
    }
}
