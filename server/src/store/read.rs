//! Reads pages of a database at a position.

use futures_util::{StreamExt, TryStreamExt, stream};
use litevfs::ltx::{self, page_checksum};
use litevfs::types::{Checksum, PageSize, Pgno, Pos, Txid};

use super::database::Database;
use super::error::Error;
use super::index::PageRef;
use super::layout;
use crate::offload::offload;

/// How many files are read at the same time.
const PARALLEL: usize = 16;
/// How many pages' checksums are worked out at the same time.
const CHECKSUM_BATCH: usize = 256;

/// A page version and the file it is in.
#[derive(Debug, Clone, Copy)]
struct Located {
    number: usize,
    min_txid: Txid,
    max_txid: Txid,
    page: PageRef,
}

impl Database {
    /// The pages as they were at a position, in the order asked for.
    pub async fn pages(&self, pos: Pos, pgnos: &[Pgno]) -> Result<Vec<Vec<u8>>, Error> {
        let (step, _) = self.step_at(pos)?;
        self.fetch(self.locate(step, pgnos)?).await
    }

    /// Finds page versions at a step.
    fn locate(&self, step: usize, pgnos: &[Pgno]) -> Result<Vec<Located>, Error> {
        let state = self.state.read();
        let commit = state.history.step(step).map_or(0, |step| step.commit);
        let lock_pgno = self.page_size.lock_pgno();
        let locate = |&pgno: &Pgno| {
            if pgno.get() > commit || pgno == lock_pgno {
                return Err(Error::NoPage(pgno));
            }
            let located = state.index.at(pgno, step).and_then(|(number, page)| {
                let file = state.history.step(number)?;
                Some(Located { number, min_txid: file.min_txid, max_txid: file.max_txid, page })
            });
            located.ok_or_else(|| Error::corrupt(&self.key, format!("no file has page {pgno}")))
        };
        pgnos.iter().map(locate).collect()
    }

    /// Reads located pages, those of one file together, and checks them.
    async fn fetch(&self, located: Vec<Located>) -> Result<Vec<Vec<u8>>, Error> {
        let mut pages = vec![Vec::new(); located.len()];
        let mut wanted: Vec<(usize, Located)> = located.into_iter().enumerate().collect();
        wanted.sort_unstable_by_key(|(_, located)| (located.number, located.page.offset));
        let groups: Vec<Vec<(usize, Located)>> = wanted
            .chunk_by(|(_, a), (_, b)| a.number == b.number)
            .map(<[(usize, Located)]>::to_vec)
            .collect();
        let mut fetched = stream::iter(groups)
            .map(|group| self.fetch_from_file(group))
            .buffer_unordered(PARALLEL);
        while let Some(group) = fetched.try_next().await? {
            for (place, data) in group {
                if let Some(page) = pages.get_mut(place) {
                    *page = data;
                }
            }
        }
        Ok(pages)
    }

    async fn fetch_from_file(
        &self,
        group: Vec<(usize, Located)>,
    ) -> Result<Vec<(usize, Vec<u8>)>, Error> {
        let Some(&(_, Located { min_txid, max_txid, .. })) = group.first() else {
            return Ok(Vec::new());
        };
        let path = layout::ltx_file(&self.key, min_txid, max_txid);
        let ranges: Vec<_> = group
            .iter()
            .map(|(_, Located { page, .. })| {
                page.offset..page.offset.saturating_add(u64::from(page.len))
            })
            .collect();
        let frames = self.objects.read(&path, &ranges).await?;
        let page_size = self.page_size;
        let len_bytes = page_size.len_bytes().saturating_mul(group.len());
        let decode = move || {
            let pages = group.iter().zip(&frames).map(|((place, located), frame)| {
                let data = decode_page(frame, page_size, &located.page)?;
                Ok((*place, data))
            });
            pages.collect::<Result<Vec<_>, String>>()
        };
        offload(len_bytes, decode).await?.map_err(|what| Error::corrupt(&path, what))
    }

    /// The checksums of pages at a step, in the order asked for.
    ///
    /// Pages whose checksum is not known yet are read for it, and it is remembered.
    pub(super) async fn checksums(
        &self,
        step: usize,
        pgnos: &[Pgno],
    ) -> Result<Vec<Checksum>, Error> {
        let mut checksums = Vec::with_capacity(pgnos.len());
        for batch in pgnos.chunks(CHECKSUM_BATCH) {
            let located = self.locate(step, batch)?;
            let is_unknown = |located: &&Located| !located.page.checksum.is_set();
            let unknown = located.iter().filter(is_unknown).copied().collect();
            let mut worked_out = self.work_out_checksums(unknown).await?.into_iter();
            checksums.extend(located.iter().filter_map(|located| {
                let known = Some(located.page.checksum).filter(|checksum| checksum.is_set());
                known.or_else(|| worked_out.next())
            }));
        }
        Ok(checksums)
    }

    async fn work_out_checksums(&self, located: Vec<Located>) -> Result<Vec<Checksum>, Error> {
        let pages = self.fetch(located.clone()).await?;
        let len_bytes = self.page_size.len_bytes().saturating_mul(pages.len());
        let pgnos: Vec<Pgno> = located.iter().map(|located| located.page.pgno).collect();
        let work_out = move || -> Vec<Checksum> {
            pgnos.iter().zip(&pages).map(|(&pgno, data)| page_checksum(pgno, data)).collect()
        };
        let checksums = offload(len_bytes, work_out).await?;
        let mut state = self.state.write();
        for (located, &checksum) in located.iter().zip(&checksums) {
            state.index.remember(located.number, located.page.pgno, checksum);
        }
        Ok(checksums)
    }
}

/// Decodes a page frame and makes sure that it holds the page it should.
fn decode_page(frame: &[u8], page_size: PageSize, page: &PageRef) -> Result<Vec<u8>, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("page {}: {what}", page.pgno);
    let (pgno, data) = ltx::decode_page_frame(frame, page_size).map_err(|error| wrong(&error))?;
    if pgno != page.pgno || data.len() != page_size.len_bytes() {
        return Err(wrong(&"another page is in its place"));
    }
    if page.checksum.is_set() && page.checksum != page_checksum(pgno, &data) {
        return Err(wrong(&"its checksum is wrong"));
    }
    Ok(data)
}
