//! What a client needs of a database it opens: page 1, the rest of the schema, the root pages, and the
//! inner pages that lead to all rows, as page frames.
//!
//! A client would ask for them one after the other, because each names the next. They are found by
//! reading the b-trees from the top, level by level. Whatever the pages say, each is read once, and no
//! more of them than an answer can hold, and one leaf a tree that shows where its leaves begin.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use litevfs::ltx::{decode_page_frame, inner_page_frame};
use litevfs::page1::is_encrypted;
use litevfs::types::{PageSize, Pgno, Pos};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::database::Database;
use super::error::Error;
use super::frames::Frames;
use super::incarnation::Incarnation;
use super::view::View;
use super::{Changes, Store};
use crate::btree::{BtreePage, Kind, next_overflow, usable_len};
use crate::offload::offload;

/// The most bytes of frames in an answer; what is kept for a client that asks for fewer.
pub const MAX_BYTES: usize = 1 << 20;
const USUAL_BYTES: usize = 64 << 10;
/// The part of an answer that learned pages may take, which by themselves lead nowhere.
const LEARNED_SHARE: usize = 8;
/// Bytes of all answers that are kept.
const KEPT_BYTES: u64 = 16 << 20;
const TYPICAL_BYTES: u64 = 64 << 10;
/// How many pages are read for one answer, and at a time.
const MAX_PAGES: usize = 4096;
const BATCH: usize = 64;

/// A database at a position, as far as so many bytes reach.
type Key = (Arc<Incarnation>, Pos, usize);

/// The first pages of a database, in the order in which they are wanted, each as a frame.
type Opening = Vec<(Pgno, Bytes)>;

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<Opening>> for Weight {
    fn weight(&self, _: &Key, opening: &Arc<Opening>) -> u64 {
        let pages = opening.iter().map(|(_, frame)| frame.len().saturating_add(64));
        pages.fold(256, |sum: u64, len| sum.saturating_add(len as u64))
    }
}

/// The openings that were made last.
pub(super) struct Openings(Cache<Key, Arc<Opening>, Weight>);

impl std::fmt::Debug for Openings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Openings").field("bytes", &self.0.weight()).finish_non_exhaustive()
    }
}

impl Openings {
    pub(super) fn new() -> Result<Openings, Error> {
        let count = KEPT_BYTES.checked_div(TYPICAL_BYTES).and_then(|count| count.try_into().ok());
        let options = OptionsBuilder::new()
            .estimated_items_capacity(count.unwrap_or(1))
            .weight_capacity(KEPT_BYTES)
            .shards(1)
            .build()
            .map_err(io::Error::other)?;
        let (hash, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Ok(Openings(Cache::with_options(options, Weight, hash, lifecycle)))
    }
}

impl Store {
    /// The position of a database, what changed since another one, and of that the pages that a client
    /// wants when it opens it, in up to so many bytes of frames; page 1 in any case.
    pub async fn open_for(
        &self,
        database: &Arc<Database>,
        since: Pos,
        max_bytes: usize,
    ) -> Result<(Pos, Changes, Vec<Bytes>), Error> {
        let (pos, changes) = database.changes(since).await?;
        let wanted = |pgno: &Pgno| match &changes {
            Changes::Nothing => false,
            Changes::Pages(pgnos) => pgnos.binary_search(pgno).is_ok(),
            Changes::Many | Changes::All => true,
        };
        if changes == Changes::Nothing || database.summary().commit == 0 {
            return Ok((pos, changes, Vec::new()));
        }
        let view = database.view(Some(pos)).await?;
        let opening = self.opening(database, &view, max_bytes).await?;
        let learned = learned(database, view, &opening, max_bytes / LEARNED_SHARE).await?;
        let mut first = opening.iter();
        let mut frames = Vec::new();
        let (mut left, mut sent) = (max_bytes, HashSet::new());
        for (pgno, frame) in first.by_ref().take(1).chain(&learned).chain(opening.iter().skip(1)) {
            if !wanted(pgno) || !sent.insert(*pgno) {
                continue;
            }
            match left.checked_sub(frame.len()) {
                Some(rest) => left = rest,
                None if *pgno == Pgno::ONE => left = 0,
                None => break,
            }
            frames.push(frame.clone());
        }
        Ok((pos, changes, frames))
    }

