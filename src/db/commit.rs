//! The open transaction becomes an LTX file at the server.
//!
//! Nothing is visible to anybody before the server has acknowledged it; then the position moves and
//! the pages enter the cache. An error leaves everything as it was, and SQLite rolls back.

use super::connection::{Connection, Phase, Transaction};
use super::database::{Database, View};
use crate::backend::{ChangedPages, PushError};
use crate::error::{Error, ErrorKind, Result};
use crate::ltx::{self, page_checksum};
use crate::pager::header::{self, Header};
use crate::pager::{DirtyPages, max_pages_per_request};
use crate::sys::{self, log::log};
use crate::types::{Checksum, PageSize, Pgno, Pos};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// How often a transaction is pushed before COMMIT fails.
const MAX_PUSHES: u32 = 3;
/// Pause between two pushes of a transaction.
const PUSH_PAUSE_MS: u64 = 200;

/// What is to be pushed.
struct Change<'a> {
    base: View,
    page_size: PageSize,
    /// Size of the database afterwards.
    commit: u32,
    /// Page 1 as it will be stored.
    page1: Vec<u8>,
    dirty: &'a DirtyPages,
}

impl Change<'_> {
    /// A page as it will be stored. Pages that SQLite left out of a growing file are zeros.
    fn page(&self, pgno: Pgno) -> Result<Vec<u8>> {
        if pgno == Pgno::ONE {
            return Ok(self.page1.clone());
        }
        Ok(self.dirty.read(pgno)?.unwrap_or_else(|| vec![0; self.page_size.len_bytes()]))
    }

    /// The pages that may differ from the base: dirty ones, and all that are new.
    fn candidates(&self) -> impl Iterator<Item = Pgno> + '_ {
        let last_old = self.base.commit.min(self.commit);
        let old = self.dirty.pgnos().filter(move |pgno| pgno.get() <= last_old);
        let new = (self.base.commit.saturating_add(1)..=self.commit).filter_map(Pgno::new);
        let lock_pgno = self.page_size.lock_pgno();
        old.chain(new).filter(move |&pgno| pgno != lock_pgno)
    }
}

impl Connection {
    /// Commits the open transaction. An error means that it is not committed, unless the text says
    /// that this is not known.
    pub fn commit(&mut self) -> Result<()> {
        let Phase::Writing(transaction) = &mut self.phase else {
            return Ok(());
        };
        transaction.rolled_back = false;
        if transaction.is_clean() {
            return Ok(());
        }
        match commit(&self.database, self.id, transaction)? {
            Outcome::Committed(view) => {
                transaction.view = view;
                transaction.commits = transaction.commits.saturating_add(1);
                self.seen = Some(view.pos);
                log!(Debug, "{}: committed {}", self.database.name(), view.pos);
            }
            Outcome::Unchanged => {}
            // Where SQLite keeps its locks, an empty commit may follow that nothing announces.
            Outcome::RolledBack => transaction.rolled_back = !self.keeps_locks,
        }
        transaction.discard();
        self.start_query();
        Ok(())
    }

    /// SQLite says that what it announced last was a commit, and finished. A rollback is not followed
    /// by this; had one been recognised where there was none, a commit would be lost in silence.
    pub fn confirm_commit(&mut self) -> Result<()> {
        let Phase::Writing(transaction) = &mut self.phase else {
            return Ok(());
        };
        if core::mem::take(&mut transaction.rolled_back) {
            let text = "a commit was taken for a rollback; its changes are not saved";
            return Err(self.database.error(ErrorKind::Internal, text));
        }
        Ok(())
    }
}

/// What became of what SQLite announced.
enum Outcome {
    Committed(View),
    /// Nothing differs from what is committed.
    Unchanged,
    RolledBack,
}

fn commit(database: &Arc<Database>, connection: u64, transaction: &Transaction) -> Result<Outcome> {
    let base = transaction.view;
    let Some(dirty) = &transaction.dirty else {
        return Ok(Outcome::Unchanged);
    };
    let Some(page1) = page1_to_store(database, transaction, dirty)? else {
        return Ok(Outcome::RolledBack);
    };
    let commit = Header::decode(&page1)?.commit.unwrap_or(transaction.size_pages);
    let page_size = dirty.page_size();
    let mut change = Change { base, page_size, commit, page1, dirty };
    let mut diff = diff(database, &change)?;
    if diff.changed.is_empty() && commit == base.commit {
        return Ok(Outcome::Unchanged);
    }
    if transaction.commits > 0 {
        count_up(database, &mut change, &mut diff)?;
    }
    let pos = Pos { txid: base.pos.txid.next(), post_apply_checksum: diff.checksum };
    let file = encode(&change, &diff.changed, pos)?;
    push(database, connection, base.pos, pos, &file)?;
    publish(database, &change, &diff.changed, pos);
    Ok(Outcome::Committed(View { pos, page_size: Some(page_size), commit }))
}

