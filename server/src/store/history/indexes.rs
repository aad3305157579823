//! The page indexes of files, in memory within a bound, read again when they are asked for again.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use litevfs::ltx::{HEADER_LEN, Header, PageIndex, TRAILER_LEN, Version};
use litevfs::types::Checksum;
use object_store::path::Path;
use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::metrics::{Cache as Kind, Metrics};
use crate::offload::offload;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::objects::reads::Objects;

/// Bytes read from the end of a file at first: the page index of most transactions fits.
const TAIL: u64 = 16 << 10;
/// The shortest file: a header, an index size and a trailer.
const MIN_LEN: u64 = (HEADER_LEN + 8 + TRAILER_LEN) as u64;
/// How often a file is read that does not hold together.
const TRIES: u32 = 3;
/// An index that takes a larger part of the bound than this is kept beside the others.
const LARGE_PART: u64 = 4;
/// How many such indexes are loaded at the same time.
const LOADING: usize = 4;
/// About how many bytes the index of a small file takes, for the cache to size itself by.
const TYPICAL: u64 = 512;

/// A file by database, level, transactions and version.
type Key = (Arc<Incarnation>, u8, u64, u64, u64);

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<FileIndex>> for Weight {
    fn weight(&self, _: &Key, index: &Arc<FileIndex>) -> u64 {
        (index.memory() as u64).saturating_add(size_of::<Key>() as u64)
    }
}

/// The indexes of all databases' files.
pub struct Indexes {
    cache: Cache<Key, Arc<FileIndex>, Weight>,
    /// Those that are no part of the cache, because there would be room for little else.
    large: Mutex<Large>,
    /// One is held while an index is loaded that may be large, always the same for a file.
    loading: [tokio::sync::Mutex<()>; LOADING],
    metrics: Metrics,
}

/// The large indexes used last: as many as fit into a bound of their own, and those of the database that was
/// used last in any case, because without them every page would cost their loading. Half of the bound is for
/// the others whatever that one takes; past it, the one of them that takes most loses what it used least lately.
/// Of the database used last those stay that its current position may need: when a file has every page, what was
/// before it is the first to go.
#[derive(Debug)]
struct Large {
    /// What is used last is last.
    kept: Vec<(Key, Arc<FileIndex>)>,
    /// From so many bytes on an index is large.
    from: u64,
    max_bytes: u64,
}

impl Large {
    fn get(&mut self, key: &Key) -> Option<Arc<FileIndex>> {
        let place = self.kept.iter().position(|(kept, _)| kept == key)?;
        let used = self.kept.remove(place);
        let index = Arc::clone(&used.1);
        self.kept.push(used);
        Some(index)
    }

    fn put(&mut self, key: Key, index: Arc<FileIndex>) {
        self.kept.retain(|(kept, _)| *kept != key);
        if index.is_whole() && self.bytes() > self.max_bytes {
            self.kept.retain(|(kept, _)| kept.0 != key.0 || kept.3 >= key.3);
        }
        self.kept.push((key, index));
        while self.bytes() > self.max_bytes
            && let Some(least) = self.least()
        {
            self.kept.remove(least);
        }
    }

    /// The one that is to go first, if the databases that were not used last take more than their half.
    fn least(&self) -> Option<usize> {
        let ((last, _), _) = self.kept.split_last()?;
        let others = || self.kept.iter().enumerate().filter(|(_, (key, _))| key.0 != last.0);
        let mut taken: HashMap<&Incarnation, u64> = HashMap::new();
        for (_, (key, index)) in others() {
            let bytes = taken.entry(&key.0).or_default();
            *bytes = bytes.saturating_add(index.memory() as u64);
        }
        let all = taken.values().copied().fold(0, u64::saturating_add);
        let most = taken.values().copied().max().filter(|_| all > self.max_bytes / 2)?;
        let mut of_most = others().filter(|(_, (key, _))| taken.get(&*key.0) == Some(&most));
        of_most.next().map(|(place, _)| place)
    }

    fn bytes(&self) -> u64 {
        let bytes = self.kept.iter().map(|(_, index)| index.memory() as u64);
        bytes.fold(0, u64::saturating_add)
    }
}

impl std::fmt::Debug for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexes").field("bytes", &self.cache.weight()).finish_non_exhaustive()
    }
}

