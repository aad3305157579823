//! A commit of SQLite's, made into an LTX file.

use super::announcement::Page1Says;
use super::database::Database;
use super::diff::{Diff, NewPage1};
use super::made::Made;
use super::transaction::Transaction;
use super::view::View;
use crate::error::{Error, ErrorKind, Result};
use crate::ltx::{self, page_checksum};
use crate::page1;
use crate::pager::header;
use crate::pager::{DirtyPages, max_pages_per_request};
use crate::sys;
use crate::types::{Checksum, CommitId, Pgno, Pos};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// Makes the LTX file of a commit with that page 1, which an encrypted one has not; `None` when it leaves every
/// page as it was.
pub(super) fn make(
    database: &Database,
    transaction: &Transaction,
    page1: Option<NewPage1>,
) -> Result<Option<Box<Made>>> {
    let Some(dirty) = &transaction.dirty else { return Ok(None) };
    let Some(mut page1) = page1 else {
        return make_encrypted(database, transaction, dirty);
    };
    let named = |error: Error| database.error(error.kind(), error.message());
    let header = header::decode(&page1.bytes).map_err(named)?;
    let page_size = header.page_size;
    // As SQLite counts. Of a backup of an empty database over one with larger pages it leaves a part of
    // page 1; what is past the end reads as zeros.
    let size_pages = transaction.size_bytes.div_ceil(u64::from(page_size.bytes()));
    let end = usize::try_from(transaction.size_bytes).unwrap_or(usize::MAX);
    page1.bytes.get_mut(end..).unwrap_or_default().fill(0);
    let size_pages = u32::try_from(size_pages).unwrap_or(u32::MAX);
    let commit = header.size.unwrap_or(size_pages);
    if commit == 0 || commit > size_pages {
        let text = format!(
            "page 1 says that the database has {commit} pages of {} bytes, but the file has {}; \
             roll back and begin again",
            page_size.bytes(),
            transaction.size_bytes
        );
        return Err(database.error(ErrorKind::Corrupt, &text));
    }
    let shows_wal = dirty.page(Pgno::ONE)?.is_some_and(|page1| header::is_wal(&page1));
    let diff = Diff::new(database, transaction.view, page_size, commit, dirty, page1)?;
    header::check(&diff.page1).map_err(named)?;
    finish(database, &diff, shows_wal)
}

/// The same of a database that a codec encrypts, whose page 1 says nothing.
fn make_encrypted(
    database: &Database,
    transaction: &Transaction,
    dirty: &DirtyPages,
) -> Result<Option<Box<Made>>> {
    let (base, page_size) = (transaction.view, dirty.page_size());
    let written = dirty.page(Pgno::ONE)?.map(Cow::into_owned);
    if written.as_ref().is_some_and(|page1| !page1::is_encrypted(page1)) {
        let text = "an encrypted database can't become one that is not; copy it into a new one";
        return Err(database.error(ErrorKind::Unsupported, text));
    }
    let page1 = match written {
        Some(page1) => page1,
        None => database.page1(base.pos)?,
    };
    // SQLite takes what is past the end for free.
    let commit = transaction.size_bytes.div_ceil(u64::from(page_size.bytes()));
    let commit = u32::try_from(commit).unwrap_or(u32::MAX);
    let page1 = NewPage1 { bytes: page1, only_counts: false };
    let diff = Diff::new(database, base, page_size, commit, dirty, page1)?;
    finish(database, &diff, false)
}

fn finish(database: &Database, diff: &Diff<'_>, shows_wal: bool) -> Result<Option<Box<Made>>> {
    let Packed { pos, changed, file } = pack(database, diff)?;
    let (base, commit) = (diff.base, diff.commit);
    let only_counts = |&(pgno, _): &(Pgno, Checksum)| diff.only_counts && pgno == Pgno::ONE;
    if commit == base.commit && changed.iter().all(only_counts) {
        return Ok(None);
    }
    Ok(Some(Box::new(Made {
        base: base.pos,
        pos,
        page_size: diff.page_size,
        commit,
        changed,
        removed_from: diff.removed().next(),
        page1: diff.page1.clone(),
        file,
        shows_wal,
        is_encrypted: page1::is_encrypted(&diff.page1),
    })))
}

/// What page 1 says of what SQLite announced, and itself as it will be stored if that is a commit.
///
/// A rollback puts page 1 back as it was; what else it leaves behind, free pages for one, is of no consequence.
///
/// In exclusive locking mode SQLite counts its first transaction only. Others would take their cached
/// pages for fresh, so every further one is counted here.
pub(super) fn look_at_page1(
    database: &Database,
    transaction: &Transaction,
) -> Result<(Page1Says, Option<NewPage1>)> {
    if transaction.is_encrypted()? {
        return Ok((Page1Says::Encrypted, None));
    }
    let Some(dirty) = &transaction.dirty else { return Ok((Page1Says::Unwritten, None)) };
    let written = dirty.page(Pgno::ONE)?.map(Cow::into_owned);
    if transaction.view.commit == 0 {
        let Some(bytes) = written else { return Ok((Page1Says::Missing, None)) };
        return Ok((Page1Says::CountsOn, Some(NewPage1 { bytes, only_counts: false })));
    }
    let named = |error: Error| database.error(error.kind(), error.message());
    let stored = database.page1(transaction.view.pos)?;
    let is_further = transaction.commits > 0;
    let mut bytes = match written {
        Some(written) => written,
        None if is_further => stored.clone(),
        None => return Ok((Page1Says::Same, None)),
    };
    let counter = change_counter(&stored).map_err(named)?;
    let ahead = change_counter(&bytes).map_err(named)?.wrapping_sub(counter);
    let says = if ahead == 0 { Page1Says::Same } else { Page1Says::CountsOn };
    if header::is_wal(&stored) {
        header::keep_as_wal(&mut bytes);
    }
    let only_counts = bytes == stored;
    if is_further && !(1..=u32::MAX / 2).contains(&ahead) {
        header::set_change_counter(&mut bytes, counter.wrapping_add(1));
    }
    Ok((says, Some(NewPage1 { bytes, only_counts })))
}

