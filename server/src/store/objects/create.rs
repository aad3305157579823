//! Makes a file appear whole and durable, or not at all, and never in place of another.
//!
//! Every commit is one such call, so its answer must be right whatever the store answers: a store may
//! fail after it did what it was asked, or claim that a file exists because its own first try made it.
//! So after any answer but a clear yes the file itself is looked at, and the creation is repeated until
//! that settles it.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use litevfs::ltx::{HEADER_LEN, TRAILER_LEN};
use litevfs::types::Txid;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, RenameOptions, RenameTargetMode, UpdateVersion,
};

use tokio::time::Instant;

use super::direct::{self, on_the_spot};
use super::reads::{Objects, fresh_name};
use crate::offload::aside;
use crate::spool::Spool;
use crate::store::bucket::error::{Error, is_full};
use crate::store::bucket::layout::{self, Shape};
use crate::store::bucket::ltx_file::{LtxFile, version};
use crate::store::bucket::moment::now_ms;

/// Large files are sent to the store in parts of this size, or larger if there were too many.
const PART: u64 = 8 << 20;
const MAX_PARTS: u64 = 9000;
/// The largest object that S3 copies in one call.
const MAX_MOVED: u64 = 5 << 30;
/// How long a creation is tried again while it is not known what became of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause before the second try; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How a creation ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The file is there, and durable; its version.
    New(u64),
    /// Another file of that name was there before; it is untouched.
    Exists,
}

impl LtxFile {
    /// A file that was stored just now.
    pub(in crate::store) fn stored(
        level: u8,
        (min_txid, max_txid): (Txid, Txid),
        len: u64,
        version: u64,
    ) -> LtxFile {
        LtxFile { level, min_txid, max_txid, len, version, written_ms: now_ms() }
    }
}

impl Objects {
    /// Makes an LTX file unless there is one; the time is when it was committed, in ms.
    ///
    /// After an error it is not known whether the file is there, or will be.
    pub async fn create(
        &self,
        path: &Path,
        content: &Arc<Spool>,
        timestamp_ms: u64,
    ) -> Result<Created, Error> {
        self.create_staged(path, content, timestamp_ms, None).await
    }

