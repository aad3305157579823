//! The object store, in the few words the rest of the store needs.
//!
//! Reads are repeated when they fail for a passing reason; what is read is only as good as what checks
//! it, which is the caller's. [`super::create`] has the one way to make a file.

use std::io;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use litevfs::types::{ClusterName, DbName, Txid};
use object_store::path::Path;
use object_store::{
    GetOptions, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt,
    coalesce_ranges,
};
use parking_lot::Mutex;

use super::blocks::Blocks;
use super::direct::{self, on_the_spot};
use super::unsynced::Unsynced;
use crate::key::DbKey;
use crate::metrics::Metrics;
use crate::store::bucket::error::Error;
use crate::store::bucket::incarnation::{Incarnation, IncarnationId};
use crate::store::bucket::layout::{self, Shape};
use crate::store::bucket::ltx_file::{LtxFile, version};
use crate::store::bucket::rules;

/// How often a read is tried.
const READ_TRIES: u32 = 4;
/// After so long it is not tried again: each try has a patience of its own.
const LONGEST_READ: Duration = Duration::from_secs(10);
/// The pause before the second try; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// An object store and a local folder for temp files.
#[derive(Debug, Clone)]
pub struct Objects {
    pub(in crate::store) store: Arc<dyn ObjectStore>,
    pub(in crate::store) shape: Shape,
    /// What people call the store; never with a secret in it.
    name: Arc<str>,
    scratch: PathBuf,
    /// The directory that is the store, if one is.
    pub(in crate::store) dir: Option<PathBuf>,
    /// Held while a small object of a directory is written over another: see [`direct::swap`].
    pub(in crate::store) swaps: Arc<Mutex<()>>,
    /// What is being made in a directory, or was left unfinished.
    pub(in crate::store) unsynced: Arc<Unsynced>,
    blocks: Option<Arc<Blocks>>,
    metrics: Metrics,
}

impl Objects {
    /// Wraps a store that is a directory, and this process's alone.
    pub fn in_dir(
        store: Arc<dyn ObjectStore>,
        dir: &FsPath,
        scratch: &FsPath,
        metrics: Metrics,
    ) -> Objects {
        Objects {
            store,
            shape: Shape::Folders,
            // Clients need not know where on this machine it is.
            name: dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into(),
            scratch: scratch.to_owned(),
            dir: Some(dir.to_owned()),
            swaps: Arc::default(),
            unsynced: Arc::default(),
            blocks: None,
            metrics,
        }
    }

    /// Wraps a store that other servers may use at the same time.
    pub fn shared(
        store: Arc<dyn ObjectStore>,
        shape: Shape,
        name: &str,
        scratch: &FsPath,
        blocks: Option<Blocks>,
        metrics: Metrics,
    ) -> Objects {
        Objects {
            store,
            shape,
            name: name.into(),
            scratch: scratch.to_owned(),
            dir: None,
            swaps: Arc::default(),
            unsynced: Arc::default(),
            blocks: blocks.map(Arc::new),
            metrics,
        }
    }

    /// What people call the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder for temp files.
    pub fn scratch(&self) -> &FsPath {
        &self.scratch
    }

    /// Whether other servers may write to it.
    pub const fn is_shared(&self) -> bool {
        self.dir.is_none()
    }

    /// The clusters that have databases, by their folders, and those made by name.
    pub async fn clusters(&self) -> Result<Vec<ClusterName>, Error> {
        let folders = self.store.list_with_delimiter(None).await?.common_prefixes;
        let made: Vec<ObjectMeta> =
            self.store.list(Some(&layout::clusters())).try_collect().await?;
        let paths = folders.iter().chain(made.iter().map(|meta| &meta.location));
        let mut names: Vec<ClusterName> =
            paths.filter_map(|path| path.filename()?.parse().ok()).collect();
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Ok(names)
    }

    /// The databases of a cluster, by their folders.
    pub async fn databases(&self, cluster: &ClusterName) -> Result<Vec<DbName>, Error> {
        self.names(Some(&layout::cluster(cluster))).await
    }

    /// The names of the folders and files in a folder, or at the top.
    pub async fn names<T: FromStr>(&self, folder: Option<&Path>) -> Result<Vec<T>, Error> {
        let listing = self.store.list_with_delimiter(folder).await?;
        let files = listing.objects.iter().map(|meta| &meta.location);
        let paths = listing.common_prefixes.iter().chain(files);
        Ok(paths.filter_map(|path| path.filename()?.parse().ok()).collect())
    }

