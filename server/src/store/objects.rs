//! The object store, in the few words the rest of the store needs.
//!
//! One rule matters above all: [`Objects::create`] makes a file appear whole and durable, or not at
//! all, and never replaces one. Every commit is one such call.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use litevfs::ltx;
use litevfs::types::{ClusterName, DbName, Txid};
use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RenameOptions,
    RenameTargetMode,
};

use super::error::Error;
use super::layout;
use crate::random;
use crate::spool::Spool;

/// Large files are sent to the store in parts of this size.
const PART: usize = 8 << 20;

/// How [`Objects::create`] ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The file is there, and durable.
    New,
    /// A file of that name was there before; it is untouched.
    Exists,
}

/// A stored LTX file, as a listing tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its first transaction.
    pub min_txid: Txid,
    /// Its last transaction.
    pub max_txid: Txid,
    /// Its length in bytes.
    pub len: u64,
}

/// An object store and a local folder for temp files.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    scratch: PathBuf,
    /// The directory that is the store, if one is.
    dir: Option<PathBuf>,
}

impl Objects {
    /// Wraps a store that is a directory.
    pub fn in_dir(store: Arc<dyn ObjectStore>, dir: &FsPath, scratch: &FsPath) -> Objects {
        Objects { store, scratch: scratch.to_owned(), dir: Some(dir.to_owned()) }
    }

    /// The folder for temp files.
    pub fn scratch(&self) -> &FsPath {
        &self.scratch
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

    /// Deletes every file in a folder, the last first: what an interruption leaves is a history.
    pub async fn delete_all(&self, folder: &Path) -> Result<(), Error> {
        let mut files: Vec<Path> =
            self.store.list(Some(folder)).map_ok(|meta| meta.location).try_collect().await?;
        files.sort_unstable();
        for file in files.iter().rev() {
            self.delete(file).await?;
        }
        self.settle(folder).await
    }

    /// The LTX files in a folder, by transaction. Other files are passed over: the store's own
    /// staging files, left by a killed process, are not even listed.
    pub async fn ltx_files(&self, folder: &Path) -> Result<Vec<Listed>, Error> {
        let mut files: Vec<Listed> = self
            .store
            .list(Some(folder))
            .try_filter_map(async |meta| {
                let name = meta.location.filename().and_then(ltx::parse_file_name);
                if name.is_none() {
                    tracing::warn!(file = %meta.location, "not an LTX file name: passed over");
                }
                Ok(name.map(|(min_txid, max_txid)| Listed { min_txid, max_txid, len: meta.size }))
            })
            .try_collect()
            .await?;
        files.sort_unstable();
        Ok(files)
    }

    /// Makes sure that what is to be seen in a folder outlasts a power cut.
    ///
    /// In a directory, a file or folder is seen as soon as it is made, which is before it is synced;
    /// when that sync fails, or another commit's waits, it is seen all the same. Whoever builds on
    /// what is seen must therefore call this first.
    pub async fn settle(&self, folder: &Path) -> Result<(), Error> {
        let Some(dir) = self.dir.clone() else {
            return Ok(());
        };
        let folder = dir.join(folder.as_ref());
        let settled = tokio::task::spawn_blocking(move || {
            let inside = folder.ancestors().take_while(|folder| folder.starts_with(&dir));
            inside.map(File::open).try_for_each(|folder| folder?.sync_all())
        });
        match settled.await.map_err(io::Error::other)? {
            // With no folder there is nothing to be seen.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            settled => Ok(settled?),
        }
    }

    /// Reads ranges of one file.
    pub async fn read(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        let parts = self.store.get_ranges(path, ranges).await?;
        let whole = |(part, range): (&Bytes, &Range<u64>)| {
            part.len() as u64 == range.end.saturating_sub(range.start)
        };
        if parts.len() != ranges.len() || !parts.iter().zip(ranges).all(whole) {
            return Err(Error::corrupt(path, "it is shorter than it was"));
        }
        Ok(parts)
    }

    /// Makes a file, whole and durable, unless there is one.
    ///
    /// After an error it is not known whether the file is there.
    pub async fn create(&self, path: &Path, content: Spool) -> Result<Created, Error> {
        let result = match content.in_memory() {
            Some(bytes) => {
                let options = PutMode::Create.into();
                self.store.put_opts(path, bytes.into(), options).await.map(drop)
            }
            None => self.create_large(path, content).await?,
        };
        match result {
            Ok(()) => Ok(Created::New),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(Created::Exists),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a file in parts under another name, then moves it to its place unless that is taken.
    async fn create_large(
        &self,
        path: &Path,
        content: Spool,
    ) -> Result<object_store::Result<()>, Error> {
        let name = random::hex::<16>()?;
        let staged = layout::staging().join(name);
        let mut upload = self.store.put_multipart(&staged).await?;
        if let Err(error) = send_parts(&mut *upload, content).await {
            // Best effort: what stays is outside every database, and removed at the next start.
            let _ = upload.abort().await;
            return Err(error);
        }
        upload.complete().await?;
        let options = RenameOptions::new().with_target_mode(RenameTargetMode::Create);
        let result = self.store.rename_opts(&staged, path, options).await;
        if result.is_err() {
            let _ = self.store.delete(&staged).await;
        }
        Ok(result)
    }

    /// Whether there is an object.
    pub async fn exists(&self, path: &Path) -> Result<bool, Error> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a small object whole.
    pub async fn get(&self, path: &Path) -> Result<Bytes, Error> {
        Ok(self.store.get(path).await?.bytes().await?)
    }

    /// Makes a small object unless there is one.
    pub async fn create_small(&self, path: &Path, text: String) -> Result<Created, Error> {
        match self.store.put_opts(path, text.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(Created::New),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Exists),
            Err(error) => Err(error.into()),
        }
    }
}

async fn send_parts(upload: &mut dyn MultipartUpload, content: Spool) -> Result<(), Error> {
    let content = Arc::new(content);
    let mut offset = 0_u64;
    while offset < content.len() {
        let source = Arc::clone(&content);
        let part = tokio::task::spawn_blocking(move || read_part(&source, offset));
        let part = part.await.map_err(io::Error::other)??;
        offset = offset.saturating_add(part.len() as u64);
        upload.put_part(PutPayload::from(part)).await?;
    }
    Ok(())
}

fn read_part(content: &Spool, offset: u64) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    content.reader_from(offset)?.take(PART as u64).read_to_end(&mut part)?;
    if part.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(part) }
}
