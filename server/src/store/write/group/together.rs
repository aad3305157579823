//! Positions of several databases that are of one state, as far as groups go: of no group one database
//! is shown with its transaction, and another without.
//!
//! What this server knows of each database is as old as its last look at it, and looks are apart. A
//! database therefore remembers the last groups it took in. When one in an answer has a group's
//! transaction and another does not, the other is looked at again: the group was decided before the
//! first was looked at, so this time it shows. What is not remembered any more, or was not there when a
//! database was opened, is made up for by the time: looks that began later see it in any case.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use litevfs::types::{ClusterName, DbName, Pos, Txid};
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::member::Prepared;
use crate::key::DbKey;
use crate::store::bucket::decision::Committed;
use crate::store::bucket::error::Error;
use crate::store::history::database::Database;
use crate::store::history::read::Changes;
use crate::store::history::shelf::{FRESH, Shelf};
use crate::store::write::base::Base;

/// How many databases are opened at the same time for one listing.
const PARALLEL: usize = 8;
/// How often databases are looked at again that have moved on meanwhile.
const ROUNDS: usize = 32;

/// How many databases are looked at at the same time in a store that takes a while for each answer.
const SHARED_PARALLEL: usize = 64;
/// The most changed pages of all databases that one answer tells.
const MAX_PAGES: usize = 100_000;

/// Which databases an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Those that were named.
    Named,
    /// All of a cluster: damaged ones are left out, and what groups made meanwhile is added.
    Cluster,
}

/// A database, its position, and what changed since the position asked about.
pub type Reading = (DbName, Pos, Changes);

/// What the changes of a database are asked since, and how many pages the answer has room for.
type Since<'a> = (Pos, &'a AtomicUsize);

/// Changes, as far as there is room for the pages; else that all may have.
fn within(room: &AtomicUsize, (pos, changes): (Pos, Changes)) -> (Pos, Changes) {
    let Changes::Pages(pgnos) = &changes else {
        return (pos, changes);
    };
    let left = |room: usize| room.checked_sub(pgnos.len());
    match room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left) {
        Ok(_) => (pos, changes),
        Err(_) => (pos, Changes::All),
    }
}

/// One database of an answer.
struct Part {
    /// What was there before is shown.
    seen_at: Instant,
    /// The database, if it is there, and what was read.
    read: Option<(Arc<Database>, Pos, Changes)>,
}

impl Shelf {
    /// The positions of those databases of a cluster that are there, which are of one state, and what
    /// changed in each since a position.
    pub(in crate::store) async fn read_together(
        &self,
        cluster: &ClusterName,
        asked: &BTreeMap<DbName, Pos>,
    ) -> Result<Vec<Reading>, Error> {
        let dbs = asked.keys().cloned().collect();
        let room = AtomicUsize::new(MAX_PAGES);
        let since = |db: &DbName| asked.get(db).map(|since| (*since, &room));
        let parts = self.gather(cluster, dbs, since, Scope::Named).await?;
        let whole =
            |(db, part): (DbName, Part)| part.read.map(|(_, pos, changes)| (db, pos, changes));
        Ok(parts.into_iter().filter_map(whole).collect())
    }

    /// The databases of a cluster and their positions, which are of one state. A damaged one is left
    /// out, and logged.
    pub(in crate::store) async fn databases(
        &self,
        cluster: &ClusterName,
    ) -> Result<Vec<(DbName, Pos)>, Error> {
        for _ in 0..ROUNDS {
            let listed_at = Instant::now();
            let dbs = self.objects.databases(cluster).await?;
            let parts = self.gather(cluster, dbs, |_| None, Scope::Cluster).await?;
            let opened = |part: &Part| part.read.as_ref()?.0.state.read().together.since;
            // One that was opened since may have been written together with one that is not listed.
            if parts.values().all(|part| opened(part) <= Some(listed_at)) {
                let whole = |(db, part): (DbName, Part)| part.read.map(|(_, pos, _)| (db, pos));
                return Ok(parts.into_iter().filter_map(whole).collect());
            }
        }
        Err(Error::Busy)
    }

