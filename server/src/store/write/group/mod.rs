//! Transactions in several databases that are committed together, or not at all.
//!
//! 1. Each member is checked as a commit of its own is, with the gates of all databases held.
//! 2. *Prepare*: each member's level-0 file is made, marked with the group. It takes the next TXID of
//!    its database and does not count yet.
//! 3. *Decide*: one object is made that says that the group is committed, or that it is not. Whoever
//!    makes it has decided, for good. From then on the files count everywhere, or nowhere.
//! 4. A file that does not count is replaced by a transaction that changes nothing: see [`super::undecided`].
//!
//! A server that dies before step 3 leaves files that whoever wants their TXIDs decides against; one
//! that dies after it leaves a group that is committed. No answer but a server's fault is given before
//! the decision is known: so an error says that nothing of the group was applied, or will be.
//!
//! What costs something here costs it only where groups are used: other files have no mark, and nothing
//! is looked up for them. Marks are gone once files are merged. Decisions are kept for a day at least,
//! and for as long as a marked file is there: see [`crate::store::compact`].

mod member;
pub(in crate::store) mod together;

use std::sync::Arc;

use futures_util::future::join_all;
use litevfs::types::{ClusterName, DbName, Pos};
use tokio::sync::MutexGuard;

pub use crate::store::bucket::decision::GroupId;
use crate::store::bucket::decision::{self, Committed, Decision};
use crate::store::history::standing::Waiting;
use member::{Failed, Member, Prepared};

use crate::spool::Spool;
use crate::store::bucket::error::Error;
use crate::store::bucket::marks::Tag;
use crate::store::history::shelf::Shelf;
use crate::store::history::slots::Slot;

/// The most databases that a group may have.
pub const MAX_MEMBERS: usize = 16;

/// One transaction of a group, as it was uploaded.
#[derive(Debug)]
pub struct GroupTx {
    /// Its database.
    pub db: DbName,
    /// The lease under which it is made, if any.
    pub lease_id: Option<String>,
    /// An LTX v1 file.
    pub upload: Spool,
}

/// Why a group was not committed, and because of which database, if it is one's.
#[derive(Debug)]
pub struct GroupError {
    /// The database.
    pub db: Option<DbName>,
    /// What is wrong.
    pub error: Error,
}

impl From<Error> for GroupError {
    fn from(error: Error) -> GroupError {
        GroupError { db: None, error }
    }
}

/// How a group was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it counts.
    Committed,
    /// Nothing of it does, or will.
    Aborted,
    /// It is being committed.
    Undecided,
}

/// The positions after a group, in the order of its files.
pub type Positions = Vec<(DbName, Pos)>;

/// What is known of a group that is to be committed.
struct Group {
    cluster: ClusterName,
    id: GroupId,
    tag: Tag,
    /// What its databases' files are recognised by, in the client's order.
    files: Vec<(DbName, String)>,
}

impl Shelf {
    /// Commits transactions in different databases of a cluster together.
    ///
    /// The same group again is answered as before. An error that is the client's to mend says that
    /// nothing of it was applied, or ever will be under that id.
    pub(in crate::store) async fn commit_group(
        &self,
        cluster: &ClusterName,
        id: &GroupId,
        txs: Vec<GroupTx>,
    ) -> Result<Positions, GroupError> {
        let name = (cluster.clone(), id.clone());
        // The same may be sent again while it is under way: then the first says so.
        let first = self.groups.lock().insert(name.clone());
        let done = self.try_commit_group(cluster, id, txs).await;
        if first {
            self.groups.lock().remove(&name);
        }
        done
    }

