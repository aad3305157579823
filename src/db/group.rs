//! The databases that one SQLite connection has open: the main one and what it attached.
//!
//! `vfs/` has each join its connection's group when it is opened, and whenever SQLite locks it or
//! announces a commit. The group knows who writes, so that a commit of several databases is held back
//! until all have announced it (`round.rs`), and at which positions the others may begin to read.
//!
//! A transaction that has a view of one database and begins to read a second one must not find there
//! what was committed together with something that it does not see. Positions are *of one state* when
//! one poll answered with them ([`super::view::Place::poll`]), or when the transactions that lead
//! from there were committed by this process. So the second view is the newest one, if the first is
//! still the newest of its database; otherwise where the second was when the first was taken.

use super::database::Database;
use super::round::{Round, Staged};
use super::view::{ConfirmedView, Place, View};
use crate::error::{Error, ErrorKind, Result};
use crate::sys;
use crate::types::Pos;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// How often a view is taken anew because the database moved meanwhile.
const MAX_TRIES: u32 = 4;

/// Stands for a connection of SQLite's, as long as that is open.
pub type Owner = usize;

/// The groups of all connections of the process.
#[derive(Default)]
pub struct Groups(sys::Mutex<Vec<Weak<Group>>>);

/// The open databases of one connection.
pub struct Group {
    owner: Owner,
    inner: sys::Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    members: Vec<Member>,
    members_ever: u64,
    /// The commit that is being announced.
    round: Option<Arc<Round>>,
}

struct Member {
    number: u64,
    database: Arc<Database>,
    state: MemberState,
    /// Where a view may begin that is to be of one state with the views there are; `None` when that is
    /// not known.
    beside: Option<Place>,
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
    group: Arc<Group>,
    number: u64,
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

    /// A view for a transaction of the connection: the newest one that is of one state with the views
    /// of the others. Where there are none, it is at most `max_staleness_ms` old.
    pub fn view(&self, database: &Arc<Database>, max_staleness_ms: u64) -> Result<ConfirmedView> {
        let mut has_polled = false;
        let mut tries_left = MAX_TRIES;
        while tries_left > 0 {
            tries_left = tries_left.saturating_sub(1);
            let view = database.newest_view(max_staleness_ms)?;
            match self.judge(database, view.0) {
                // Alone it need not be the newest any more.
                Fit::Moved if tries_left == 0 && self.begins() => return Ok(view),
                Fit::Moved => {}
                Fit::Apart
                    if !has_polled && tries_left > 0 && self.begins() && database.may_poll() =>
                {
                    has_polled = true;
                    database.poll_together(&self.databases());
                }
                Fit::Newest | Fit::Apart => return Ok(view),
                Fit::Older(place) => return Ok((database.view_at(place)?, place.confirmed)),
                Fit::Unknown if has_polled => break,
                Fit::Unknown => {
                    has_polled = true;
                    database.poll_beside(&self.databases()).map_err(|error| {
                        let text = format!(
                            "{error}; what is cached may not be of one state with what this \
                             transaction has read of other databases"
                        );
                        database.named(Error::new(error.kind(), text))
                    })?;
                }
            }
        }
        let text = "the database moved on since this transaction began to read another one; \
                    roll back and begin again";
        Err(database.error(ErrorKind::StaleView, text))
    }

    /// The databases of the connection.
    fn databases(&self) -> Vec<Arc<Database>> {
        let inner = self.group.inner.lock();
        inner.members.iter().map(|member| Arc::clone(&member.database)).collect()
    }

    /// Whether no other database of the connection is locked: what any of them knew of the positions of
    /// others is old, then.
    fn begins(&self) -> bool {
        let mut inner = self.group.inner.lock();
        let is_locked = |m: &Member| m.number != self.number && m.state != MemberState::Unlocked;
        let begins = !inner.members.iter().any(is_locked);
        if begins {
            inner.members.iter_mut().for_each(|member| member.beside = None);
        }
        begins
    }

    /// Whether the newest view of a database goes together with the views of the others.
    fn judge(&self, database: &Arc<Database>, view: View) -> Fit {
        let origin = database.origin();
        let _together = origin.together();
        let Place { pos, epoch, poll, .. } = database.state().place();
        if (pos, epoch) != (view.pos, view.epoch) {
            return Fit::Moved;
        }
        let mut inner = self.group.inner.lock();
        let is_peer = |member: &Member| {
            member.number != self.number && Arc::ptr_eq(member.database.origin(), origin)
        };
        let pinned = |member: &Member| match member.state {
            MemberState::Unlocked => None,
            MemberState::Reading(pos) | MemberState::Writing(pos) => Some(pos),
        };
        let is_beside = |at: Place| at.poll == poll && poll != 0;
        let mut peers = inner.members.iter().filter(|member| is_peer(member));
        let fits = peers.all(|member| {
            let at = member.database.state().place();
            pinned(member).is_none_or(|pos| pos == at.pos && is_beside(at))
        });
        if !fits {
            let own = inner.members.iter().find(|member| member.number == self.number);
            let beside = own.and_then(|member| member.beside);
            return beside.map_or(Fit::Unknown, Fit::Older);
        }
        let mut knows_all = true;
        for member in &mut inner.members {
            let at = member.database.state().place();
            let knows = member.number == self.number || is_peer(member) && is_beside(at);
            knows_all &= knows || !is_peer(member);
            member.beside = knows.then_some(at);
        }
        if knows_all { Fit::Newest } else { Fit::Apart }
    }
}

/// How the newest view of a database goes together with the views of others.
enum Fit {
    /// It is not the newest any more.
    Moved,
    /// It is of one state with them.
    Newest,
    /// So it is, but of those that are not locked it is not known: they were opened one by one.
    Apart,
    /// It is not, but this place is.
    Older(Place),
    /// No position is known that is.
    Unknown,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.group.inner.lock().members.retain(|member| member.number != self.number);
    }
}
