//! A database at one position: the files that make it up, and where each page is in them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use litevfs::ltx;
use litevfs::types::{PageSize, Pgno, Pos, Txid};

use super::indexes::Indexes;
use crate::offload::offload;
use crate::page_list::PageList;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::objects::reads::Objects;

/// How many files are read at the same time.
pub(in crate::store) const PARALLEL_FILES: usize = 16;
/// How often pages are read that do not hold together.
const TRIES: u32 = 3;

/// A database at a position. Stays right whatever is committed after it; its files may be removed when
/// they were kept for long enough, and reading fails with [`Error::Gone`] then.
#[derive(Debug, Clone)]
pub struct View {
    /// Its position.
    pub pos: Pos,
    /// Pages of the database.
    pub commit: u32,
    /// Bytes of a page.
    pub page_size: PageSize,
    /// When the last transaction was committed, in ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// Oldest first.
    layers: Vec<Layer>,
}

/// One file of a view.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The file.
    pub file: LtxFile,
    /// What it has.
    pub index: Arc<FileIndex>,
}

/// Where a version of a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// The page.
    pub pgno: Pgno,
    /// Which file of the view.
    layer: usize,
    /// Which page of the file.
    place: usize,
}

impl View {
    /// Looks into the files of a plan, which must not be empty, and makes sure that each follows the
    /// one before.
    pub async fn new(
        objects: &Objects,
        indexes: &Indexes,
        db: &Arc<Incarnation>,
        plan: &[LtxFile],
    ) -> Result<View, Error> {
        let mut layers = Layer::open_all(objects, indexes, db, plan).await?;
        let first_txid = layers.first().map_or(Txid::ZERO, |first| first.file.min_txid);
        if first_txid != Txid(1) {
            return Err(Error::corrupt(db, "its first transactions are missing"));
        }
        // What changed the page size has every page: nothing before it is wanted.
        let stretches = layers.chunk_by(|a, b| a.index.page_size == b.index.page_size);
        let last = stretches.last().map_or(0, <[Layer]>::len);
        layers.drain(..layers.len().saturating_sub(last));
        View::of_layers(layers)
    }

    /// The file that it begins with, if that is one that changed the page size, and no snapshot.
    pub fn reshaped_by(&self) -> Option<LtxFile> {
        let first = self.layers.first().map(|layer| layer.file);
        first.filter(|file| file.min_txid != Txid(1))
    }

    /// The pages of one file, as if it were a database.
    pub fn of_file(file: LtxFile, index: Arc<FileIndex>) -> View {
        View {
            pos: index.pos(),
            commit: index.commit,
            page_size: index.page_size,
            timestamp_ms: file.commit_time(index.timestamp_ms),
            layers: vec![Layer { file, index }],
        }
    }

    /// The pages of a run of files, as if they were a database: what they add up to when merged. The run
    /// ends before the first file that changes the page size.
    pub async fn of_run(
        objects: &Objects,
        indexes: &Indexes,
        db: &Arc<Incarnation>,
        run: &[LtxFile],
    ) -> Result<View, Error> {
        let mut layers = Layer::open_all(objects, indexes, db, run).await?;
        let mut stretches = layers.chunk_by(|a, b| a.index.page_size == b.index.page_size);
        layers.truncate(stretches.next().map_or(0, <[Layer]>::len));
        View::of_layers(layers)
    }

    fn of_layers(layers: Vec<Layer>) -> Result<View, Error> {
        let Layer { file, index } = layers.last().ok_or(Error::NoDatabase)?.clone();
        Ok(View { layers, ..View::of_file(file, index) })
    }

    /// Its files, oldest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// All its pages but the lock page, ascending, from a page on.
    pub fn pgnos_from(&self, first: u32) -> impl Iterator<Item = Pgno> + use<> {
        let lock_pgno = self.page_size.lock_pgno();
        (first.max(1)..=self.commit).filter_map(Pgno::new).filter(move |&pgno| pgno != lock_pgno)
    }

    /// Whether it has a page.
    pub fn has(&self, pgno: Pgno) -> bool {
        pgno.get() <= self.commit && pgno != self.page_size.lock_pgno()
    }

    /// The pages of a list, which must all be there, but for the lock page in a range.
    pub fn listed(
        &self,
        list: PageList,
    ) -> Result<impl Iterator<Item = Pgno> + Send + use<>, Error> {
        let lock_pgno = self.page_size.lock_pgno();
        match list.missing(self.commit, lock_pgno) {
            Some(pgno) => Err(Error::NoPage(pgno)),
            None => Ok(list.pgnos(lock_pgno)),
        }
    }

    /// Finds pages.
    pub fn locate(&self, db: &Incarnation, pgnos: &[Pgno]) -> Result<Vec<Located>, Error> {
        pgnos.iter().map(|&pgno| self.locate_one(db, pgno)).collect()
    }

    fn locate_one(&self, db: &Incarnation, pgno: Pgno) -> Result<Located, Error> {
        if !self.has(pgno) {
            return Err(Error::NoPage(pgno));
        }
        // The newest version counts. One from before the database shrank past the page is never
        // found: whatever let it grow again has the page anew.
        let newest = self.layers.iter().enumerate().rev().find_map(|(layer, found)| {
            let place = found.index.find(pgno)?;
            Some(Located { pgno, layer, place })
        });
        newest.ok_or_else(|| Error::corrupt(db, format!("no file has page {pgno}")))
    }