    async fn try_commit_group(
        &self,
        cluster: &ClusterName,
        id: &GroupId,
        txs: Vec<GroupTx>,
    ) -> Result<Positions, GroupError> {
        let mut files = Vec::with_capacity(txs.len());
        for tx in &txs {
            files.push((tx.db.clone(), member::recognised_by(&tx.upload).map_err(Error::Io)?));
        }
        let group = Group { cluster: cluster.clone(), id: id.clone(), tag: id.tag(), files };
        if let Some(decision) = self.objects.read_decision(cluster, group.tag).await? {
            return Ok(group.answer(decision)?);
        }
        let mut txs = txs;
        txs.sort_by(|a, b| a.db.cmp(&b.db));
        let mut members = Vec::with_capacity(txs.len());
        for tx in txs {
            let db = tx.db.clone();
            match Member::new(self, cluster, group.tag, tx).await {
                Ok(member) => members.push(member),
                Err(error) => {
                    let failure = GroupError { db: Some(db), error };
                    return self.give_up(&group, &[], failure).await;
                }
            }
        }
        // In the order of their names, so that no two groups wait for each other.
        let slots: Vec<Arc<Slot>> = members.iter().map(|m| Arc::clone(&m.slot)).collect();
        let mut gates: Vec<MutexGuard<'_, ()>> = Vec::with_capacity(slots.len());
        for slot in &slots {
            gates.push(slot.gate.lock().await);
        }
        self.commit_gated_group(&group, members).await
    }

    /// The rest, with all gates held.
    async fn commit_gated_group(
        &self,
        group: &Group,
        members: Vec<Member>,
    ) -> Result<Positions, GroupError> {
        let mut admitted = Vec::with_capacity(members.len());
        for member in members {
            let db = member.key.db.clone();
            match member.admit(self, group.tag).await {
                Ok(member) => admitted.push(member),
                Err(error) => {
                    let failure = GroupError { db: Some(db), error };
                    return self.give_up(group, &[], failure).await;
                }
            }
        }
        let (mut prepared, mut failure) = (Vec::new(), None);
        // Those that take long come first, and a file that makes a database last.
        admitted.sort_by_key(member::Admitted::rank);
        while failure.is_none() && !admitted.is_empty() {
            let rank = admitted.first().map(member::Admitted::rank);
            let later = admitted.iter().position(|member| Some(member.rank()) != rank);
            let rest = admitted.split_off(later.unwrap_or(admitted.len()));
            let made = admitted.into_iter().map(|member| member.prepare(self, group.tag));
            for made in join_all(made).await {
                match made {
                    Ok(member) => prepared.push(member),
                    Err(failed) => failure = Some(failed),
                }
            }
            admitted = rest;
        }
        if let Some(failed) = failure {
            return self.give_up_prepared(group, &prepared, failed).await;
        }
        self.decide_for(group, prepared).await
    }

    /// Decides for a group whose files are all there.
    async fn decide_for(
        &self,
        group: &Group,
        prepared: Vec<Prepared>,
    ) -> Result<Positions, GroupError> {
        let decision = Decision::Committed(group.committed(&prepared));
        match self.objects.decide(&group.cluster, group.tag, &decision).await {
            Ok(Decision::Committed(held)) if held.id == group.id.to_string() => {
                self.take_in_group(&prepared, &Arc::new(held.clone())).await;
                Ok(group.answer(Decision::Committed(held))?)
            }
            Ok(held) => {
                self.undo_prepared(&prepared).await;
                Ok(group.answer(held)?)
            }
            Err(error) => {
                // The decision may be there all the same, or appear.
                for member in &prepared {
                    member.leave_open().await;
                }
                Err(error.into())
            }
        }
    }

    async fn give_up_prepared(
        &self,
        group: &Group,
        prepared: &[Prepared],
        failed: Failed,
    ) -> Result<Positions, GroupError> {
        let Failed { key, slot, error } = failed;
        let db = Some(key.db.clone());
        let failure = GroupError { db: db.clone(), error: error.unwrap_or(Error::GroupAborted) };
        let taken = matches!(failure.error, Error::GroupAborted);
        let given_up = self.give_up(group, prepared, failure).await;
        if !taken || !matches!(&given_up, Err(GroupError { error: Error::GroupAborted, .. })) {
            return given_up;
        }
        // Another was faster there; only now, with the group decided, is it waited for.
        let base = self.base(&key, &slot, None).await;
        let pos = base.map(|base| base.pos());
        Err(GroupError { db, error: pos.map_or_else(|error| error, Error::PosMismatch) })
    }

