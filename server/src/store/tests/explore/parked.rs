//! An object store that parks every request until the explorer has it take effect.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::board::{Board, CLIENTS, Sender, Work};
use super::footprint::{Area, Footprint};
use crate::store::bucket::moment::now_ms;

tokio::task_local! {
    /// The actor on whose behalf a server does something.
    pub static ACTOR: usize;
}

/// The store itself, with a clock that goes with the runtime's.
#[derive(Debug, Default)]
pub struct Memory {
    inner: InMemory,
    written: Mutex<HashMap<Path, DateTime<Utc>>>,
}

impl Memory {
    /// Another store with what is in this one.
    pub fn fork(&self) -> Memory {
        Memory { inner: self.inner.fork(), written: Mutex::new(self.written.lock().clone()) }
    }

    fn note(&self, path: &Path) {
        let now = i64::try_from(now_ms()).ok().and_then(DateTime::from_timestamp_millis);
        self.written.lock().insert(path.clone(), now.unwrap_or_default());
    }

    fn dated(&self, mut meta: ObjectMeta) -> ObjectMeta {
        if let Some(&written) = self.written.lock().get(&meta.location) {
            meta.last_modified = written;
        }
        meta
    }

    fn put(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let put = now(self.inner.put_opts(path, payload, options))?;
        self.note(path);
        Ok(put)
    }

    fn get(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let mut got = now(self.inner.get_opts(path, options))?;
        got.meta = self.dated(got.meta);
        Ok(got)
    }

    fn copy(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        now(self.inner.copy_opts(from, to, options))?;
        self.note(to);
        Ok(())
    }

    fn list(&self, folder: Option<&Path>, after: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let mut listed: Vec<ObjectMeta> = now(self.inner.list(folder).try_collect())?;
        listed.retain(|meta| after.is_none_or(|after| meta.location > *after));
        Ok(listed.into_iter().map(|meta| self.dated(meta)).collect())
    }

    fn folders(&self, folder: Option<&Path>) -> Result<ListResult> {
        let mut listed = now(self.inner.list_with_delimiter(folder))?;
        listed.objects = listed.objects.into_iter().map(|meta| self.dated(meta)).collect();
        Ok(listed)
    }
}

/// What the store in memory does takes no time.
fn now<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("the store in memory waits for nothing")
}

/// A server's connection to the store.
#[derive(Clone)]
pub struct Parked {
    pub memory: Arc<Memory>,
    pub board: Arc<Mutex<Board>>,
    pub server: usize,
}

struct Parking<T, F> {
    work: F,
    done: Option<Result<T>>,
    answer: Option<oneshot::Sender<Result<T>>>,
}

impl<T: Send, F: Fn() -> Result<T> + Send> Work for Parking<T, F> {
    fn apply(&mut self) {
        let done = (self.work)();
        self.done.get_or_insert(done);
    }

    fn answer(&mut self) {
        if let (Some(answer), Some(done)) = (self.answer.take(), self.done.take()) {
            // Whoever asked may have given up.
            let _ = answer.send(done);
        }
    }

    fn fail(&mut self) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Err(lost()));
        }
    }
}

fn lost() -> object_store::Error {
    object_store::Error::Generic { store: "parked", source: "the answer was lost".into() }
}

/// A path without what is random in it, so that it is the same in every run: all incarnations of a name
/// but the first count as one, and so do a sender's files on their way.
fn plain(path: &Path, sender: Sender) -> Path {
    let mut parts: Vec<String> = path.parts().map(|part| part.as_ref().to_owned()).collect();
    if parts.get(1).is_some_and(|part| part == "staging") {
        parts.truncate(2);
        parts.push(format!("{sender:?}"));
    }
    if let Some(part) = parts.get_mut(2)
        && part.len() == 16
        && part.bytes().all(|b| b.is_ascii_hexdigit())
    {
        "anew".clone_into(part);
    }
    Path::from_iter(parts)
}

/// Waits until it is a client's turn to ask something of its server.
pub async fn turn(board: &Mutex<Board>, actor: usize, server: usize) {
    let (answer, arrives) = oneshot::channel();
    let parking = Parking { work: || Ok(()), done: None, answer: Some(answer) };
    let (sender, name) = (Sender::Actor(actor), CLIENTS.to_owned());
    board.lock().park(sender, server, name, Footprint::nothing(), Box::new(parking));
    let _ = arrives.await;
}

/// Parks the creation of an object that nobody waits for any more.
pub fn park_late(board: &Mutex<Board>, memory: &Arc<Memory>, path: &Path, bytes: &Bytes) {
    let (memory, to, payload) = (Arc::clone(memory), path.clone(), bytes.clone());
    let create = PutOptions::from(PutMode::Create);
    let work = move || memory.put(&to, payload.clone().into(), create.clone());
    let parking = Parking { work, done: None, answer: None };
    board.lock().park_late(format!("put {path}"), Footprint::writes(path), Box::new(parking));
}

