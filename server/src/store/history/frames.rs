//! Pages of one position as the page frames that are stored: in large reads, without unpacking any.
//!
//! Most pages of a database lie beside each other in one file, so a batch of them is one read, and the
//! bytes go on as they are. A few batches are in memory at a time, whatever is asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use litevfs::ltx::starts_page_frame;
use litevfs::types::Pgno;
use parking_lot::Mutex;

use super::database::Database;
use super::pins::Pin;
use super::read::RELOADS;
use super::view::View;
use crate::page_list::PageList;
use crate::store::bucket::error::Error;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::objects::reads::Objects;

/// About how many bytes of pages are read at a time, unpacked: hundreds of clients may be slow.
const BATCH_BYTES: usize = 128 << 10;
/// The same from a store that takes a while for each read, and how many are read at the same time.
const SHARED_BATCH_BYTES: usize = 256 << 10;
const SHARED_AHEAD: usize = 3;
/// How many files are read at the same time for one batch.
const PARALLEL: usize = 16;
/// How often frames are read that are not those they should be.
const TRIES: u32 = 3;

/// Pages of a database at a position.
#[derive(Debug)]
pub struct Frames {
    database: Arc<Database>,
    held: Mutex<Held>,
}

/// A view and what keeps this server from removing its files.
#[derive(Debug, Clone)]
struct Held {
    view: Arc<View>,
    _pin: Pin,
}

/// Frames that lie beside each other in one file.
#[derive(Debug)]
struct Stretch {
    layer: usize,
    range: Range<u64>,
    /// Each page, and the bytes of its frame.
    frames: Vec<(Pgno, u64)>,
}

impl Frames {
    /// The pages of a view.
    pub fn new(database: Arc<Database>, view: View) -> Frames {
        let held = Held::new(&database, view);
        Frames { database, held: Mutex::new(held) }
    }

    /// How many pages are read at a time.
    pub fn batch_len(&self) -> usize {
        let page_size = self.held.lock().view.page_size;
        let shared = self.database.objects.is_shared();
        let bytes = if shared { SHARED_BATCH_BYTES } else { BATCH_BYTES };
        bytes.checked_div(page_size.len_bytes()).unwrap_or(1)
    }

    /// The frames of a list of pages, in its order, batch by batch. Fails at once when one of them is
    /// not there.
    pub fn stream(
        self,
        list: PageList,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
        let view = Arc::clone(&self.held.lock().view);
        let mut pgnos = view.listed(list)?;
        let count = self.batch_len();
        let batches = std::iter::from_fn(move || {
            let batch: Vec<Pgno> = pgnos.by_ref().take(count).collect();
            Some(batch).filter(|batch| !batch.is_empty())
        });
        let ahead = self.ahead();
        let frames = Arc::new(self);
        let read = move |batch: Vec<Pgno>| {
            let frames = Arc::clone(&frames);
            async move { Ok(frames.read(&batch).await?.joined()) }
        };
        Ok(stream::iter(batches).map(read).buffered(ahead))
    }

    /// Pages in that order, batch by batch, unpacked, with their numbers; all must be there.
    pub fn unpacked(
        self,
        pgnos: Vec<Pgno>,
    ) -> impl Stream<Item = Result<(Vec<Pgno>, Vec<Vec<u8>>), Error>> + Send + use<> {
        let count = self.batch_len().max(1);
        let batches: Vec<Vec<Pgno>> = pgnos.chunks(count).map(<[Pgno]>::to_vec).collect();
        let ahead = self.ahead();
        let frames = Arc::new(self);
        let read = move |batch: Vec<Pgno>| {
            let frames = Arc::clone(&frames);
            async move {
                let held = frames.held.lock().clone();
                let pages = frames.database.pages_of(&held.view, &batch).await?;
                Ok((batch, pages))
            }
        };
        stream::iter(batches).map(read).buffered(ahead)
    }

    /// How many batches are read at the same time.
    fn ahead(&self) -> usize {
        if self.database.objects.is_shared() { SHARED_AHEAD } else { 1 }
    }

    /// The frames of some pages, each by itself.
    pub(in crate::store) async fn each(&self, pgnos: &[Pgno]) -> Result<Vec<Bytes>, Error> {
        Ok(self.read(pgnos).await?.each())
    }

