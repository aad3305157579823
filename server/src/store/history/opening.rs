//! What a client needs of a database it opens: page 1, the rest of the schema, the root pages, and the
//! inner pages that lead to all rows, as page frames.
//!
//! A client would ask for them one after the other, because each names the next. They are found by
//! reading the b-trees from the top, level by level. Whatever the pages say, each is read once, and no
//! more of them than an answer can hold, and one leaf a tree that shows where its leaves begin. What a
//! page leads to is found where it is unpacked, off the threads that serve connections, and is all that
//! is kept of it.

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
use super::frames::Frames;
use super::read::Changes;
use super::view::View;
use crate::btree::{BtreePage, Kind, SchemaRow, next_overflow, usable_len};
use crate::offload::offload;
use crate::store::bucket::error::Error;
use crate::store::bucket::incarnation::Incarnation;

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
/// How many pages of all trees are remembered for the next level.
const MAX_QUEUED: usize = 1 << 18;

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
pub(in crate::store) struct Openings(Cache<Key, Arc<Opening>, Weight>);

impl std::fmt::Debug for Openings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Openings").field("bytes", &self.0.weight()).finish_non_exhaustive()
    }
}

impl Openings {
    pub(in crate::store) fn new() -> Result<Openings, Error> {
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

impl Openings {
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
        self.0.get_or_insert_async(&key, make).await
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

/// A page that was read: what it leads to, and its frame. The page itself is not kept.
struct Found {
    pgno: Pgno,
    kind: Option<Kind>,
    frame: Bytes,
    children: Vec<Pgno>,
    /// What its rows lead to, if it is one of the schema's.
    rows: Vec<SchemaRow>,
    next_overflow: Option<Pgno>,
    /// How many bytes of a page are used, as page 1 says, or was known.
    usable: usize,
}

/// What pages are read for: the schema, or the trees that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Schema,
    Trees,
}

/// Pages to read, each once, and no more than are read for one answer.
#[derive(Default)]
struct Wanted {
    known: HashSet<Pgno>,
    order: Vec<Pgno>,
}

impl Wanted {
    fn add(&mut self, view: &View, pgnos: impl IntoIterator<Item = Pgno>) {
        for pgno in pgnos {
            if self.order.len() >= MAX_PAGES {
                return;
            }
            if view.has(pgno) && self.known.insert(pgno) {
                self.order.push(pgno);
            }
        }
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
    /// How many bytes of a page are used, as far as known.
    usable: usize,
}

impl<'a> Walk<'a> {
    fn new(frames: Frames, view: &'a View, limit: usize) -> Walk<'a> {
        let (page_size, seen) = (view.page_size, HashSet::new());
        let usable = page_size.len_bytes();
        Walk { frames, view, page_size, seen, opening: Vec::new(), left: limit, usable }
    }

    async fn run(mut self) -> Result<Opening, Error> {
        let roots = self.schema().await?;
        let (mut trees, mut room) = (Vec::new(), MAX_QUEUED);
        self.take_all(roots, For::Trees, |mut found| {
            found.children.truncate(room);
            room = room.saturating_sub(found.children.len());
            trees.push((found.kind, found.children));
        })
        .await?;
        for kind in [Kind::InnerTable, Kind::InnerIndex] {
            let of_kind = trees.iter_mut().filter(|(root, _)| *root == Some(kind));
            let mut level: Vec<Vec<Pgno>> =
                of_kind.map(|(_, children)| std::mem::take(children)).collect();
            while !level.is_empty() && self.left > 0 {
                level = self.level(level, kind).await?;
            }
        }
        Ok(self.opening)
    }

    /// Takes the pages of the schema; returns the root pages that it names.
    async fn schema(&mut self) -> Result<Vec<Pgno>, Error> {
        let (mut level, mut overflow) = (vec![Pgno::ONE], HashSet::new());
        let (mut roots, mut wanted) = (Wanted::default(), Wanted::default());
        let view = self.view;
        while !level.is_empty() {
            let each = |found: Found| {
                if overflow.contains(&found.pgno) {
                    overflow.extend(found.next_overflow);
                    wanted.add(view, found.next_overflow);
                    return;
                }
                wanted.add(view, found.children);
                for row in found.rows {
                    roots.add(view, row.root);
                    wanted.add(view, row.overflow);
                    overflow.extend(row.overflow.filter(|&pgno| wanted.known.contains(&pgno)));
                }
            };
            self.take_all(level, For::Schema, each).await?;
            level = std::mem::take(&mut wanted.order);
        }
        Ok(roots.order)
    }

    /// Takes one level of trees, given as the pages of each; returns the level below. What is known of
    /// one page in a tree holds for all pages beside it: they are leaves, or not.
    async fn level(&mut self, trees: Vec<Vec<Pgno>>, kind: Kind) -> Result<Vec<Vec<Pgno>>, Error> {
        let (mut below, mut room) = (Vec::new(), MAX_QUEUED);
        let view = self.view;
        for mut level in trees {
            let rest = level.split_off(level.len().min(1));
            let first = self.read(&level, For::Trees).await?;
            if !first.iter().any(|found| found.kind == Some(kind)) {
                continue;
            }
            let mut children = Wanted::default();
            for found in first {
                self.take(&found);
                children.add(view, found.children);
            }
            self.take_all(rest, For::Trees, |found| children.add(view, found.children)).await?;
            children.order.truncate(room);
            room = room.saturating_sub(children.order.len());
            below.push(children.order);
        }
        Ok(below)
    }

    /// Reads pages and takes them, as long as there is room, and hands each on.
    async fn take_all(
        &mut self,
        pgnos: Vec<Pgno>,
        what: For,
        mut each: impl FnMut(Found),
    ) -> Result<(), Error> {
        for batch in pgnos.chunks(BATCH) {
            if self.left == 0 {
                break;
            }
            for found in self.read(batch, what).await? {
                self.take(&found);
                each(found);
            }
        }
        Ok(())
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
    async fn read(&mut self, pgnos: &[Pgno], what: For) -> Result<Vec<Found>, Error> {
        let room = MAX_PAGES.saturating_sub(self.seen.len());
        let new = pgnos.iter().copied().filter(|&pgno| self.view.has(pgno)).take(room);
        let new: Vec<Pgno> = new.filter(|&pgno| self.seen.insert(pgno)).collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let frames = self.frames.each(&new).await?;
        let (page_size, usable) = (self.page_size, self.usable);
        let unpack = move || {
            let found =
                frames.into_iter().filter_map(|frame| found(frame, page_size, usable, what));
            found.collect::<Vec<_>>()
        };
        let found = offload(page_size.len_bytes().saturating_mul(new.len()), unpack).await?;
        if let Some(first) = found.first() {
            self.usable = first.usable;
        }
        Ok(found)
    }
}

/// Unpacks a frame and sees what its page leads to; an inner page of a table gets a smaller frame.
fn found(frame: Bytes, page_size: PageSize, usable: usize, what: For) -> Option<Found> {
    let (pgno, page) = decode_page_frame(&frame, page_size).ok()?;
    let smaller = inner_page_frame(pgno, &page, frame.len());
    let usable = if pgno == Pgno::ONE { usable_len(&page, page_size) } else { usable };
    // What is encrypted leads nowhere, whatever it looks like.
    let is_plain = pgno != Pgno::ONE || !is_encrypted(&page);
    let btree = BtreePage::new(pgno, &page).filter(|_| is_plain);
    let rows = btree.filter(|_| what == For::Schema).map(|page| page.schema_rows(usable).collect());
    Some(Found {
        pgno,
        kind: btree.map(|page| page.kind()),
        frame: smaller.map_or(frame, Bytes::from),
        children: btree.map_or(Vec::new(), |page| page.children().collect()),
        rows: rows.unwrap_or_default(),
        next_overflow: next_overflow(&page),
        usable,
    })
}