    /// Deletes a file, if it is there.
    pub async fn delete(&self, path: &Path) -> Result<(), Error> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All LTX files of an incarnation. Other files are passed over: a directory's own staging files, left
    /// by a killed process, are not even listed.
    pub async fn ltx_files(&self, db: &Incarnation) -> Result<Vec<LtxFile>, Error> {
        let folder = self.shape.files(db);
        let listed = self.again("list", || self.parsed(self.store.list(Some(&folder)))).await?;
        Ok(listed.into_iter().filter(|(id, _)| *id == db.id).map(|(_, file)| file).collect())
    }

    /// All LTX files of a name, each with its incarnation.
    pub async fn files_of_name(
        &self,
        key: &DbKey,
    ) -> Result<Vec<(Option<IncarnationId>, LtxFile)>, Error> {
        let folder = layout::database(key);
        self.again("list", || self.parsed(self.store.list(Some(&folder)))).await
    }

    /// The level-0 files that begin with a transaction or after it.
    pub async fn committed_from(
        &self,
        db: &Incarnation,
        txid: Txid,
    ) -> Result<Vec<LtxFile>, Error> {
        let folder = self.shape.level(db, 0);
        // Sorts right before the names of all files that begin with it.
        let offset = folder.clone().join(txid.to_string());
        let list = || self.parsed(self.store.list_with_offset(Some(&folder), &offset));
        Ok(self.again("list", list).await?.into_iter().map(|(_, file)| file).collect())
    }

    /// Parses a listing as it arrives: of many thousands of files, names and tags take much more room.
    async fn parsed(
        &self,
        listed: BoxStream<'static, object_store::Result<ObjectMeta>>,
    ) -> object_store::Result<Vec<(Option<IncarnationId>, LtxFile)>> {
        listed.try_filter_map(async |meta| Ok(self.parse(&meta))).try_collect().await
    }

    fn parse(&self, meta: &ObjectMeta) -> Option<(Option<IncarnationId>, LtxFile)> {
        let parsed = self.shape.parse(&meta.location);
        if parsed.is_none() {
            tracing::warn!(file = %meta.location, "not an LTX file: passed over");
        }
        let layout::Named { id, level, min_txid, max_txid } = parsed?;
        let written_ms = written_ms(meta);
        let version = version(meta.e_tag.as_deref());
        Some((id, LtxFile { level, min_txid, max_txid, len: meta.size, version, written_ms }))
    }

