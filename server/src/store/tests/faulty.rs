//! An object store in memory that fails as real ones do: before or after it did what it was asked, late,
//! with false answers, or with bytes that were damaged on their way.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Extensions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use parking_lot::Mutex;

use super::memory::Memory;

/// One in so many requests fails; 0 for none.
#[derive(Debug)]
pub struct Faults {
    rate: AtomicU32,
    state: AtomicU64,
    pub injected: AtomicU32,
    /// How long a put of an LTX file is on its way, and how long each removal, in ms.
    pub slow_puts: AtomicU32,
    pub slow_deletes: AtomicU32,
    /// How many claims, when next put on, are missing although they can be read.
    pub torn_claims: AtomicU32,
    /// Whether no snapshot can be made.
    pub no_snapshots: AtomicBool,
    /// Whether nothing is answered any more: the server is dead.
    pub cut: AtomicBool,
    /// One in so many requests is held for up to hours; 0 for none.
    pub held: AtomicU32,
    /// What is to become of requests yet to be sent.
    late: Mutex<Vec<Late>>,
}

/// What is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Put,
    List,
}

/// What is to become of the next request of a kind that has that in its path.
#[derive(Debug, Clone)]
struct Late {
    ask: Ask,
    part: String,
    /// How long it is on its way.
    before: Duration,
    /// How long its answer is; `None` when it fails at once, and all after it.
    after: Option<Duration>,
}

/// How long a request is on its way.
const TRIP: Duration = Duration::from_millis(1);

async fn pause(ms: &AtomicU32) {
    let ms = ms.load(Ordering::SeqCst);
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms.into())).await;
    }
}

impl Faults {
    pub fn new(seed: u64) -> Arc<Faults> {
        let state = AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Arc::new(Faults {
            rate: AtomicU32::new(0),
            state,
            injected: AtomicU32::new(0),
            slow_puts: AtomicU32::new(0),
            slow_deletes: AtomicU32::new(0),
            torn_claims: AtomicU32::new(0),
            no_snapshots: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            held: AtomicU32::new(0),
            late: Mutex::default(),
        })
    }

    /// Has the next request of a kind with that in its path take so long before it takes effect, and its
    /// answer so long after.
    pub fn delay(&self, ask: Ask, part: &str, before: Duration, after: Duration) {
        self.late.lock().push(Late { ask, part: part.to_owned(), before, after: Some(after) });
    }

    /// Has all puts with that in their path fail, and take effect so long after.
    pub fn lose(&self, part: &str, before: Duration) {
        let part = part.to_owned();
        self.late.lock().push(Late { ask: Ask::Put, part, before, after: None });
    }

    /// Has nothing more be lost.
    pub fn lose_no_more(&self) {
        self.late.lock().retain(|late| late.after.is_some());
    }

    fn late(&self, ask: Ask, path: &Path) -> Option<Late> {
        let mut late = self.late.lock();
        let wanted = |late: &Late| late.ask == ask && path.as_ref().contains(&late.part);
        let at = late.iter().position(wanted)?;
        Some(if late[at].after.is_some() { late.remove(at) } else { late[at].clone() })
    }

    /// How long a request is held, if it is, and in which of so many ways.
    fn hold(&self, ways: u32) -> Option<(Duration, u32)> {
        const SECONDS: [u64; 5] = [5, 20, 100, 3000, 36_000];
        let held = self.held.load(Ordering::SeqCst);
        if held == 0 || self.below(held) > 0 {
            return None;
        }
        self.injected.fetch_add(1, Ordering::SeqCst);
        let seconds = SECONDS[self.below(SECONDS.len() as u32) as usize];
        Some((Duration::from_secs(seconds), self.below(ways)))
    }

    async fn trip(&self) {
        if self.cut.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        // So that work can be given up between any two requests, and no two are at one time.
        tokio::time::sleep(TRIP).await;
    }

    /// Returns the rate so far.
    pub fn set_rate(&self, one_in: u32) -> u32 {
        self.rate.swap(one_in, Ordering::SeqCst)
    }

    /// A number below `limit`.
    pub fn below(&self, limit: u32) -> u32 {
        let next = |state: u64| {
            let state = state ^ (state << 13);
            let state = state ^ (state >> 7);
            Some(state ^ (state << 17))
        };
        let state = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        ((state.unwrap_or(1) >> 33) % u64::from(limit.max(1))) as u32
    }

    /// Which of `kinds` faults to inject now.
    fn strike(&self, kinds: u32) -> Option<u32> {
        let rate = self.rate.load(Ordering::SeqCst);
        let strikes = rate > 0 && self.below(rate) == 0;
        strikes.then(|| {
            self.injected.fetch_add(1, Ordering::SeqCst);
            self.below(kinds)
        })
    }
}