impl Indexes {
    /// Keeps about so many bytes of them.
    pub fn new(max_bytes: u64, metrics: Metrics) -> Result<Indexes, Error> {
        let count = max_bytes.checked_div(TYPICAL).and_then(|count| usize::try_from(count).ok());
        // One shard: an index may be nearly as large as the whole cache.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(count.unwrap_or(usize::MAX).clamp(32, 1 << 16))
            .weight_capacity(max_bytes)
            .shards(1)
            .build()
            .map_err(std::io::Error::other)?;
        let (hash, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let cache = Cache::with_options(options, Weight, hash, lifecycle);
        let large = Large { kept: Vec::new(), from: max_bytes / LARGE_PART, max_bytes };
        Ok(Indexes { cache, large: Mutex::new(large), loading: Default::default(), metrics })
    }

    /// The index of a file.
    pub async fn get(
        &self,
        objects: &Objects,
        db: &Arc<Incarnation>,
        file: &LtxFile,
    ) -> Result<Arc<FileIndex>, Error> {
        let key = key(db, file);
        let known = self.cache.get(&key).or_else(|| self.large.lock().get(&key));
        if let Some(index) = known {
            self.metrics.cache_hit(Kind::Index);
            return Ok(index);
        }
        self.metrics.cache_miss(Kind::Index);
        if self.may_be_large(file) {
            return self.load_large(objects, db, file, &key).await;
        }
        let load = async { load_surely(objects, db, file).await.map(Arc::new) };
        let index = self.cache.get_or_insert_async(&key, load).await?;
        self.tell_bytes();
        Ok(index)
    }

    /// Loads an index that may be large: the same one once, and a few at a time.
    async fn load_large(
        &self,
        objects: &Objects,
        db: &Arc<Incarnation>,
        file: &LtxFile,
        key: &Key,
    ) -> Result<Arc<FileIndex>, Error> {
        let [place, ..] = file.version.to_le_bytes();
        let _alone = match self.loading.iter().cycle().nth(usize::from(place)) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        let known = self.cache.get(key).or_else(|| self.large.lock().get(key));
        if let Some(index) = known {
            return Ok(index);
        }
        let index = Arc::new(load_surely(objects, db, file).await?);
        self.keep(key.clone(), &index);
        Ok(index)
    }

    /// Whether the index of a file may be large; frames are longer than what an index has of them.
    fn may_be_large(&self, file: &LtxFile) -> bool {
        file.len / 2 > self.large.lock().from
    }

    fn keep(&self, key: Key, index: &Arc<FileIndex>) {
        let mut large = self.large.lock();
        if index.memory() as u64 > large.from {
            large.put(key, Arc::clone(index));
        } else {
            self.cache.insert(key, Arc::clone(index));
        }
        drop(large);
        self.tell_bytes();
    }

    fn tell_bytes(&self) {
        let large = self.large.lock().bytes();
        self.metrics.cache_bytes(Kind::Index, self.cache.weight().saturating_add(large));
    }

    /// Takes in an index that is known because its file was just made.
    pub fn put(&self, db: &Arc<Incarnation>, file: &LtxFile, index: Arc<FileIndex>) {
        self.keep(key(db, file), &index);
    }
}

fn key(db: &Arc<Incarnation>, file: &LtxFile) -> Key {
    (Arc::clone(db), file.level, file.min_txid.0, file.max_txid.0, file.version)
}

/// Reads an index, again when the bytes do not hold together: they may have been damaged on their way.
async fn load_surely(
    objects: &Objects,
    db: &Incarnation,
    file: &LtxFile,
) -> Result<FileIndex, Error> {
    let path = objects.shape.file(db, file);
    for again in 1..TRIES {
        match load(objects, &path, file, again > 1).await {
            Err(Error::Corrupt { .. }) => {}
            done => return done.map(|index| told(index, db)),
        }
    }
    load(objects, &path, file, true).await.map(|index| told(index, db))
}

/// An index whose file may be from before commits had ids: then the life of the database stands for it.
fn told(mut index: FileIndex, db: &Incarnation) -> FileIndex {
    if !index.marks.commit_id.is_set() {
        index.marks.commit_id = db.old_commit_id();
    }
    index
}

async fn load(
    objects: &Objects,
    path: &Path,
    file: &LtxFile,
    fresh: bool,
) -> Result<FileIndex, Error> {
    let len = file.len;
    if len < MIN_LEN {
        return Err(Error::corrupt(path, "it is too short for an LTX file"));
    }
    let read = async |ranges: &[Range<u64>]| objects.read(path, file, ranges, fresh).await;
    let parts = read(&[0..HEADER_LEN as u64, len.saturating_sub(TAIL)..len]).await?;
    let [head, tail] = parts.as_slice() else {
        return Err(Error::corrupt(path, "it could not be read"));
    };
    let corrupt = |error: litevfs::ltx::Error| Error::corrupt(path, error);
    let head = head.first_chunk().ok_or_else(|| Error::corrupt(path, "it has no header"))?;
    let (header, _) = Header::decode(head, Version::V3).map_err(corrupt)?;
    if (header.min_txid, header.max_txid) != (file.min_txid, file.max_txid) {
        return Err(Error::corrupt(path, "its name and its header differ"));
    }
    let needed = PageIndex::tail_len(tail).map_err(corrupt)?;
    let mut tail = tail.clone();
    if needed > tail.len() as u64 {
        let from = len.checked_sub(needed).ok_or_else(|| Error::corrupt(path, "bad index size"))?;
        let parts = read(std::slice::from_ref(&(from..len))).await?;
        let whole = parts.into_iter().next();
        tail = whole.ok_or_else(|| Error::corrupt(path, "it could not be read"))?;
    }
    let decode = move || {
        let index = PageIndex::decode(&tail, len).map_err(|error| error.to_string())?;
        let trailer = post_apply_field(&tail).unwrap_or(Checksum::NONE);
        Ok(FileIndex::new(&header, trailer, &index)?)
    };
    let decoded: Result<FileIndex, String> = offload(needed_len(needed), decode).await?;
    decoded.map_err(|what| Error::corrupt(path, what))
}

/// A length as that of something in memory.
fn needed_len(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// The trailer's post-apply checksum, from the last bytes of a file.
pub(in crate::store) fn post_apply_field(tail: &[u8]) -> Option<Checksum> {
    let trailer = tail.last_chunk::<TRAILER_LEN>()?;
    Some(Checksum(u64::from_be_bytes(*trailer.first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::DbKey;
    use crate::store::bucket::marks::{Marks, stored_header};
    use litevfs::ltx::{Encoder, Format};
    use litevfs::types::{CommitId, PageSize, Pgno, Txid};

    /// Of a file with page 1 of so many.
    fn index(commit: u32) -> Arc<FileIndex> {
        let txid = Txid(2);
        let header = Header::new(PageSize::new(512).unwrap());
        let header = Header { commit, min_txid: txid, max_txid: txid, ..header };
        let marks = Marks {
            pre_apply_checksum: Checksum::NONE,
            post_apply_checksum: Checksum(Checksum::FLAG | 2),
            commit_id: CommitId(3),
            client_timestamp_ms: 4,
            span: 0,
            group: None,
            is_break: false,
        };
        let header = stored_header(&header, &marks, [Pgno::ONE].into_iter());
        let mut encoder = Encoder::new(Vec::new(), Format::V3Frame, header).unwrap();
        encoder.encode_page(Pgno::ONE, &[1; 512]).unwrap();
        let index = encoder.finish(Checksum::NONE).unwrap().index;
        Arc::new(FileIndex::new(&header, Checksum::NONE, &index).unwrap())
    }

    #[test]
    fn a_database_of_many_large_indexes_leaves_others_theirs_and_has_its_own() {
        let whole = index(1);
        let (index, db) = (index(2), |db: &str| {
            let key = DbKey { cluster: "c".parse().unwrap(), db: db.parse().unwrap() };
            Arc::new(Incarnation::first(key))
        });
        let max_bytes = 8 * index.memory() as u64;
        let mut large = Large { kept: Vec::new(), from: 1, max_bytes };
        let key = |name: &str, n: u64| (db(name), 0, n, n, 0);
        let put = |large: &mut Large, name: &str, ns: std::ops::Range<u64>| {
            ns.for_each(|n| large.put(key(name, n), Arc::clone(&index)));
        };
        let has = |large: &Large, name: &str| {
            let of = |(key, _): &&(Key, _)| key.0 == db(name);
            large.kept.iter().filter(of).map(|(key, _)| key.2).collect::<Vec<_>>()
        };
        put(&mut large, "small", 0..2);
        put(&mut large, "other", 0..2);
        put(&mut large, "huge", 0..20);
        assert_eq!((has(&large, "small").len(), has(&large, "other").len()), (2, 2));
        assert_eq!(has(&large, "huge").len(), 20, "each page would cost its loading");
        // Not used any more, it is the first to make room.
        put(&mut large, "small", 2..3);
        assert_eq!(has(&large, "huge"), [17, 18, 19]);
        assert_eq!((has(&large, "small").len(), has(&large, "other").len()), (3, 2));
        // Of what was before a file with every page its position needs nothing.
        put(&mut large, "huge", 20..40);
        large.put(key("huge", 40), whole);
        assert_eq!(has(&large, "huge"), [40]);
    }
}