/// Page 1 as it will be stored; `None` when this is no commit but the end of a rollback.
///
/// SQLite announces both in the same way. A commit counts up on page 1, unless one under the same
/// lock has done so already. A rollback puts page 1 back as it was; what else it leaves behind, free
/// pages for one, is of no consequence.
fn page1_to_store(
    database: &Database,
    transaction: &Transaction,
    dirty: &DirtyPages,
) -> Result<Option<Vec<u8>>> {
    let written = dirty.read(Pgno::ONE)?;
    if transaction.view.commit == 0 {
        return Ok(written);
    }
    let stored = database.page1(transaction.view.pos)?;
    let Some(mut page1) = written else {
        return Ok((transaction.commits > 0).then_some(stored));
    };
    let counts_up = change_counter(&page1)? != change_counter(&stored)?;
    if transaction.commits == 0 && !counts_up {
        return Ok(None);
    }
    if header::is_wal(&stored) {
        header::keep_as_wal(&mut page1);
    }
    Ok(Some(page1))
}

fn change_counter(page1: &[u8]) -> Result<u32> {
    Ok(Header::decode(page1)?.change_counter)
}

/// In exclusive locking mode SQLite counts its first transaction only. Others would take their cached
/// pages for fresh, so every further one is counted here.
fn count_up(database: &Database, change: &mut Change, diff: &mut Diff) -> Result<()> {
    let stored = database.page1(change.base.pos)?;
    let counter = change_counter(&stored)?;
    let ahead = change_counter(&change.page1)?.wrapping_sub(counter);
    if (1..=u32::MAX / 2).contains(&ahead) {
        return Ok(());
    }
    // Toggling takes page 1 out of the checksum as it is there now.
    diff.checksum = diff.checksum.toggle(match diff.changed.first() {
        Some(&Pgno::ONE) => page_checksum(Pgno::ONE, &change.page1),
        _ => {
            diff.changed.insert(0, Pgno::ONE);
            page_checksum(Pgno::ONE, &stored)
        }
    });
    header::set_change_counter(&mut change.page1, counter.wrapping_add(1));
    diff.checksum = diff.checksum.toggle(page_checksum(Pgno::ONE, &change.page1));
    Ok(())
}

/// How a transaction differs from its base.
struct Diff {
    /// Pages, in order.
    changed: Vec<Pgno>,
    /// Database checksum afterwards.
    checksum: Checksum,
}

/// Compares with the base. What must be known of pages that are not cached is fetched, as many in a
/// request as possible.
fn diff(database: &Database, change: &Change) -> Result<Diff> {
    let base = change.base;
    let mut sum = if base.commit == 0 { Checksum::EMPTY } else { base.pos.post_apply_checksum };
    let mut changed = Vec::new();
    let mut unknown = Vec::new();
    for pgno in change.candidates() {
        let page = change.page(pgno)?;
        let new = page_checksum(pgno, &page);
        if pgno.get() > base.commit {
            sum = sum.toggle(new);
            changed.push(pgno);
            continue;
        }
        let old = database.state().cache.checksum(pgno, base.pos.txid);
        match old {
            Some(old) if old == new && is_cached_as(database, base, pgno, &page) => {}
            Some(old) => {
                sum = sum.toggle(old).toggle(new);
                changed.push(pgno);
            }
            None => unknown.push(pgno),
        }
    }
    let removed = change.commit.saturating_add(1)..=base.commit;
    for pgno in removed.filter_map(Pgno::new).filter(|&p| p != change.page_size.lock_pgno()) {
        let old = database.state().cache.checksum(pgno, base.pos.txid);
        match old {
            Some(old) => sum = sum.toggle(old),
            None => unknown.push(pgno),
        }
    }
    for pgnos in unknown.chunks(max_pages_per_request(change.page_size) as usize) {
        for (pgno, old_page) in database.fetch(base, pgnos)? {
            let old = page_checksum(pgno, &old_page);
            if pgno.get() > change.commit {
                sum = sum.toggle(old);
                continue;
            }
            let page = change.page(pgno)?;
            if page != old_page {
                sum = sum.toggle(old).toggle(page_checksum(pgno, &page));
                changed.push(pgno);
            }
        }
    }
    changed.sort_unstable();
    Ok(Diff { changed, checksum: sum })
}

