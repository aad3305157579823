//! Commits an upload: the commit rules, in the protocol's order, then one conditional create.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use litevfs::ltx::Header;
use litevfs::types::Pos;

use super::base::Base;
use super::check::{check, check_next};
use super::convert::{self, Converted, Sound};
use super::undecided::PATIENCE;
use crate::key::DbKey;
use crate::offload::offload;
use crate::spool::Spool;
use crate::store::bucket::error::Error;
use crate::store::bucket::files::Files;
use crate::store::bucket::head::Head;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::bucket::marks::Tag;
use crate::store::bucket::moment::now_ms;
use crate::store::bucket::rules;
use crate::store::history::database::Database;
use crate::store::history::shelf::Shelf;
use crate::store::history::slots::Slot;
use crate::store::history::span::complete_span;
use crate::store::history::state::State;
use crate::store::history::view::View;
use crate::store::objects::create::Created;
use crate::store::objects::dates::dated;

/// Who commits.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum By<'a> {
    /// A client under a lease, or under none.
    Client(Option<&'a str>),
    /// This server, whoever has the lease.
    Server,
}

impl Shelf {
    /// Commits an LTX v1 file under a lease, or under none; returns the position of the database, with
    /// it durable.
    ///
    /// The same file again is told from a conflict and changes nothing. Whether the client may write
    /// is asked first and again just before the file is made. Between that and the end no lease is
    /// granted by this server.
    pub(in crate::store) async fn commit(
        &self,
        key: &DbKey,
        upload: Spool,
        lease_id: Option<&str>,
    ) -> Result<Pos, Error> {
        let slot = self.slot(key);
        let scratch = self.objects.scratch().to_owned();
        let len_bytes = upload.len_of_work();
        let now_ms = self.time_of_next(&slot).await?;
        let converted =
            offload(len_bytes, move || convert::convert(&upload, &scratch, now_ms, None));
        let converted = converted.await?;
        if let Ok(Converted { sound: Ok(sound), .. }) = &converted
            && let Some(pos) = self.held(key, &slot, sound).await?
        {
            return Ok(pos);
        }
        if let Err(refusal) = self.check_lease(key, &slot, lease_id).await {
            let sound = converted.ok().and_then(|converted| converted.sound.ok());
            return self.refuse(key, &slot, sound.as_ref(), refusal).await;
        }
        let Converted { header, sound } = converted?;
        let _gate = slot.gate.lock().await;
        self.commit_gated(key, &slot, header, sound, By::Client(lease_id)).await
    }

    /// The rest of a commit, with the gate held.
    pub(in crate::store) async fn commit_gated(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        header: Header,
        sound: Result<Sound, Error>,
        by: By<'_>,
    ) -> Result<Pos, Error> {
        if let Ok(sound) = &sound
            && let Some(pos) = self.held(key, slot, sound).await?
        {
            return Ok(pos);
        }
        let checked = self.checked(key, slot, &header, sound.as_ref().ok(), by, None).await;
        let base = match checked {
            Ok(base) => base,
            Err(refusal) => return self.refuse(key, slot, sound.as_ref().ok(), refusal).await,
        };
        self.publish(key, slot, base, sound?).await
    }

    /// Checks that a transaction may be the next of its database, as far as it is sound, with the gate
    /// held; returns the database to commit it to. A file that waits for the decision on that group is
    /// no obstacle.
    pub(in crate::store) async fn checked(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        header: &Header,
        sound: Option<&Sound>,
        by: By<'_>,
        group: Option<Tag>,
    ) -> Result<Base, Error> {
        let is_whole = sound.is_some_and(|sound| sound.index.is_whole());
        let mut base = self.base(key, slot, group).await?;
        if check_next(base.database(), header, is_whole).is_err() && self.objects.is_shared() {
            // Another server may have gone on.
            slot.look_again().await;
            base = self.base(key, slot, group).await?;
        }
        check_next(base.database(), header, is_whole)?;
        let Some(sound) = sound else {
            return Ok(base);
        };
        if let Err(error) = check(base.database(), sound).await {
            // Another server's commit may have been taken in meanwhile.
            check_next(base.database(), header, is_whole)?;
            return Err(error);
        }
        if let By::Client(lease_id) = by {
            self.admit(key, slot, lease_id).await?;
        }
        Ok(base)
    }

    /// Whether a client may write, asked right before it does.
    async fn admit(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        lease_id: Option<&str>,
    ) -> Result<(), Error> {
        self.check_lease(key, slot, lease_id).await?;
        match lease_id {
            Some(id) => self.mark_moved(key, slot, id).await,
            None => Ok(()),
        }
    }

    /// Refuses an upload, unless it is in the history after all: another server may have committed it
    /// since this one looked. To a client that sends it again a refusal means that it is not there.
    async fn refuse(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        sound: Option<&Sound>,
        refusal: Error,
    ) -> Result<Pos, Error> {
        if let Some(sound) = sound
            && self.objects.is_shared()
        {
            slot.look_again().await;
            self.fresh(key).await?;
            if let Some(pos) = self.held(key, slot, sound).await? {
                return Ok(pos);
            }
        }
        Err(refusal)
    }