#[derive(Debug)]
pub struct Faulty {
    pub inner: Arc<Memory>,
    pub faults: Arc<Faults>,
    /// Whether conditions are ignored, as some stores do without a word.
    pub lax: bool,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

fn failed(what: &'static str) -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: what.into() }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        if self.lax {
            options.mode = PutMode::Overwrite;
        }
        let create = matches!(options.mode, PutMode::Create);
        self.faults.trip().await;
        match self.faults.late(Ask::Put, path) {
            Some(Late { before, after: Some(after), .. }) => {
                tokio::time::sleep(before).await;
                let put = self.inner.put_opts(path, payload, options).await;
                tokio::time::sleep(after).await;
                return put;
            }
            Some(Late { before, after: None, .. }) => {
                let (inner, path) = (Arc::clone(&self.inner), path.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(before).await;
                    let _ = inner.put_opts(&path, payload, options).await;
                });
                return Err(failed("timeout"));
            }
            None => {}
        }
        match self.faults.hold(4) {
            None => {}
            Some((long, 0)) => tokio::time::sleep(long).await,
            Some((long, 1)) => {
                let put = self.inner.put_opts(path, payload, options).await;
                tokio::time::sleep(long).await;
                return put;
            }
            // It comes once more, or late after it failed.
            Some((long, way)) => {
                let again = (Arc::clone(&self.inner), path.clone(), payload.clone());
                let (inner, to, bytes) = again;
                let once_more = options.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(long).await;
                    let _ = inner.put_opts(&to, bytes, once_more).await;
                });
                if way == 2 {
                    return self.inner.put_opts(path, payload, options).await;
                }
                return Err(failed("timeout, and it comes late"));
            }
        }
        if path.as_ref().ends_with(".ltx") {
            pause(&self.faults.slow_puts).await;
        }
        let is_snapshot = path.parts().any(|part| part.as_ref() == "0009");
        if is_snapshot && self.faults.no_snapshots.load(Ordering::SeqCst) {
            return Err(failed("no snapshots now"));
        }
        if path.as_ref().contains("/claims/") && self.faults.torn_claims.load(Ordering::SeqCst) > 0
        {
            if !create {
                let source = "404 for what is there".into();
                return Err(object_store::Error::Precondition { path: path.to_string(), source });
            }
            self.faults.torn_claims.fetch_sub(1, Ordering::SeqCst);
            return self.inner.put_opts(path, payload, PutMode::Overwrite.into()).await;
        }
        match self.faults.strike(5) {
            None => self.inner.put_opts(path, payload, options).await,
            Some(0) => Err(failed("timeout before")),
            Some(1) => {
                let _ = self.inner.put_opts(path, payload, options).await;
                Err(failed("timeout after"))
            }
            Some(2) => {
                // Still on its way when the client has given up.
                let (inner, path) = (Arc::clone(&self.inner), path.clone());
                let pause = Duration::from_millis(u64::from(self.faults.below(3000)));
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    let _ = inner.put_opts(&path, payload, options).await;
                });
                Err(failed("timeout, and it comes late"))
            }
            Some(3) if create => {
                // The store's own second try met its first.
                let _ = self.inner.put_opts(path, payload, options).await;
                let source = "412 after its own".into();
                Err(object_store::Error::AlreadyExists { path: path.to_string(), source })
            }
            Some(_) if create => {
                let source = "412 for nothing".into();
                Err(object_store::Error::AlreadyExists { path: path.to_string(), source })
            }
            Some(_) => {
                let source = "412 for nothing".into();
                Err(object_store::Error::Precondition { path: path.to_string(), source })
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.faults.trip().await;
        let is_part = options.range.is_some();
        let Some(kind) = self.faults.strike(4) else {
            return self.inner.get_opts(path, options).await;
        };
        if kind == 0 || !is_part {
            return Err(failed("503"));
        }
        // One bit of it is another one.
        let got = self.inner.get_opts(path, options).await?;
        let (meta, range) = (got.meta.clone(), got.range.clone());
        let mut bytes = got.bytes().await?.to_vec();
        if !bytes.is_empty() {
            let at = self.faults.below(u32::try_from(bytes.len()).unwrap()) as usize;
            bytes[at] ^= 1 << self.faults.below(8);
        }
        let damaged = futures_util::stream::iter([Ok(Bytes::from(bytes))]).boxed();
        let payload = GetResultPayload::Stream(damaged);
        Ok(GetResult {
            payload,
            meta,
            range,
            attributes: Attributes::new(),
            extensions: Extensions::new(),
        })
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (faults, inner) = (Arc::clone(&self.faults), Arc::clone(&self.inner));
        let paths = paths.then(move |path| {
            let (faults, inner) = (Arc::clone(&faults), Arc::clone(&inner));
            async move {
                pause(&faults.slow_deletes).await;
                match faults.hold(2) {
                    None => {}
                    Some((long, 0)) => tokio::time::sleep(long).await,
                    Some((long, _)) => {
                        let again = path.as_ref().ok().cloned();
                        tokio::spawn(async move {
                            tokio::time::sleep(long).await;
                            if let Some(path) = again {
                                let _ = inner.delete(&path).await;
                            }
                        });
                    }
                }
                if faults.strike(1).is_some() { Err(failed("500")) } else { path }
            }
        });
        self.inner.delete_stream(paths.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.faults.strike(1).is_some() {
            return futures_util::stream::iter([Err(failed("503"))]).boxed();
        }
        let (inner, faults) = (Arc::clone(&self.inner), Arc::clone(&self.faults));
        let prefix = prefix.cloned();
        let listed = async move {
            faults.trip().await;
            let late = prefix.as_ref().and_then(|prefix| faults.late(Ask::List, prefix));
            let (before, after) = match (late, faults.hold(1)) {
                (Some(Late { before, after, .. }), _) => (before, after.unwrap_or_default()),
                (None, Some((long, _))) => (Duration::ZERO, long),
                (None, None) => return inner.list(prefix.as_ref()),
            };
            tokio::time::sleep(before).await;
            let listed: Vec<_> = inner.list(prefix.as_ref()).collect().await;
            tokio::time::sleep(after).await;
            futures_util::stream::iter(listed).boxed()
        };
        futures_util::stream::once(listed).flatten().boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        let after = move |meta: &ObjectMeta| std::future::ready(meta.location > offset);
        self.list(prefix).try_filter(after).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