    /// Reads a batch; from other files if its own were removed.
    async fn read(&self, batch: &[Pgno]) -> Result<Batch, Error> {
        for _ in 0..RELOADS {
            let held = self.held.lock().clone();
            match self.try_read(&held.view, batch).await {
                Err(Error::Gone(_)) => {}
                done => return done,
            }
            self.database.reload_at(Some(held.view.pos)).await?;
            let view = self.database.view(Some(held.view.pos)).await?;
            *self.held.lock() = Held::new(&self.database, view);
        }
        let held = self.held.lock().clone();
        self.try_read(&held.view, batch).await
    }

    async fn try_read(&self, view: &View, batch: &[Pgno]) -> Result<Batch, Error> {
        let Database { db, objects, .. } = &*self.database;
        let stretches = stretches(view, db, batch)?;
        let mut layers: BTreeMap<usize, Vec<(usize, &Stretch)>> = BTreeMap::new();
        for (place, stretch) in stretches.iter().enumerate() {
            layers.entry(stretch.layer).or_default().push((place, stretch));
        }
        let reads = layers.into_iter().filter_map(|(layer, wanted)| {
            let file = view.layers().get(layer)?.file;
            Some(read_file(objects, db, file, wanted).boxed())
        });
        let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(PARALLEL);
        let mut parts = vec![Bytes::new(); stretches.len()];
        while let Some(read) = reads.try_next().await? {
            for (place, bytes) in read {
                if let Some(part) = parts.get_mut(place) {
                    *part = bytes;
                }
            }
        }
        drop(reads);
        Ok(Batch { stretches, parts })
    }
}

/// Stretches that were read, in order.
struct Batch {
    stretches: Vec<Stretch>,
    parts: Vec<Bytes>,
}

impl Batch {
    fn joined(&self) -> Bytes {
        match self.parts.as_slice() {
            [part] => part.clone(),
            parts => parts.concat().into(),
        }
    }

    fn each(self) -> Vec<Bytes> {
        let frames = self.stretches.iter().zip(self.parts).flat_map(|(stretch, mut part)| {
            let lens = stretch.frames.iter().map(|&(_, len)| usize::try_from(len).unwrap_or(0));
            lens.map(move |len| part.split_to(len.min(part.len()))).collect::<Vec<_>>()
        });
        frames.collect()
    }
}

impl Held {
    fn new(database: &Database, view: View) -> Held {
        Held { _pin: database.pin(&view), view: Arc::new(view) }
    }
}

/// Where pages are, in the order asked for.
fn stretches(view: &View, db: &Incarnation, pgnos: &[Pgno]) -> Result<Vec<Stretch>, Error> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for &pgno in pgnos {
        let (layer, range) = view.frame(db, pgno)?;
        let frame = (pgno, range.end.saturating_sub(range.start));
        match stretches.last_mut() {
            Some(last) if last.layer == layer && last.range.end == range.start => {
                last.range.end = range.end;
                last.frames.push(frame);
            }
            _ => stretches.push(Stretch { layer, range, frames: vec![frame] }),
        }
    }
    Ok(stretches)
}

/// Reads stretches of one file, each with the place it came with.
async fn read_file(
    objects: &Objects,
    db: &Incarnation,
    file: LtxFile,
    wanted: Vec<(usize, &Stretch)>,
) -> Result<Vec<(usize, Bytes)>, Error> {
    let path = objects.shape.file(db, &file);
    let ranges: Vec<_> = wanted.iter().map(|(_, stretch)| stretch.range.clone()).collect();
    for again in 0..TRIES {
        let read = objects.read(&path, &file, &ranges, again > 0).await?;
        let parts = wanted.iter().zip(read);
        let parts =
            parts.map(|((place, stretch), bytes)| stretch.is_in(&bytes).then_some((*place, bytes)));
        if let Some(parts) = parts.collect() {
            return Ok(parts);
        }
        // The bytes may have been damaged on their way, or on the local disk.
        tracing::warn!(file = %path, "other pages are in the place of some: reading it again");
    }
    Err(Error::corrupt(path, "other pages are in the place of some"))
}

impl Stretch {
    /// Whether bytes are these frames, as far as their headers tell.
    fn is_in(&self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        self.frames.iter().all(|&(pgno, len)| {
            let frame = usize::try_from(len).ok().and_then(|len| rest.split_off(..len));
            frame.is_some_and(|frame| starts_page_frame(frame, pgno))
        }) && rest.is_empty()
    }
}