    async fn opening(
        &self,
        database: &Arc<Database>,
        view: &View,
        max_bytes: usize,
    ) -> Result<Arc<Opening>, Error> {
        let limit = if max_bytes <= USUAL_BYTES { USUAL_BYTES } else { MAX_BYTES };
        let key = (Arc::clone(&database.db), view.pos, limit);
        let make = async {
            let frames = Frames::new(Arc::clone(database), view.clone());
            let walk = Walk::new(frames, view, limit);
            walk.run().await.map(Arc::new)
        };
        self.openings.0.get_or_insert_async(&key, make).await
    }
}

/// The frames of the pages that clients asked for most, with up to so many bytes of those that are not in
/// the opening.
async fn learned(
    database: &Arc<Database>,
    view: View,
    opening: &Opening,
    max_bytes: usize,
) -> Result<Opening, Error> {
    let held = |pgno| opening.iter().find(|(found, _)| *found == pgno).cloned();
    let mut pgnos = database.learned.lock().most();
    pgnos.retain(|&pgno| view.has(pgno));
    let missing: Vec<Pgno> = pgnos.iter().copied().filter(|&pgno| held(pgno).is_none()).collect();
    let read = if missing.is_empty() {
        Vec::new()
    } else {
        Frames::new(Arc::clone(database), view).each(&missing).await?
    };
    let mut left = Some(max_bytes);
    let fits = |(_, frame): &(Pgno, Bytes)| {
        left = left.and_then(|left| left.checked_sub(frame.len()));
        left.is_some()
    };
    let mut read: Opening = missing.into_iter().zip(read).take_while(fits).collect();
    let frame = |pgno| {
        held(pgno).or_else(|| {
            let place = read.iter().position(|(found, _)| *found == pgno)?;
            Some(read.swap_remove(place))
        })
    };
    Ok(pgnos.into_iter().filter_map(frame).collect())
}

impl Database {
    /// Counts a page that a client asked for.
    pub fn asked_for(&self, pgno: Pgno) {
        self.learned.lock().note(pgno);
    }
}

/// A page that was read.
struct Found {
    pgno: Pgno,
    page: Vec<u8>,
    frame: Bytes,
}

impl Found {
    fn btree(&self) -> Option<BtreePage<'_>> {
        BtreePage::new(self.pgno, &self.page)
    }

    fn is(&self, kind: Kind) -> bool {
        self.btree().is_some_and(|page| page.kind() == kind)
    }

    fn children(&self) -> Vec<Pgno> {
        self.btree().map_or(Vec::new(), |page| page.children().collect())
    }
}

/// Finds the pages of an opening.
struct Walk<'a> {
    frames: Frames,
    view: &'a View,
    page_size: PageSize,
    seen: HashSet<Pgno>,
    opening: Opening,
    /// Bytes of frames that still fit.
    left: usize,
}