fn change_counter(page1: &[u8]) -> Result<u32> {
    Ok(header::decode(page1)?.change_counter)
}

/// The LTX file of a transaction, and how that differs from its base.
struct Packed {
    /// Position afterwards.
    pos: Pos,
    /// Pages, in order.
    changed: Vec<(Pgno, Checksum)>,
    file: Vec<u8>,
}

/// Compares with the base, and packs what differs. Every page is looked at once.
fn pack(database: &Database, diff: &Diff) -> Result<Packed> {
    let failed = |error: &dyn core::fmt::Display| {
        Error::new(ErrorKind::Internal, format!("encoding the transaction: {error}"))
    };
    let (base, old_commit) = (diff.base, diff.old_commit());
    let txid = base.pos.txid.next().ok_or_else(|| {
        let text = "it is at the last transaction id there can be: copy it into a new database";
        database.error(ErrorKind::Refused, text)
    })?;
    let (commit_id, base_id) = commit_ids(database, base.pos);
    let header = ltx::Header {
        commit: diff.commit,
        min_txid: txid,
        max_txid: txid,
        timestamp_ms: sys::unix_ms(),
        pre_apply_checksum: base.pos.post_apply_checksum,
        encrypted: page1::is_encrypted(&diff.page1),
        commit_id,
        base_id,
        ..ltx::Header::new(diff.page_size)
    };
    let mut old_pages = old_pages(database, diff)?.into_iter();
    let format = ltx::Format::V1Lz4;
    let mut encoder = ltx::Encoder::new(Vec::new(), format, header).map_err(|e| failed(&e))?;
    let mut checksum = if old_commit == 0 { Checksum::EMPTY } else { base.pos.post_apply_checksum };
    let mut changed = Vec::new();
    for pgno in diff.candidates() {
        let page = diff.page(pgno)?;
        let new = page_checksum(pgno, &page);
        if pgno.get() <= old_commit {
            let old = old_pages.next().filter(|old| old.pgno == pgno);
            let old = old.ok_or_else(|| failed(&"a page was left out"))?;
            if old
                .is_same
                .unwrap_or_else(|| old.checksum == new && is_cached_as(database, base, pgno, &page))
            {
                continue;
            }
            checksum = checksum.toggle(old.checksum);
        }
        checksum = checksum.toggle(new);
        encoder.encode_page(pgno, &page).map_err(|e| failed(&e))?;
        changed.push((pgno, new));
    }
    checksum = old_pages.fold(checksum, |checksum, removed| checksum.toggle(removed.checksum));
    let finished = encoder.finish(checksum).map_err(|e| failed(&e))?;
    let pos = Pos { txid, post_apply_checksum: checksum, commit_id };
    Ok(Packed { pos, changed, file: finished.out })
}

/// The id of a transaction that is made, and that of the commit it is made on, as far as the server knows such.
fn commit_ids(database: &Database, base: Pos) -> (CommitId, CommitId) {
    let is_known = base.commit_id.is_set() || database.backend().has_commit_ids();
    // Without random bytes it is the server that chooses.
    let chosen = is_known.then(sys::random_u64).flatten();
    (chosen.map_or(CommitId::NONE, CommitId), base.commit_id)
}

/// What must be known of a page of the base that is replaced or removed.
struct OldPage {
    pgno: Pgno,
    checksum: Checksum,
    /// Whether it is as before; `None` when it is in the cache, to be compared.
    is_same: Option<bool>,
}

/// The replaced pages in order, then the removed ones. What the cache does not know of them is fetched,
/// as many in a request as possible.
fn old_pages(database: &Database, diff: &Diff) -> Result<Vec<OldPage>> {
    let (base, old_commit) = (diff.base, diff.old_commit());
    let replaced = diff.candidates().take_while(|pgno| pgno.get() <= old_commit);
    // What is fetched gets its place before: sorting is 3 KB of code for each type.
    let mut old_pages = Vec::new();
    let mut unknown = Vec::new();
    let state = database.state();
    for pgno in replaced.chain(diff.removed()) {
        let checksum = state.cached_checksum(pgno, base).unwrap_or_default();
        if !checksum.is_set() {
            unknown.push(pgno);
        }
        old_pages.push(OldPage { pgno, checksum, is_same: None });
    }
    drop(state);
    for pgnos in unknown.chunks(max_pages_per_request(diff.page_size) as usize) {
        for (pgno, old) in database.fetch(base, pgnos)? {
            let is_same = pgno.get() <= diff.commit && *diff.page(pgno)? == *old;
            let checksum = page_checksum(pgno, &old);
            let at = old_pages.partition_point(|old| old.pgno < pgno);
            if let Some(place) = old_pages.get_mut(at).filter(|place| place.pgno == pgno) {
                *place = OldPage { pgno, checksum, is_same: Some(is_same) };
            }
        }
    }
    old_pages.retain(|old| old.checksum.is_set());
    Ok(old_pages)
}

/// Whether the cached page is the same, which equal checksums only make likely.
fn is_cached_as(database: &Database, base: View, pgno: Pgno, page: &[u8]) -> bool {
    let mut cached = vec![0; page.len()];
    database.state().read_cached(pgno, base, &mut cached) && cached == page
}