    /// Decides against a group because of a failure, which is returned unless the group was decided for.
    async fn give_up(
        &self,
        group: &Group,
        prepared: &[Prepared],
        failure: GroupError,
    ) -> Result<Positions, GroupError> {
        let decision = Decision::Aborted {};
        match self.objects.decide(&group.cluster, group.tag, &decision).await {
            // The same was sent through another server too.
            Ok(held @ Decision::Committed(_)) => {
                self.undo_prepared(prepared).await;
                Ok(group.answer(held)?)
            }
            Ok(Decision::Aborted {}) => {
                self.undo_prepared(prepared).await;
                Err(failure)
            }
            Err(error) => {
                for member in prepared {
                    member.leave_open().await;
                }
                Err(error.into())
            }
        }
    }

    /// Lets the databases see what became of files that were made. Those that do not count are replaced;
    /// should that fail, whoever wants their place does it.
    async fn undo_prepared(&self, prepared: &[Prepared]) {
        for Prepared { key, slot, base, file, .. } in prepared {
            *slot.doubt.lock() = Some(Waiting { db: Arc::clone(base.db()), file: *file });
            if let Err(error) = self.resolve(key, slot, None, std::time::Duration::ZERO).await {
                tracing::warn!(database = %key, %error, "a file of a group stays for now");
                slot.forget().await;
            }
        }
    }

    /// What became of a group; `None` when this server knows nothing of it.
    pub(in crate::store) async fn group_outcome(
        &self,
        cluster: &ClusterName,
        id: &GroupId,
    ) -> Result<Option<Outcome>, Error> {
        let under_way = self.groups.lock().contains(&(cluster.clone(), id.clone()));
        let decision = self.objects.read_decision(cluster, id.tag()).await?;
        let decided = decision.map(|decision| outcome(&decision, id));
        Ok(decided.or(under_way.then_some(Outcome::Undecided)))
    }

    /// Decides against a group, unless it is decided, also before anything is known of it.
    pub(in crate::store) async fn abort_group(
        &self,
        cluster: &ClusterName,
        id: &GroupId,
    ) -> Result<Outcome, Error> {
        let decision = self.objects.decide(cluster, id.tag(), &Decision::Aborted {}).await?;
        Ok(outcome(&decision, id))
    }
}

fn outcome(decision: &Decision, id: &GroupId) -> Outcome {
    match decision {
        Decision::Committed(committed) if committed.id == id.to_string() => Outcome::Committed,
        // Another group's id begins alike: this one cannot be decided for any more.
        Decision::Committed(_) | Decision::Aborted {} => Outcome::Aborted,
    }
}

impl Group {
    /// The decision for it.
    fn committed(&self, prepared: &[Prepared]) -> Committed {
        let member = |(db, file): &(DbName, String)| {
            let pos = prepared.iter().find(|member| member.key.db == *db)?.pos();
            Some(decision::Member {
                db: db.clone(),
                txid: pos.txid,
                post_apply_checksum: pos.post_apply_checksum,
                commit_id: pos.commit_id,
                file: file.clone(),
            })
        };
        let members = self.files.iter().filter_map(member).collect();
        Committed { id: self.id.to_string(), members }
    }

    /// What its client is told when it is decided.
    fn answer(&self, decision: Decision) -> Result<Positions, Error> {
        let Decision::Committed(committed) = decision else {
            return Err(Error::GroupAborted);
        };
        let files = committed.members.iter().map(|member| (&member.db, &member.file));
        let same = files.eq(self.files.iter().map(|(db, file)| (db, file)));
        if !same || committed.id != self.id.to_string() {
            return Err(Error::OtherGroup);
        }
        let positions = committed.members.into_iter().map(|member| (member.pos(), member.db));
        Ok(positions.map(|(pos, db)| (db, pos)).collect())
    }
}