/// Whether the cached page is the same, which equal checksums only make likely.
fn is_cached_as(database: &Database, base: View, pgno: Pgno, page: &[u8]) -> bool {
    let mut cached = vec![0; page.len()];
    database.state().cache.read(pgno, base.pos.txid, &mut cached) && cached == page
}

fn encode(change: &Change, changed: &[Pgno], pos: Pos) -> Result<Vec<u8>> {
    let failed = |error: &dyn core::fmt::Display| {
        Error::new(ErrorKind::Internal, format!("encoding the transaction: {error}"))
    };
    let header = ltx::Header {
        page_size: change.page_size,
        commit: change.commit,
        min_txid: pos.txid,
        max_txid: pos.txid,
        timestamp_ms: sys::unix_ms(),
        pre_apply_checksum: change.base.pos.post_apply_checksum,
        wal_offset: 0,
        wal_size: 0,
        wal_salt: [0; 2],
        node_id: 0,
        no_checksum: false,
    };
    let format = ltx::Format::V1Lz4;
    let mut encoder = ltx::Encoder::new(Vec::new(), format, header).map_err(|e| failed(&e))?;
    for &pgno in changed {
        encoder.encode_page(pgno, &change.page(pgno)?).map_err(|e| failed(&e))?;
    }
    let finished = encoder.finish(pos.post_apply_checksum).map_err(|e| failed(&e))?;
    Ok(finished.out)
}

/// Pushes until the server has acknowledged, or it is clear that it will not. An answer that is lost
/// leaves a question that the server's position answers.
fn push(database: &Arc<Database>, connection: u64, base: Pos, pos: Pos, file: &[u8]) -> Result<()> {
    let mut pushes_left = MAX_PUSHES;
    loop {
        pushes_left = pushes_left.saturating_sub(1);
        let lease_id = database.live_lease(connection)?;
        let newest = database.state().cache.pos();
        if newest != base && newest != pos {
            let text = "another client has written while the lease was lost; \
                        run the transaction again";
            return Err(database.error(ErrorKind::PosMismatch, text));
        }
        let error = match database.backend().push(database.name(), file, &lease_id) {
            Ok(()) => return Ok(()),
            Err(PushError::Failed(error)) => {
                database.state().distrusted = true;
                return Err(database.error(error.kind(), &format!("{error}")));
            }
            Err(PushError::Lease(error)) => {
                database.lose_lease();
                error
            }
            Err(PushError::PosMismatch(error) | PushError::Unknown(error)) => {
                match server_pos(database, base) {
                    Ok(now) if now == pos => return Ok(()),
                    Ok(now) if now == base => error,
                    Ok(_) => {
                        database.state().distrusted = true;
                        let text = format!("{error}; another client has written");
                        return Err(database.error(ErrorKind::PosMismatch, &text));
                    }
                    Err(_) => {
                        // A new lease fences off the push that may still be on its way.
                        database.abandon_lease();
                        database.state().distrusted = true;
                        let text = format!(
                            "{error}; whether the transaction was applied is not known before the \
                             server answers again: look before you repeat it"
                        );
                        return Err(database.error(ErrorKind::Away, &text));
                    }
                }
            }
        };
        if pushes_left == 0 {
            return Err(database.error(error.kind(), &format!("{error}")));
        }
        log!(Info, "{}: pushing again: {error}", database.name());
        sys::sleep_ms(PUSH_PAUSE_MS);
    }
}

/// Where the server is now.
fn server_pos(database: &Database, base: Pos) -> Result<Pos> {
    let changes = database.backend().changes(&[(database.name().clone(), base)])?;
    let change = changes
        .into_iter()
        .next()
        .ok_or_else(|| database.bad_answer("the answer has no position"))?;
    debug_assert!(change.pos != base || change.pages != ChangedPages::All || base.is_empty());
    Ok(change.pos)
}

/// The acknowledged transaction becomes what this process reads.
fn publish(database: &Database, change: &Change, changed: &[Pgno], pos: Pos) {
    let mut state = database.state();
    // A poll on another connection may have seen the transaction already, or even a later one.
    let newest = state.cache.pos();
    if newest != change.base.pos && newest != pos {
        return;
    }
    state.cache.set_page_size(change.page_size);
    state.cache.apply(pos, change.commit, changed, |pgno| change.page(pgno).ok());
    state.cache.flush();
}