    /// Which of its files has the frame of a page, and where in it.
    pub fn frame(&self, db: &Incarnation, pgno: Pgno) -> Result<(usize, Range<u64>), Error> {
        let Located { layer, place, .. } = self.locate_one(db, pgno)?;
        let range = self.layers.get(layer).and_then(|found| found.index.range(place));
        let range = range.ok_or_else(|| Error::corrupt(db, "a page index ends early"))?;
        Ok((layer, range))
    }

    /// The file that has a located page.
    pub fn file_of(&self, located: &Located) -> Option<(&LtxFile, usize)> {
        self.layers.get(located.layer).map(|layer| (&layer.file, located.place))
    }

    /// Reads pages, in the order asked for.
    pub async fn pages(
        &self,
        objects: &Objects,
        db: &Incarnation,
        pgnos: &[Pgno],
    ) -> Result<Vec<Vec<u8>>, Error> {
        let mut groups: BTreeMap<usize, Vec<(usize, Located)>> = BTreeMap::new();
        for (place, located) in self.locate(db, pgnos)?.into_iter().enumerate() {
            groups.entry(located.layer).or_default().push((place, located));
        }
        let groups = groups.into_iter().filter_map(|(layer, mut group)| {
            group.sort_unstable_by_key(|(_, located)| located.place);
            Some((self.layers.get(layer)?, group))
        });
        let mut pages = vec![Vec::new(); pgnos.len()];
        let fetches = groups.map(|(layer, group)| layer.pages(objects, db, group).boxed());
        let mut fetched =
            stream::iter(fetches.collect::<Vec<_>>()).buffer_unordered(PARALLEL_FILES);
        while let Some(group) = fetched.try_next().await? {
            for (place, data) in group {
                if let Some(page) = pages.get_mut(place) {
                    *page = data;
                }
            }
        }
        Ok(pages)
    }
}

fn check_order(
    objects: &Objects,
    db: &Incarnation,
    before: &Layer,
    after: &Layer,
) -> Result<(), Error> {
    let path = objects.shape.file(db, &after.file);
    if before.index.page_size != after.index.page_size && !after.index.is_whole() {
        return Err(Error::corrupt(path, "its page size is not that of the file before"));
    }
    let adjacent = after.file.min_txid.follows(before.file.max_txid);
    if adjacent && !after.index.marks.follows(before.index.post_apply_checksum()) {
        return Err(Error::corrupt(path, "it does not follow the file before"));
    }
    Ok(())
}

impl Layer {
    /// Looks into files, and makes sure that each follows the one before.
    async fn open_all(
        objects: &Objects,
        indexes: &Indexes,
        db: &Arc<Incarnation>,
        files: &[LtxFile],
    ) -> Result<Vec<Layer>, Error> {
        let opened = files.iter().map(|&file| Layer::open(objects, indexes, db, file).boxed());
        let opened = stream::iter(opened.collect::<Vec<_>>()).buffered(PARALLEL_FILES);
        let layers: Vec<Layer> = opened.try_collect().await?;
        for pair in layers.windows(2) {
            if let [before, after] = pair {
                check_order(objects, db, before, after)?;
            }
        }
        Ok(layers)
    }

    async fn open(
        objects: &Objects,
        indexes: &Indexes,
        db: &Arc<Incarnation>,
        file: LtxFile,
    ) -> Result<Layer, Error> {
        Ok(Layer { file, index: indexes.get(objects, db, &file).await? })
    }

    /// Reads pages of this file, ascending, and checks them; each with the number it came with.
    async fn pages(
        &self,
        objects: &Objects,
        db: &Incarnation,
        group: Vec<(usize, Located)>,
    ) -> Result<Vec<(usize, Vec<u8>)>, Error> {
        let path = objects.shape.file(db, &self.file);
        let ranges = group.iter().map(|(_, located)| self.index.range(located.place));
        let ranges: Option<Vec<_>> = ranges.collect();
        let ranges = ranges.ok_or_else(|| Error::corrupt(&path, "its page index ends early"))?;
        let group = Arc::new(group);
        let page_size = self.index.page_size;
        let len_bytes = page_size.len_bytes().saturating_mul(group.len());
        let mut tries = TRIES;
        loop {
            tries = tries.saturating_sub(1);
            let fresh = tries.saturating_add(1) < TRIES;
            let frames = objects.read(&path, &self.file, &ranges, fresh).await?;
            let group = Arc::clone(&group);
            let decode = move || {
                let pages = group.iter().zip(&frames).map(|((place, located), frame)| {
                    Ok((*place, decode_page(frame, page_size, located.pgno)?))
                });
                pages.collect::<Result<Vec<_>, String>>()
            };
            match offload(len_bytes, decode).await? {
                Ok(pages) => return Ok(pages),
                Err(what) if tries == 0 => return Err(Error::corrupt(&path, what)),
                // The bytes may have been damaged on their way, or on the local disk.
                Err(error) => tracing::warn!(file = %path, error, "reading it again"),
            }
        }
    }
}

/// Decodes a page frame and makes sure that it holds the page it should.
fn decode_page(frame: &[u8], page_size: PageSize, pgno: Pgno) -> Result<Vec<u8>, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("page {pgno}: {what}");
    let (found, data) = ltx::decode_page_frame(frame, page_size).map_err(|error| wrong(&error))?;
    if found != pgno || data.len() != page_size.len_bytes() {
        return Err(wrong(&"another page is in its place"));
    }
    Ok(data)
}