impl Parked {
    async fn park<T: Send + 'static>(
        &self,
        what: &str,
        path: Option<&Path>,
        footprint: Footprint,
        work: impl Fn(&Memory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let memory = Arc::clone(&self.memory);
        let arrives = {
            let mut board = self.board.lock();
            if !board.parks {
                drop(board);
                return work(&memory);
            }
            let sender = ACTOR.try_with(|&actor| Sender::Actor(actor));
            let sender = sender.unwrap_or(Sender::Server(self.server));
            let plain = |path: &Path| plain(path, sender);
            let name = format!("{what} {}", path.map(plain).unwrap_or_default());
            let footprint = footprint.map(plain);
            let (answer, arrives) = oneshot::channel();
            let work = move || work(&memory);
            let parking = Parking { work, done: None, answer: Some(answer) };
            board.park(sender, self.server, name, footprint, Box::new(parking));
            arrives
        };
        arrives.await.unwrap_or_else(|_| Err(lost()))
    }

    async fn listed(&self, folder: Option<Path>, after: Option<Path>) -> Result<Vec<ObjectMeta>> {
        let footprint =
            Footprint::reads(Area::Listing { folder: folder.clone(), after: after.clone() });
        let place = after.clone().or_else(|| folder.clone());
        self.park("list", place.as_ref(), footprint, move |memory| {
            memory.list(folder.as_ref(), after.as_ref())
        })
        .await
    }

    fn listing(
        &self,
        folder: Option<&Path>,
        after: Option<&Path>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, folder, after) = (self.clone(), folder.cloned(), after.cloned());
        let listed = async move { store.listed(folder, after).await };
        let metas = stream::once(listed).map_ok(|metas| stream::iter(metas).map(Ok));
        metas.try_flatten().boxed()
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parked({})", self.server)
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parked")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Parked {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let to = path.clone();
        let work = move |memory: &Memory| memory.put(&to, payload.clone(), options.clone());
        self.park("put", Some(path), Footprint::writes(path), work).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.park("begin", Some(path), Footprint::nothing(), |_| Ok(())).await?;
        Ok(Box::new(Upload { store: self.clone(), path: path.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let what = if options.head { "head" } else { "get" };
        let (from, footprint) = (path.clone(), Footprint::reads(Area::Object(path.clone())));
        let work = move |memory: &Memory| memory.get(&from, options.clone());
        self.park(what, Some(path), footprint, work).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (from, ranges) = (path.clone(), ranges.to_vec());
        let footprint = Footprint::reads(Area::Object(path.clone()));
        let work = move |memory: &Memory| now(memory.inner.get_ranges(&from, &ranges));
        self.park("read", Some(path), footprint, work).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = paths.then(move |path| {
            let store = store.clone();
            async move {
                let path = path?;
                let gone = path.clone();
                let work = move |memory: &Memory| now(memory.inner.delete(&gone));
                store.park("delete", Some(&path), Footprint::writes(&path), work).await?;
                Ok(path)
            }
        });
        deleted.boxed()
    }

    fn list(&self, folder: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(folder, None)
    }

    fn list_with_offset(
        &self,
        folder: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(folder, Some(offset))
    }

    async fn list_with_delimiter(&self, folder: Option<&Path>) -> Result<ListResult> {
        let of = folder.cloned();
        let footprint = Footprint::reads(Area::Listing { folder: of.clone(), after: None });
        self.park("folders", folder, footprint, move |memory| memory.folders(of.as_ref())).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mut footprint = Footprint::writes(to);
        footprint.reads.push(Area::Object(from.clone()));
        let (from, target) = (from.clone(), to.clone());
        let work = move |memory: &Memory| memory.copy(&from, &target, options.clone());
        self.park("copy", Some(to), footprint, work).await
    }
}

/// A multipart upload. Its parts are nobody else's business; it appears when it is complete.
#[derive(Debug)]
struct Upload {
    store: Parked,
    path: Path,
    parts: Vec<PutPayload>,
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        self.parts.push(part);
        let (store, path) = (self.store.clone(), self.path.clone());
        let sent =
            async move { store.park("part", Some(&path), Footprint::nothing(), |_| Ok(())).await };
        sent.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole: Vec<Bytes> = self.parts.iter().flat_map(|part| part.iter().cloned()).collect();
        let (to, whole) = (self.path.clone(), PutPayload::from_iter(whole));
        let footprint = Footprint::writes(&self.path);
        let work = move |memory: &Memory| memory.put(&to, whole.clone(), PutOptions::default());
        self.store.park("complete", Some(&self.path), footprint, work).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.park("abort", Some(&self.path), Footprint::nothing(), |_| Ok(())).await
    }
}