    /// When an object was written, in ms since the Unix epoch, by the store's clock; `None` when it is
    /// not there.
    pub(in crate::store) async fn written_at(&self, path: &Path) -> Result<Option<u64>, Error> {
        match self.again("head", || self.store.head(path)).await {
            Ok(meta) => Ok(Some(written_ms(&meta))),
            Err(Error::Gone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads ranges of one LTX file, which may be cached on the local disk. `fresh` goes past that.
    ///
    /// Fails with [`Error::Gone`] when there is no such file.
    pub async fn read(
        &self,
        path: &Path,
        file: &LtxFile,
        ranges: &[Range<u64>],
        fresh: bool,
    ) -> Result<Vec<Bytes>, Error> {
        let Some(blocks) = &self.blocks else {
            return self.read_ranges(path, file.version, ranges).await;
        };
        let reading = blocks.begin(path, file, ranges, fresh).await?;
        let fetched = if reading.missing.is_empty() {
            Vec::new()
        } else {
            self.read_ranges(path, file.version, &reading.missing).await?
        };
        blocks.end(reading, fetched, ranges)
    }

    /// Reads ranges of that version of a file. Another may have its name by now: a commit that came late,
    /// after the file was merged and removed.
    async fn read_ranges(
        &self,
        path: &Path,
        version: u64,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, Error> {
        let parts = match &self.dir {
            Some(dir) => self.again("get", || read_file(dir, path, version, ranges)).await?,
            None => {
                let read = |range| self.read_range(path, version, range);
                let read = || coalesce_ranges(ranges, read, OBJECT_STORE_COALESCE_DEFAULT);
                self.again("get", read).await?
            }
        };
        let whole = |(part, range): (&Bytes, &Range<u64>)| {
            part.len() as u64 == range.end.saturating_sub(range.start)
        };
        if parts.len() != ranges.len() || !parts.iter().zip(ranges).all(whole) {
            return Err(Error::corrupt(path, "it is shorter than it was"));
        }
        Ok(parts)
    }

    async fn read_range(
        &self,
        path: &Path,
        wanted: u64,
        range: Range<u64>,
    ) -> object_store::Result<Bytes> {
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        let got = self.store.get_opts(path, options).await?;
        if rules::may_read(version(got.meta.e_tag.as_deref()), wanted) {
            return got.bytes().await;
        }
        let source = "another file has its name".into();
        Err(object_store::Error::NotFound { path: path.to_string(), source })
    }

    /// Reads a small object whole; `None` when there is none.
    pub async fn get(&self, path: &Path) -> Result<Option<Bytes>, Error> {
        let got = self.again("get", || async { self.store.get(path).await?.bytes().await }).await;
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::Gone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is an object.
    pub async fn exists(&self, path: &Path) -> Result<bool, Error> {
        match self.again("head", || self.store.head(path)).await {
            Ok(_) => Ok(true),
            Err(Error::Gone(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes objects that nothing needs any more, however late; one that is gone already is fine.
    pub async fn remove(&self, paths: Vec<Path>) -> Result<(), Error> {
        let removals = paths.into_iter().map(|path| self.remove_one(path).boxed());
        let removals = stream::iter(removals.collect::<Vec<_>>());
        removals.buffer_unordered(PARALLEL_REMOVALS).try_collect().await
    }

    async fn remove_one(&self, path: Path) -> Result<(), Error> {
        match self.timed("delete", self.store.delete(&path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::from(error)),
        }
    }

    /// Removes the empty folders of a directory, if the store is one. One that is not empty stays.
    pub async fn remove_folder(&self, folder: &Path) {
        let Some(dir) = &self.dir else {
            return;
        };
        let folder = dir.join(folder.as_ref());
        let _ = tokio::task::spawn_blocking(move || remove_empty(&folder)).await;
    }

    /// Does something that changes nothing, again when it fails for a reason that may pass.
    async fn again<T, F>(&self, op: &'static str, work: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        self.patiently(|| async { Ok(self.timed(op, work()).await?) }).await
    }

    pub(in crate::store) async fn patiently<T, F>(&self, work: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        for _ in 1..READ_TRIES {
            if began.elapsed() > LONGEST_READ {
                break;
            }
            match work().await {
                Err(error) if may_pass(&error) => tracing::debug!(%error, "reading again"),
                done => return done,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        work().await
    }
}

impl Objects {
    /// Counts a request to the store.
    pub(in crate::store) async fn timed<T, E>(
        &self,
        op: &'static str,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = Instant::now();
        let done = request.await;
        self.metrics.store_request(op, done.is_ok(), began.elapsed());
        done
    }
}

/// How many objects are removed at the same time.
const PARALLEL_REMOVALS: usize = 8;

fn remove_empty(folder: &FsPath) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let _ = remove_empty(&entry.path());
        }
    }
    std::fs::remove_dir(folder)
}

/// Reads ranges of a file in a directory; what fails is told as the object store would.
async fn read_file(
    dir: &FsPath,
    path: &Path,
    version: u64,
    ranges: &[Range<u64>],
) -> object_store::Result<Vec<Bytes>> {
    let (file, ranges) = (dir.join(path.as_ref()), ranges.to_vec());
    let read = on_the_spot(move || direct::read(&file, version, &ranges)).await;
    read.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            object_store::Error::NotFound { path: path.to_string(), source: error.into() }
        }
        _ => object_store::Error::Generic { store: "directory", source: error.into() },
    })
}

/// Whether trying again may help.
fn may_pass(error: &Error) -> bool {
    use object_store::Error as E;
    matches!(error, Error::Objects(E::Generic { .. } | E::JoinError { .. }))
}

pub(in crate::store) fn written_ms(meta: &ObjectMeta) -> u64 {
    u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0)
}

/// Names a temp or scratch object so that no other has the name.
pub(in crate::store) fn fresh_name() -> io::Result<String> {
    crate::random::hex::<16>()
}