    /// The same with content that [`Objects::stage`] has sent already.
    pub async fn create_staged(
        &self,
        path: &Path,
        content: &Arc<Spool>,
        timestamp_ms: u64,
        mut staged: Option<Path>,
    ) -> Result<Created, Error> {
        let deadline = Instant::now().checked_add(PATIENCE);
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match self.try_create(path, content, timestamp_ms, staged.take()).await {
                Ok(Some(version)) => return Ok(Created::New(version)),
                Ok(None) => match self.compare(path, content).await {
                    Ok(Compared::Same(version)) => return Ok(Created::New(version)),
                    Ok(Compared::Other) => return Ok(Created::Exists),
                    Ok(Compared::None) => {
                        Error::Io(io::Error::other("the store says that a missing file exists"))
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let late = deadline.is_none_or(|deadline| Instant::now() >= deadline);
            if late || !self.is_shared() || is_full(&failure) {
                return Err(failure);
            }
            tracing::warn!(file = %path, error = %failure, "creating it again");
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// One try; `None` when the store says that there is such a file.
    async fn try_create(
        &self,
        path: &Path,
        content: &Arc<Spool>,
        timestamp_ms: u64,
        staged: Option<Path>,
    ) -> Result<Option<u64>, Error> {
        if let Some(made) = self.create_in_dir(path, content).await? {
            return Ok(made);
        }
        let made = self.making(None, async {
            let made = match content.in_memory() {
                Some(bytes) => {
                    let options = self.options(timestamp_ms);
                    let put = self.store.put_opts(path, bytes.into(), options);
                    let put = self.timed("put", put).await;
                    put.map(|put| version(put.e_tag.as_deref()))
                }
                None => self.create_large(path, content, staged).await?,
            };
            if_free(made)
        });
        made.await
    }

    /// One try on a directory, with what [`Objects::try_create`] returns; `None` when this is not for
    /// here.
    async fn create_in_dir(
        &self,
        path: &Path,
        content: &Arc<Spool>,
    ) -> Result<Option<Option<u64>>, Error> {
        let (Some(dir), Some(bytes)) = (&self.dir, content.in_memory()) else {
            return Ok(None);
        };
        let file = dir.join(path.as_ref());
        let folder = path.parent();
        let made = self.making(folder.as_ref(), async {
            let make = on_the_spot(move || direct::create(&file, &bytes));
            match self.timed("put", make).await {
                Ok(Some(version)) => Ok(Some(Some(version))),
                Ok(None) => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Some(None)),
                Err(error) => Err(error.into()),
            }
        });
        made.await
    }

    fn options(&self, timestamp_ms: u64) -> PutOptions {
        let mut options = PutOptions::from(PutMode::Create);
        if self.shape == Shape::S3 {
            // Litestream's clients take the time of a file from here.
            let at =
                i64::try_from(timestamp_ms).ok().and_then(DateTime::<Utc>::from_timestamp_millis);
            let text = at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Nanos, true);
            let key = Attribute::Metadata("litestream-timestamp".into());
            options.attributes = Attributes::from_iter([(key, text)]);
        }
        options
    }

    /// Sends a large file in parts under another name, for that may take minutes; returns that name. A
    /// small one goes up with its creation.
    pub async fn stage(&self, content: &Arc<Spool>) -> Result<Option<Path>, Error> {
        if content.in_memory().is_some() {
            return Ok(None);
        }
        let staged = layout::staging().join(fresh_name()?);
        self.send(&staged, content).await?;
        Ok(Some(staged))
    }

    /// Moves a large file that was staged to its place unless that is taken.
    async fn create_large(
        &self,
        path: &Path,
        content: &Arc<Spool>,
        staged: Option<Path>,
    ) -> Result<object_store::Result<u64>, Error> {
        let staged = match staged {
            Some(staged) => staged,
            None => self.stage(content).await?.ok_or_else(|| io::Error::other("it is small"))?,
        };
        let options = RenameOptions::new().with_target_mode(RenameTargetMode::Create);
        if let Err(error) = self.store.rename_opts(&staged, path, options).await {
            let _ = self.store.delete(&staged).await;
            return Ok(Err(error));
        }
        let meta = self.store.head(path).await?;
        Ok(Ok(version(meta.e_tag.as_deref())))
    }

    /// Makes an LTX file that was merged from others.
    ///
    /// One too large to be moved on a condition is sent to its place. There it takes the place of none but
    /// one that has the same pages: nothing else is ever made under its name in its incarnation.
    pub async fn create_merged(
        &self,
        path: &Path,
        content: &Arc<Spool>,
        timestamp_ms: u64,
    ) -> Result<Created, Error> {
        if content.len() <= MAX_MOVED || !self.is_shared() {
            return self.create(path, content, timestamp_ms).await;
        }
        self.send(path, content).await?;
        let meta = self.timed("head", self.store.head(path)).await?;
        Ok(Created::New(version(meta.e_tag.as_deref())))
    }

    /// Sends a large file in parts. It appears with the last of them, in place of any other.
    async fn send(&self, path: &Path, content: &Arc<Spool>) -> Result<(), Error> {
        let mut upload = self.store.put_multipart(path).await?;
        if let Err(error) = send_parts(&mut *upload, content).await {
            // Best effort: what stays is not to be seen.
            let _ = upload.abort().await;
            return Err(error);
        }
        self.timed("put", upload.complete()).await?;
        Ok(())
    }

    /// Looks at the file in a place: an LTX file's header and file checksum stand for all of it.
    async fn compare(&self, path: &Path, content: &Arc<Spool>) -> Result<Compared, Error> {
        let meta = match self.timed("head", self.store.head(path)).await {
            Ok(meta) => meta,
            Err(object_store::Error::NotFound { .. }) => return Ok(Compared::None),
            Err(error) => return Err(error.into()),
        };
        if meta.size != content.len() {
            return Ok(Compared::Other);
        }
        let tail_at = meta.size.saturating_sub(TRAILER_LEN as u64);
        let ranges = [0..(HEADER_LEN as u64).min(meta.size), tail_at..meta.size];
        let parts = self.store.get_ranges(path, &ranges).await?;
        let source = Arc::clone(content);
        let ours = aside(move || ends(&source)).await??;
        let same = parts.iter().map(|part| part.as_ref()).eq(ours.iter().map(Vec::as_slice));
        Ok(if same { Compared::Same(version(meta.e_tag.as_deref())) } else { Compared::Other })
    }

    /// Puts another LTX file in the place of one, unless that has changed since it was listed.
    pub async fn replace(
        &self,
        path: &Path,
        old: &LtxFile,
        content: &Arc<Spool>,
        timestamp_ms: u64,
    ) -> Result<(), Error> {
        let Some(bytes) = content.in_memory() else {
            return Err(Error::Io(io::ErrorKind::FileTooLarge.into()));
        };
        let meta = match self.timed("head", self.store.head(path)).await {
            Ok(meta) if version(meta.e_tag.as_deref()) == old.version => meta,
            Ok(_) | Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut options = self.options(timestamp_ms);
        options.mode = if self.is_shared() {
            PutMode::Update(UpdateVersion { e_tag: meta.e_tag, version: meta.version })
        } else {
            PutMode::Overwrite
        };
        let put = self.timed("put", self.store.put_opts(path, bytes.into(), options));
        // Whoever put another there did the same.
        self.making(None, async { if_free(put.await).map(drop) }).await
    }

    /// Writes an object that nothing needs, for the time that the store gives it; returns where.
    pub(in crate::store) async fn touch(&self) -> Result<Path, Error> {
        let path = layout::touched();
        let put = self.timed("put", self.store.put(&path, Bytes::new().into()));
        self.making(None, async { Ok::<_, Error>(put.await?) }).await?;
        Ok(path)
    }

    /// Makes a small object unless there is one; returns whether it did.
    pub async fn create_small(&self, path: &Path, text: String) -> Result<bool, Error> {
        let put = self.store.put_opts(path, text.into(), PutMode::Create.into());
        let put = self.timed("put", put);
        self.making(None, async { Ok(if_free(put.await)?.is_some()) }).await
    }
}

/// What came of a creation; `None` when its place was taken.
fn if_free<T>(made: object_store::Result<T>) -> Result<Option<T>, Error> {
    use object_store::Error as E;
    match made {
        Ok(made) => Ok(Some(made)),
        Err(E::AlreadyExists { .. } | E::Precondition { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

enum Compared {
    /// The file is ours; its version.
    Same(u64),
    /// It is another.
    Other,
    /// There is none.
    None,
}

/// The header and the trailer of a spooled LTX file.
fn ends(content: &Spool) -> io::Result<[Vec<u8>; 2]> {
    let mut head = Vec::new();
    content.reader_from(0)?.take(HEADER_LEN as u64).read_to_end(&mut head)?;
    let mut tail = Vec::new();
    let tail_at = content.len().saturating_sub(TRAILER_LEN as u64);
    content.reader_from(tail_at)?.read_to_end(&mut tail)?;
    Ok([head, tail])
}

async fn send_parts(upload: &mut dyn MultipartUpload, content: &Arc<Spool>) -> Result<(), Error> {
    let len_bytes = content.len().div_ceil(MAX_PARTS).max(PART);
    let mut offset = 0_u64;
    while offset < content.len() {
        let source = Arc::clone(content);
        let part = aside(move || read_part(&source, offset, len_bytes)).await??;
        offset = offset.saturating_add(part.len() as u64);
        upload.put_part(PutPayload::from(part)).await?;
    }
    Ok(())
}

fn read_part(content: &Spool, offset: u64, len_bytes: u64) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    content.reader_from(offset)?.take(len_bytes).read_to_end(&mut part)?;
    if part.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(part) }
}