impl<'a> Walk<'a> {
    fn new(frames: Frames, view: &'a View, limit: usize) -> Walk<'a> {
        let (page_size, seen) = (view.page_size, HashSet::new());
        Walk { frames, view, page_size, seen, opening: Vec::new(), left: limit }
    }

    async fn run(mut self) -> Result<Opening, Error> {
        let roots = self.schema().await?;
        let roots = self.take_all(roots).await?;
        for kind in [Kind::InnerTable, Kind::InnerIndex] {
            let mut trees: Vec<Vec<Pgno>> = Vec::new();
            for root in roots.iter().filter(|root| root.is(kind)) {
                trees.push(root.children());
            }
            while !trees.is_empty() && self.left > 0 {
                trees = self.level(trees, kind).await?;
            }
        }
        Ok(self.opening)
    }

    /// Takes the pages of the schema; returns the root pages that it names.
    async fn schema(&mut self) -> Result<Vec<Pgno>, Error> {
        let (mut level, mut overflow) = (vec![Pgno::ONE], HashSet::new());
        let (mut roots, mut usable) = (Vec::new(), self.page_size.len_bytes());
        while !level.is_empty() {
            let mut next = Vec::new();
            for found in self.take_all(level).await? {
                if found.pgno == Pgno::ONE && is_encrypted(&found.page) {
                    return Ok(roots);
                }
                if found.pgno == Pgno::ONE {
                    usable = usable_len(&found.page, self.page_size);
                }
                if overflow.contains(&found.pgno) {
                    overflow.extend(next_overflow(&found.page));
                    next.extend(next_overflow(&found.page));
                    continue;
                }
                next.extend(found.children());
                let rows = found.btree().into_iter().flat_map(|page| page.schema_rows(usable));
                for row in rows {
                    roots.extend(row.root);
                    next.extend(row.overflow);
                    overflow.extend(row.overflow);
                }
            }
            level = next;
        }
        Ok(roots)
    }

    /// Takes one level of trees, given as the pages of each; returns the level below. What is known of
    /// one page in a tree holds for all pages beside it: they are leaves, or not.
    async fn level(&mut self, trees: Vec<Vec<Pgno>>, kind: Kind) -> Result<Vec<Vec<Pgno>>, Error> {
        let mut below = Vec::new();
        for mut level in trees {
            let rest = level.split_off(level.len().min(1));
            let first = self.read(&level).await?;
            if !first.iter().any(|found| found.is(kind)) {
                continue;
            }
            let mut children: Vec<Pgno> = first.iter().flat_map(Found::children).collect();
            first.into_iter().for_each(|found| self.take(&found));
            for found in self.take_all(rest).await? {
                children.extend(found.children());
            }
            below.push(children);
        }
        Ok(below)
    }

    /// Reads pages and takes them, as long as there is room.
    async fn take_all(&mut self, pgnos: Vec<Pgno>) -> Result<Vec<Found>, Error> {
        let mut taken = Vec::new();
        for batch in pgnos.chunks(BATCH) {
            if self.left == 0 {
                break;
            }
            for found in self.read(batch).await? {
                self.take(&found);
                taken.push(found);
            }
        }
        Ok(taken)
    }

    fn take(&mut self, found: &Found) {
        match self.left.checked_sub(found.frame.len()) {
            Some(left) => {
                self.left = left;
                self.opening.push((found.pgno, found.frame.clone()));
            }
            None if found.pgno == Pgno::ONE => {
                self.left = 0;
                self.opening.push((found.pgno, found.frame.clone()));
            }
            None => self.left = 0,
        }
    }

    /// Reads those pages that are there and were not read before.
    async fn read(&mut self, pgnos: &[Pgno]) -> Result<Vec<Found>, Error> {
        let room = MAX_PAGES.saturating_sub(self.seen.len());
        let new = pgnos.iter().copied().filter(|&pgno| self.view.has(pgno));
        let new = new.filter(|&pgno| self.seen.insert(pgno)).take(room);
        let new: Vec<Pgno> = new.collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let frames = self.frames.each(&new).await?;
        let page_size = self.page_size;
        let unpack = move || {
            frames.into_iter().filter_map(|frame| found(frame, page_size)).collect::<Vec<_>>()
        };
        Ok(offload(page_size.len_bytes().saturating_mul(new.len()), unpack).await?)
    }
}

/// Unpacks a frame; an inner page of a table gets a smaller one.
fn found(frame: Bytes, page_size: PageSize) -> Option<Found> {
    let (pgno, page) = decode_page_frame(&frame, page_size).ok()?;
    let smaller = inner_page_frame(pgno, &page, frame.len());
    Some(Found { pgno, page, frame: smaller.map_or(frame, Bytes::from) })
}
