//! The view of a database that goes together with those that the SQLite connection reads of others.
//!
//! A transaction that has a view of one database and begins to read a second one must not find there
//! what was committed together with something that it does not see. Positions are *of one state* when
//! one poll answered with them ([`super::view::Place::poll`]), or when the transactions that lead
//! from there were committed by this process. So the second view is the newest one, if the first is
//! still the newest of its database; otherwise where the second was when the first was taken.

use super::database::Database;
use super::group::{Member, MemberState, Membership};
use super::view::{ConfirmedView, Place, View};
use crate::error::{Error, ErrorKind, Result};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How often a view is taken anew because the database moved meanwhile.
const MAX_TRIES: u32 = 4;

impl Membership {
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
        let _barrier = origin.read_barrier();
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
