//! Parts of LTX files on the local disk, so that what is read often is not fetched often.
//!
//! Files are cut into blocks of one size; each cached block is a file of its own, under a name that is
//! a number. Which block it is, is known in memory only: the folder starts empty. The bytes on disk are
//! bounded, those read longest ago go first. LTX files never change, so nothing here is ever out of
//! date; whether the bytes are right is for the reader to check, who can read past the cache.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use bytes::Bytes;
use litevfs::ltx::Crc64;
use object_store::path::Path;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter, sync::DefaultLifecycle};

use crate::metrics::{Cache as Kind, Metrics};
use crate::store::bucket::error::Error;
use crate::store::bucket::ltx_file::LtxFile;

/// Bytes of a block: some twenty pages as they are stored.
const BLOCK: u64 = 64 << 10;
/// Blocks next to each other are fetched together up to this many bytes.
const LONGEST_FETCH: u64 = 8 << 20;

/// One block: the hash of the file's path, the file's version, the block's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u64, u64, u64);

/// A block on disk; the file goes when nobody needs it any more.
#[derive(Debug)]
struct Block {
    path: PathBuf,
    len: u64,
}

impl Drop for Block {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<Block>> for Weight {
    fn weight(&self, _: &Key, block: &Arc<Block>) -> u64 {
        block.len.max(1)
    }
}

/// The cache.
pub struct Blocks {
    dir: PathBuf,
    blocks: Cache<Key, Arc<Block>, Weight>,
    next: AtomicU64,
    metrics: Metrics,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// A read that is under way.
#[derive(Debug)]
pub(in crate::store) struct Reading {
    path: Path,
    hash: u64,
    version: u64,
    blocks: BTreeMap<u64, Option<Bytes>>,
    /// What is to be fetched, in bytes.
    pub(in crate::store) missing: Vec<Range<u64>>,
}

impl Blocks {
    /// A cache of up to `max_bytes` in a folder, which is made, and emptied of what an earlier process
    /// left.
    pub fn new(dir: &FsPath, max_bytes: u64, metrics: Metrics) -> io::Result<Blocks> {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
        let count = usize::try_from(max_bytes.div_ceil(BLOCK)).unwrap_or(usize::MAX).max(1);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(count)
            .weight_capacity(max_bytes)
            .shards(1)
            .build()
            .map_err(io::Error::other)?;
        let (hash, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let blocks = Cache::with_options(options, Weight, hash, lifecycle);
        Ok(Blocks { dir: dir.to_owned(), blocks, next: AtomicU64::new(0), metrics })
    }

    /// Begins to read ranges of a file with the blocks that are here; with none if they are to be
    /// `fresh`.
    pub(in crate::store) async fn begin(
        &self,
        path: &Path,
        file: &LtxFile,
        ranges: &[Range<u64>],
        fresh: bool,
    ) -> Result<Reading, Error> {
        let mut hash = Crc64::new();
        hash.update(path.as_ref().as_bytes());
        let wanted = ranges.iter().flat_map(numbers);
        let mut reading = Reading {
            path: path.clone(),
            hash: hash.finish(),
            version: file.version,
            blocks: wanted.map(|number| (number, None)).collect(),
            missing: Vec::new(),
        };
        if !fresh {
            self.load(&mut reading).await?;
        }
        let blocks = reading.blocks.iter();
        let missing = blocks.filter(|(_, bytes)| bytes.is_none()).map(|(&number, _)| number);
        reading.missing = runs(&missing.collect::<Vec<u64>>(), file.len);
        Ok(reading)
    }

    /// Ends it with the bytes of what was missing, which are kept.
    pub(in crate::store) fn end(
        &self,
        mut reading: Reading,
        fetched: Vec<Bytes>,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, Error> {
        let short = Error::corrupt(&reading.path, "it is shorter than it was");
        for (run, bytes) in std::mem::take(&mut reading.missing).iter().zip(fetched) {
            for number in numbers(run) {
                let from = start(number).saturating_sub(run.start);
                let to = start(number.saturating_add(1)).min(run.end).saturating_sub(run.start);
                let Some(part) = slice(&bytes, from..to) else {
                    return Err(short);
                };
                self.keep(reading.key(number), &part);
                reading.blocks.insert(number, Some(part));
            }
        }
        let assembled = ranges.iter().map(|range| assemble(&reading.blocks, range));
        assembled.collect::<Option<Vec<Bytes>>>().ok_or(short)
    }

    /// Reads what is on disk.
    async fn load(&self, reading: &mut Reading) -> io::Result<()> {
        let held: Vec<(u64, Arc<Block>)> = reading
            .blocks
            .keys()
            .filter_map(|&number| Some((number, self.blocks.get(&reading.key(number))?)))
            .collect();
        let missed = reading.blocks.len().saturating_sub(held.len());
        held.iter().for_each(|_| self.metrics.cache_hit(Kind::Disk));
        (0..missed).for_each(|_| self.metrics.cache_miss(Kind::Disk));
        if held.is_empty() {
            return Ok(());
        }
        let loaded = tokio::task::spawn_blocking(move || {
            let load = |(number, block): (u64, Arc<Block>)| {
                // A block that cannot be read is fetched again.
                let bytes = fs::read(&block.path).ok().filter(|b| b.len() as u64 == block.len)?;
                Some((number, Bytes::from(bytes)))
            };
            held.into_iter().filter_map(load).collect::<Vec<_>>()
        });
        for (number, bytes) in loaded.await.map_err(io::Error::other)? {
            reading.blocks.insert(number, Some(bytes));
        }
        Ok(())
    }

    /// Writes a block to disk, in its own time: nobody waits for it, and it may fail.
    fn keep(&self, key: Key, bytes: &Bytes) {
        let name = self.next.fetch_add(1, Ordering::Relaxed);
        let block = Block { path: self.dir.join(name.to_string()), len: bytes.len() as u64 };
        if fs::write(&block.path, bytes).is_ok() {
            self.blocks.insert(key, Arc::new(block));
            self.metrics.cache_bytes(Kind::Disk, self.blocks.weight());
        }
    }
}

impl Reading {
    const fn key(&self, number: u64) -> Key {
        Key(self.hash, self.version, number)
    }
}

const fn start(number: u64) -> u64 {
    number.saturating_mul(BLOCK)
}

/// The blocks that a range touches.
fn numbers(range: &Range<u64>) -> Range<u64> {
    let first = range.start.checked_div(BLOCK).unwrap_or(0);
    if range.is_empty() { first..first } else { first..range.end.div_ceil(BLOCK) }
}

/// The ranges of a file that blocks, ascending, make up.
fn runs(numbers: &[u64], len: u64) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for &number in numbers {
        let end = start(number.saturating_add(1)).min(len);
        match runs.last_mut() {
            Some(run)
                if run.end == start(number) && end.saturating_sub(run.start) <= LONGEST_FETCH =>
            {
                run.end = end;
            }
            _ => runs.push(start(number)..end),
        }
    }
    runs
}

fn slice(bytes: &Bytes, range: Range<u64>) -> Option<Bytes> {
    let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
    (range.start <= range.end && range.end <= bytes.len()).then(|| bytes.slice(range))
}

/// The bytes of a range, out of blocks.
fn assemble(blocks: &BTreeMap<u64, Option<Bytes>>, range: &Range<u64>) -> Option<Bytes> {
    let part = |number: u64| {
        let bytes = blocks.get(&number)?.as_ref()?;
        let from = range.start.saturating_sub(start(number));
        let to = range.end.saturating_sub(start(number)).min(bytes.len() as u64);
        slice(bytes, from..to)
    };
    let mut numbers = numbers(range);
    let first = match numbers.next() {
        Some(number) => part(number)?,
        None => return Some(Bytes::new()),
    };
    let mut whole = first;
    if let Some(second) = numbers.next() {
        let mut all =
            Vec::with_capacity(usize::try_from(range.end.saturating_sub(range.start)).ok()?);
        all.extend_from_slice(&whole);
        for number in std::iter::once(second).chain(numbers) {
            all.extend_from_slice(&part(number)?);
        }
        whole = all.into();
    }
    (whole.len() as u64 == range.end.saturating_sub(range.start)).then_some(whole)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::single_range_in_vec_init)]
mod tests {
    use super::*;
    use litevfs::types::Txid;

