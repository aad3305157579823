//! An object store in memory whose clock is the tests': hours pass when they say so.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use chrono::DateTime;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;

use crate::store::bucket::moment::testing::stores_ms;

/// When each version of an object was first there, in ms since the Unix epoch.
type Times = Arc<Mutex<HashMap<(Path, Option<String>), u64>>>;

/// The store.
#[derive(Debug, Default)]
pub struct Memory {
    inner: InMemory,
    times: Times,
}

impl Memory {
    pub fn new() -> Memory {
        Memory::default()
    }
}

fn stamp(times: &Times, meta: &mut ObjectMeta) {
    let version = (meta.location.clone(), meta.e_tag.clone());
    let ms = *times.lock().entry(version).or_insert_with(stores_ms);
    if let Some(time) = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis) {
        meta.last_modified = time;
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Memory {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.inner.put_opts(path, payload, options).await?;
        self.times.lock().insert((path.clone(), put.e_tag.clone()), stores_ms());
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let mut got = self.inner.get_opts(path, options).await?;
        stamp(&self.times, &mut got.meta);
        Ok(got)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let times = Arc::clone(&self.times);
        let stamped = move |meta: Result<ObjectMeta>| {
            let mut meta = meta?;
            stamp(&times, &mut meta);
            Ok(meta)
        };
        self.inner.list(prefix).map(stamped).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.inner.list_with_delimiter(prefix).await?;
        listed.objects.iter_mut().for_each(|meta| stamp(&self.times, meta));
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