    /// Reads databases until all are of one state.
    async fn gather<'a>(
        &self,
        cluster: &ClusterName,
        dbs: Vec<DbName>,
        since: impl Fn(&DbName) -> Option<Since<'a>>,
        scope: Scope,
    ) -> Result<BTreeMap<DbName, Part>, Error> {
        let mut parts: BTreeMap<DbName, Part> = BTreeMap::new();
        let (mut wanted, mut max_age) = (dbs, FRESH);
        for _ in 0..ROUNDS {
            // Made as they are run: each takes some KB while it is there.
            let again = stream::iter(wanted).map(|db| {
                let since = since(&db);
                self.part(DbKey { cluster: cluster.clone(), db }, since, scope, max_age).boxed()
            });
            let at_once = if self.objects.is_shared() { SHARED_PARALLEL } else { PARALLEL };
            parts.extend(again.buffered(at_once).try_collect::<Vec<_>>().await?);
            wanted = behind(&parts, scope);
            if wanted.is_empty() {
                return Ok(parts);
            }
            max_age = Duration::ZERO;
        }
        Err(Error::Busy)
    }

    async fn part(
        &self,
        key: DbKey,
        since: Option<Since<'_>>,
        scope: Scope,
        max_age: Duration,
    ) -> Result<(DbName, Part), Error> {
        let began = Instant::now();
        let database = match self.fresh_within(&key, max_age).await {
            Ok(Some(database)) => database,
            Ok(None) => return Ok((key.db, Part { seen_at: began, read: None })),
            Err(error @ Error::Corrupt { .. }) if scope == Scope::Cluster => {
                tracing::error!(database = %key, %error, "left out of the list");
                return Ok((key.db, Part { seen_at: began, read: None }));
            }
            Err(error) => return Err(error),
        };
        let looked_at = *database.looked_at.lock().await;
        // What this server has to itself it knows at every moment.
        let shared = self.objects.is_shared();
        let seen_at = if shared { looked_at.unwrap_or(began) } else { Instant::now() };
        let (pos, changes) = match since {
            Some((since, room)) => within(room, database.changes(since).await?),
            None => (database.pos(), Changes::Nothing),
        };
        Ok((key.db, Part { seen_at, read: Some((database, pos, changes)) }))
    }

    /// Takes in what a group has made, in all databases at one moment.
    pub(super) async fn take_in_group(&self, prepared: &[Prepared], group: &Arc<Committed>) {
        let mut new = Vec::new();
        for member in prepared {
            *member.slot.doubt.lock() = None;
            if let Base::Vacant(head) = &member.base
                && let Ok(database) = self.made_by(head, &member.slot, member.file).await
            {
                new.push((member.slot.database.lock().await, database));
            }
        }
        take_in(prepared, new, group);
        for member in prepared {
            self.metrics.commit(member.file.len);
            let open = member.slot.database.lock().await.clone();
            if let Some(database) = &open
                && database.state.read().lacks_snapshot()
            {
                self.begin_with_snapshot(database).await;
            }
            self.committed(&member.key, open.map_or(0, |database| database.plan_len()));
        }
    }
}

/// The place of a database that a group has made, and the database.
type New<'a> = (MutexGuard<'a, Option<Arc<Database>>>, Arc<Database>);

fn take_in(prepared: &[Prepared], new: Vec<New<'_>>, group: &Arc<Committed>) {
    // All at once, so that nobody sees some with it and some without.
    let known = prepared.iter().filter_map(|member| Some((member, member.base.database()?)));
    let mut states: Vec<_> = known.map(|(member, known)| (member, known.state.write())).collect();
    for (member, state) in &mut states {
        let base = state.tip.pos;
        if member.file.min_txid.follows(base.txid) {
            state.append_after(base, member.file, &member.index, &member.sound.checksums);
        }
        state.together.note(member.file.min_txid, group);
    }
    for (mut place, database) in new {
        database.state.write().together.note(Txid(1), group);
        *place = Some(database);
    }
}

/// The databases to look at again.
fn behind(parts: &BTreeMap<DbName, Part>, scope: Scope) -> Vec<DbName> {
    let mut behind: Vec<DbName> = Vec::new();
    // For each database the others count: of the latest two times one is another's.
    let (mut latest, mut second): (Option<(Instant, &DbName)>, Option<Instant>) = (None, None);
    for (db, part) in parts {
        let Some((database, pos, _)) = &part.read else {
            continue;
        };
        let state = database.state.read();
        let since = state.together.since;
        if since > latest.map(|(at, _)| at) {
            (latest, second) = (since.map(|at| (at, db)), latest.map(|(at, _)| at));
        } else {
            second = second.max(since);
        }
        for taken in state.together.groups.iter().filter(|taken| taken.txid <= pos.txid) {
            behind.extend(taken.group.members.iter().filter_map(|member| {
                let Some(other) = parts.get(&member.db) else {
                    return (scope == Scope::Cluster).then(|| member.db.clone());
                };
                let lacks = other.read.as_ref().is_none_or(|(_, pos, _)| pos.txid < member.txid);
                // Seen later and still without it, it was dropped meanwhile.
                (lacks && other.seen_at <= taken.at).then(|| member.db.clone())
            }));
        }
    }
    for (db, part) in parts {
        let others = latest.filter(|(_, latest)| *latest != db).map(|(at, _)| at).or(second);
        if others.is_some_and(|others| part.seen_at <= others) {
            behind.push(db.clone());
        }
    }
    behind.sort_unstable();
    behind.dedup();
    behind
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use litevfs::types::Pgno;

    #[test]
    fn an_answer_tells_so_many_pages_and_then_that_all_may_have_changed() {
        let room = AtomicUsize::new(10);
        let pages = |count| {
            let pgnos = (1..=count).filter_map(Pgno::new).collect();
            within(&room, (Pos::EMPTY, Changes::Pages(pgnos))).1
        };
        assert!(matches!(pages(7), Changes::Pages(_)));
        assert_eq!(pages(4), Changes::All);
        assert!(matches!(pages(3), Changes::Pages(_)));
        assert_eq!(within(&room, (Pos::EMPTY, Changes::Nothing)).1, Changes::Nothing);
        assert_eq!(pages(1), Changes::All);
    }
}