    fn content() -> Bytes {
        (0..(5 * BLOCK + 77)).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    fn file(len: usize, version: u64) -> LtxFile {
        let txid = Txid(1);
        let len = len as u64;
        LtxFile { level: 0, min_txid: txid, max_txid: txid, len, version, written_ms: 0 }
    }

    /// Reads through a cache; returns whether the bytes are right and how many were fetched.
    fn read(blocks: &Blocks, version: u64, fresh: bool, ranges: &[Range<u64>]) -> (bool, usize) {
        let whole = content();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (path, file) = (Path::from("c/d/1.ltx"), file(whole.len(), version));
        let reading = runtime.block_on(blocks.begin(&path, &file, ranges, fresh)).unwrap();
        let part = |r: &Range<u64>| whole.slice(r.start as usize..r.end as usize);
        let fetched: Vec<Bytes> = reading.missing.iter().map(part).collect();
        let len = fetched.iter().map(Bytes::len).sum();
        let parts = blocks.end(reading, fetched, ranges).unwrap();
        let right = parts
            .iter()
            .zip(ranges)
            .all(|(part, r)| part == &whole.slice(r.start as usize..r.end as usize));
        (right && parts.len() == ranges.len(), len)
    }

    #[test]
    fn what_was_read_once_is_not_fetched_again() {
        let dir = tempfile::tempdir().unwrap();
        let blocks = Blocks::new(&dir.path().join("b"), 1 << 20, Metrics::default()).unwrap();
        let end = content().len() as u64;
        let ranges = [10..20, BLOCK - 5..BLOCK + 5, end - 9..end, 7..7];
        assert_eq!(read(&blocks, 1, false, &ranges), (true, 2 * BLOCK as usize + 77));
        assert_eq!(read(&blocks, 1, false, &ranges), (true, 0));
        assert_eq!(read(&blocks, 1, false, &[0..end]), (true, 3 * BLOCK as usize));
        assert_eq!(read(&blocks, 1, true, &[3..4]), (true, BLOCK as usize));
        assert_eq!(read(&blocks, 2, false, &[3..4]), (true, BLOCK as usize));
    }

    #[test]
    fn the_folder_stays_within_the_bound_and_starts_empty() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("b");
        let blocks = Blocks::new(&folder, 3 * BLOCK, Metrics::default()).unwrap();
        let end = content().len() as u64;
        for version in 0..5 {
            assert!(read(&blocks, version, false, &[0..end]).0);
        }
        let used: u64 =
            fs::read_dir(&folder).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(0 < used && used <= 3 * BLOCK, "{used}");
        let blocks = Blocks::new(&folder, 3 * BLOCK, Metrics::default()).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        drop(blocks);
    }
}