    /// The time to store for the next transaction: now, but never before the last one, unless that was
    /// made by a clock that was ahead of the store's.
    pub(in crate::store) async fn time_of_next(&self, slot: &Slot) -> Result<u64, Error> {
        let (now, database) = (now_ms(), slot.database.lock().await.clone());
        let Some(database) = database else {
            return Ok(now);
        };
        let last_ms = database.state.read().tip.timestamp_ms;
        if rules::commit_time(last_ms, now) == last_ms {
            return Ok(now.max(last_ms));
        }
        // One of the two clocks is wrong. The store's says which.
        let path =
            database.last_committed().map(|file| self.objects.shape.file(&database.db, &file));
        let written_ms = match path {
            Some(path) => self.objects.written_at(&path).await?,
            None => None,
        };
        Ok(now.max(rules::commit_time(last_ms, written_ms.unwrap_or(now))))
    }

    /// The position of a database that holds an upload already.
    async fn held(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        sound: &Sound,
    ) -> Result<Option<Pos>, Error> {
        match self.open(key, slot).await? {
            Some(database) if database.holds(sound).await? => Ok(Some(database.pos())),
            _ => Ok(None),
        }
    }

    /// Makes the file and takes it in. The gate is held.
    ///
    /// Whenever the file is not known to be new, memory may be behind the files: it is forgotten, and
    /// whoever asks next reads the files again.
    pub(in crate::store) async fn publish(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        base: Base,
        sound: Sound,
    ) -> Result<Pos, Error> {
        let before = base.database().map(Database::page_size);
        let (made, date) = dated(self.make_file(&base, &sound)).await;
        match made {
            Ok(Created::New(version)) => {
                if let Err(error) = self.confirm(&base, sound.header.min_txid, date).await {
                    slot.forget().await;
                    return Err(error);
                }
                let done = self.take_in(slot, base, &sound, version).await;
                if done.is_err() {
                    slot.forget().await;
                }
                self.metrics.commit(sound.file.len());
                let open = slot.database.lock().await.clone();
                if let Some(database) = &open
                    && before.is_some_and(|before| before != sound.index.page_size)
                {
                    self.begin_with_snapshot(database).await;
                }
                self.committed(key, open.map_or(0, |database| database.plan_len()));
                done
            }
            Ok(Created::Exists) => {
                slot.forget().await;
                if let Some(pos) = self.held(key, slot, &sound).await? {
                    return Ok(pos);
                }
                let mut database = self.open(key, slot).await?;
                if self.resolve(key, slot, None, PATIENCE).await? {
                    database = self.known_base(key, slot).await?.into_database();
                }
                Err(Error::PosMismatch(database.map_or(Pos::EMPTY, |database| database.pos())))
            }
            Err(refusal @ (Error::PosMismatch(_) | Error::Replaced)) => {
                let refused = self.refuse(key, slot, Some(&sound), refusal).await;
                let Err(Error::Replaced) = refused else {
                    return refused;
                };
                let database = self.open(key, slot).await?;
                Err(Error::PosMismatch(database.map_or(Pos::EMPTY, |database| database.pos())))
            }
            Err(error) => {
                // It may be there all the same, or appear: only the files can tell.
                slot.forget().await;
                slot.unsettled.store(true, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Makes the file that decides a commit.
    pub(in crate::store) async fn make_file(
        &self,
        base: &Base,
        sound: &Sound,
    ) -> Result<Created, Error> {
        let (db, txid) = (base.db(), sound.header.min_txid);
        let path = self.objects.shape.named(db, 0, txid, txid);
        let staged = self.objects.stage(&sound.file).await?;
        if let Some(staged) = &staged
            && let Err(error) = base.still_follows().await
        {
            self.objects.remove(vec![staged.clone()]).await?;
            return Err(error);
        }
        let at_ms = sound.index.timestamp_ms;
        let created = self.objects.create_staged(&path, &sound.file, at_ms, staged).await;
        if base.database().is_none() && matches!(created, Ok(Created::New(_))) {
            // The cluster's folder may be as new, made and not yet synced by another commit.
            self.objects.settle(&self.objects.shape.level(db, 0)).await?;
        }
        created
    }

    /// Takes in the file that was just made.
    async fn take_in(
        &self,
        slot: &Arc<Slot>,
        base: Base,
        sound: &Sound,
        version: u64,
    ) -> Result<Pos, Error> {
        let txid = sound.header.min_txid;
        let guard = LtxFile::stored(0, (txid, txid), sound.file.len(), version);
        let db = Arc::clone(base.db());
        self.indexes.put(&db, &guard, Arc::clone(&sound.index));
        let (file, index) = if sound.index.marks.span == 0 {
            (guard, Arc::clone(&sound.index))
        } else {
            complete_span(&self.objects, &self.indexes, &db, &guard).await?
        };
        let pos = index.pos();
        let head = match base {
            Base::Database(database) => {
                let mut state = database.state.write();
                let base = state.tip.pos;
                if file.min_txid.follows(base.txid) {
                    state.files.insert(guard);
                    state.append_after(base, file, &index, &sound.checksums);
                }
                return Ok(pos);
            }
            Base::Vacant(head) => head,
        };
        let database = self.made_by(&head, slot, file).await?;
        database.state.write().files.insert(guard);
        *slot.database.lock().await = Some(database);
        Ok(pos)
    }

    /// The database that a first file makes.
    pub(in crate::store) async fn made_by(
        &self,
        head: &Head,
        slot: &Slot,
        file: LtxFile,
    ) -> Result<Arc<Database>, Error> {
        let mut files = Files::default();
        files.insert(file);
        let view = View::new(&self.objects, &self.indexes, &head.db, &[file]).await?;
        let state = State::new(files, Vec::new(), &view);
        let (objects, indexes) = (&self.objects, &self.indexes);
        Ok(Arc::new(Database::new(head, objects, indexes, state, &slot.doubt, &slot.pins)))
    }
}
