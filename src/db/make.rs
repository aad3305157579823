//! What SQLite announced, made into an LTX file.

use super::change::Change;
use super::connection::Transaction;
use super::database::{Database, View};
use crate::error::{Error, ErrorKind, Result};
use crate::ltx::{self, page_checksum};
use crate::pager::header::{self, Header};
use crate::pager::{DirtyPages, max_pages_per_request};
use crate::sys;
use crate::types::{Checksum, PageSize, Pgno, Pos};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// A transaction as it will be pushed.
pub struct Made {
    /// Position it is based on.
    pub base: Pos,
    /// Position after it.
    pub pos: Pos,
    /// The database's page size.
    pub page_size: PageSize,
    /// Size of the database afterwards.
    pub commit: u32,
    /// The pages that differ.
    pub changed: Vec<Pgno>,
    /// Page 1 as it will be stored.
    pub page1: Vec<u8>,
    /// The LTX file.
    pub file: Vec<u8>,
    /// Whether SQLite wrote a page 1 that says WAL.
    pub shows_wal: bool,
}

/// What SQLite announced.
pub(super) enum Announced<'a> {
    Made(Box<(Made, Change<'a>)>),
    /// Nothing differs from what is committed.
    Unchanged,
    RolledBack,
}

/// Makes the LTX file.
pub(super) fn make<'a>(
    database: &'a Database,
    transaction: &'a Transaction,
) -> Result<Announced<'a>> {
    let base = transaction.view;
    let Some(dirty) = &transaction.dirty else {
        return Ok(Announced::Unchanged);
    };
    let Some(page1) = page1_to_store(database, transaction, dirty)? else {
        return Ok(Announced::RolledBack);
    };
    let header = Header::decode(&page1)?;
    let page_size = header.page_size;
    let size_pages = transaction.size_bytes.checked_div(u64::from(page_size.bytes())).unwrap_or(0);
    let size_pages = u32::try_from(size_pages).unwrap_or(u32::MAX);
    let commit = header.commit.unwrap_or(size_pages);
    if commit == 0 || commit > size_pages {
        let text = format!(
            "page 1 says that the database has {commit} pages of {} bytes, but the file has {}; \
             roll back and begin again",
            page_size.bytes(),
            transaction.size_bytes
        );
        return Err(database.error(ErrorKind::Corrupt, &text));
    }
    let shows_wal = dirty.read(Pgno::ONE)?.is_some_and(|page1| header::is_wal(&page1));
    let mut change = Change::new(database, base, header.page_size, commit, dirty, page1)?;
    let mut diff = diff(database, &change)?;
    if diff.changed.is_empty() && commit == base.commit {
        return Ok(Announced::Unchanged);
    }
    if transaction.commits > 0 {
        count_up(database, &mut change, &mut diff)?;
    }
    let pos = Pos { txid: base.pos.txid.next(), post_apply_checksum: diff.checksum };
    let file = encode(&change, &diff.changed, pos)?;
    let page1 = change.page1.clone();
    let changed = diff.changed;
    let made = Made { base: base.pos, pos, page_size, commit, changed, page1, file, shows_wal };
    Ok(Announced::Made(Box::new((made, change))))
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
    let (base, old_commit) = (change.base, change.old_commit());
    let mut sum = if old_commit == 0 { Checksum::EMPTY } else { base.pos.post_apply_checksum };
    let mut changed = Vec::new();
    let mut unknown = Vec::new();
    for pgno in change.candidates() {
        let page = change.page(pgno)?;
        let new = page_checksum(pgno, &page);
        if pgno.get() > old_commit {
            sum = sum.toggle(new);
            changed.push(pgno);
            continue;
        }
        let old = database.state().cached_checksum(pgno, base);
        match old {
            Some(old) if old == new && is_cached_as(database, base, pgno, &page) => {}
            Some(old) => {
                sum = sum.toggle(old).toggle(new);
                changed.push(pgno);
            }
            None => unknown.push(pgno),
        }
    }
    let removed = change.commit.saturating_add(1)..=old_commit;
    for pgno in removed.filter_map(Pgno::new).filter(|&p| p != change.page_size.lock_pgno()) {
        let old = database.state().cached_checksum(pgno, base);
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
    database.state().read_cached(pgno, base, &mut cached) && cached == page
}

fn encode(change: &Change, changed: &[Pgno], pos: Pos) -> Result<Vec<u8>> {
    let failed = |error: &dyn core::fmt::Display| {
        Error::new(ErrorKind::Internal, format!("encoding the transaction: {error}"))
    };
    let header = ltx::Header {
        commit: change.commit,
        min_txid: pos.txid,
        max_txid: pos.txid,
        timestamp_ms: sys::unix_ms(),
        pre_apply_checksum: change.base.pos.post_apply_checksum,
        ..ltx::Header::new(change.page_size)
    };
    let format = ltx::Format::V1Lz4;
    let mut encoder = ltx::Encoder::new(Vec::new(), format, header).map_err(|e| failed(&e))?;
    for &pgno in changed {
        encoder.encode_page(pgno, &change.page(pgno)?).map_err(|e| failed(&e))?;
    }
    let finished = encoder.finish(pos.post_apply_checksum).map_err(|e| failed(&e))?;
    Ok(finished.out)
}
