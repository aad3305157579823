//! The commit rules, of which each looks at the database and at what is to follow, in the protocol's order.

use litevfs::ltx::{Header, page_checksum};
use litevfs::types::{Checksum, Pgno, Pos};

use super::convert::Sound;
use crate::offload::offload;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::page1;
use crate::store::history::database::Database;

/// How many pages' checksums are worked out at the same time.
const CHECKSUM_BATCH: usize = 256;

/// Whether a file may be the next: it has the database's page size, or every page, and follows the last
/// transaction.
pub(in crate::store) fn check_next(
    database: Option<&Database>,
    header: &Header,
    is_whole: bool,
) -> Result<(), Error> {
    let tip = database.map(|database| database.state.read().tip);
    let pos = tip.map_or(Pos::EMPTY, |tip| tip.pos);
    if let Some(tip) = tip
        && header.page_size != tip.page_size
        && !is_whole
    {
        return Err(Error::PageSize { database: tip.page_size, file: header.page_size });
    }
    let follows = header.min_txid.follows(pos.txid)
        && header.pre_apply_checksum == pos.post_apply_checksum
        && header.base_id.agrees(pos.commit_id);
    if follows { Ok(()) } else { Err(Error::PosMismatch(pos)) }
}

/// The commit rules after page size and position: page set and checksum.
pub(in crate::store) async fn check(
    database: Option<&Database>,
    sound: &Sound,
) -> Result<(), Error> {
    let index = &sound.index;
    let tip = database.map(|database| database.state.read().tip);
    // Nothing stays of pages of another size.
    let kept = tip.filter(|tip| tip.page_size == index.page_size);
    let old_commit = kept.map_or(0, |tip| tip.commit);
    let lock_pgno = index.page_size.lock_pgno();
    if !grows_completely(old_commit, index.commit, lock_pgno, index) {
        return Err(Error::MissingPages);
    }
    let replaced = index.pgnos().take_while(|pgno| pgno.get() <= old_commit);
    let truncated = (index.commit.saturating_add(1)..=old_commit)
        .filter_map(Pgno::new)
        .filter(|&pgno| pgno != lock_pgno);
    let gone: Vec<Pgno> = replaced.chain(truncated).collect();
    let before = match database {
        Some(database) => database.checksums(&gone).await?,
        None => Vec::new(),
    };
    let start = kept.map_or(Checksum::EMPTY, |tip| tip.pos.post_apply_checksum);
    let after = sound.checksums.iter().copied();
    let checksum = before.into_iter().chain(after).fold(start, Checksum::toggle);
    if checksum == index.post_apply_checksum() {
        return check_kind(database, sound).await;
    }
    let claimed = index.post_apply_checksum();
    Err(Error::BadChecksum(format!(
        "the post-apply checksum is {claimed}, but the pages give {checksum}"
    )))
}

/// Checks that the database stays what it is.
pub(in crate::store) async fn check_kind(
    database: Option<&Database>,
    sound: &Sound,
) -> Result<(), Error> {
    let (Some(database), Some(after)) = (database, sound.encrypted) else {
        return Ok(());
    };
    let before = database.is_encrypted().await?;
    page1::change_of_kind(before, after).map_or(Ok(()), |text| Err(Error::BadPage1(text)))
}

/// Whether a file has every page that a database grows by, and none past its end.
pub(in crate::store) fn grows_completely(
    old_commit: u32,
    new_commit: u32,
    lock_pgno: Pgno,
    index: &FileIndex,
) -> bool {
    let grown = new_commit.saturating_sub(old_commit);
    let with_lock = (old_commit..new_commit).contains(&lock_pgno.get().saturating_sub(1));
    let expected = grown.saturating_sub(u32::from(with_lock)) as usize;
    let mut new = index.pgnos().skip_while(|pgno| pgno.get() <= old_commit);
    let in_place = |pgno: Pgno| pgno.get() <= new_commit && pgno != lock_pgno;
    let count = index.pgnos().filter(|pgno| pgno.get() > old_commit).count();
    count == expected && new.all(in_place)
}

impl Database {
    /// Whether an upload is in the history: see [`Sound::is_file`].
    pub(in crate::store) async fn holds(&self, sound: &Sound) -> Result<bool, Error> {
        let Some(file) = self.state.read().files.committed(sound.header.min_txid).copied() else {
            return Ok(false);
        };
        match self.index(&file).await {
            // Merged and removed meanwhile: too late to tell.
            Err(Error::Gone(_)) => Ok(false),
            held => sound.is_file(&self.objects, &self.db, file, &held?).await,
        }
    }

    /// The checksums of current pages, in the order asked for.
    ///
    /// Pages whose checksum is not known are read for it, and it is remembered.
    pub(in crate::store) async fn checksums(&self, pgnos: &[Pgno]) -> Result<Vec<Checksum>, Error> {
        let mut checksums: Vec<Option<Checksum>> = {
            let state = self.state.read();
            pgnos.iter().map(|&pgno| state.checksum(pgno)).collect()
        };
        let unknown = pgnos.iter().zip(&checksums).filter(|(_, known)| known.is_none());
        let unknown: Vec<Pgno> = unknown.map(|(&pgno, _)| pgno).collect();
        let mut worked_out = Vec::with_capacity(unknown.len());
        if !unknown.is_empty() {
            let view = self.view(None).await?;
            for batch in unknown.chunks(CHECKSUM_BATCH) {
                let pages = self.pages_of(&view, batch).await?;
                if let (Some(&Pgno::ONE), Some(page1)) = (batch.first(), pages.first()) {
                    self.note_page1(page1);
                }
                let len_bytes = view.page_size.len_bytes().saturating_mul(pages.len());
                let pgnos = batch.to_vec();
                let work = move || -> Vec<Checksum> {
                    pgnos
                        .iter()
                        .zip(&pages)
                        .map(|(&pgno, page)| page_checksum(pgno, page))
                        .collect()
                };
                worked_out.extend(offload(len_bytes, work).await?);
            }
        }
        let unfilled = checksums.iter_mut().filter(|known| known.is_none());
        unfilled.zip(worked_out).for_each(|(place, checksum)| *place = Some(checksum));
        let checksums: Option<Vec<_>> = checksums.into_iter().collect();
        checksums.ok_or_else(|| Error::corrupt(&self.db, "a page could not be read"))
    }
}
