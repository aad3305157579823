//! Small objects that change: heads and claims.
//!
//! One is written only over the very version that was read, so of several servers one succeeds, and what
//! comes late fails. Each writing has a nonce: no version comes back.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, UpdateVersion};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::direct;
use super::reads::{Objects, written_ms};
use crate::store::bucket::error::Error;
use crate::store::bucket::kept::Kept;
use crate::store::bucket::mutant::{self, Mutant};

/// What became of a put.
enum Put<T> {
    Done(Kept<T>),
    /// The condition was not met; the record that is there.
    Refused(Option<T>),
}

impl Objects {
    /// The record in a place.
    pub(in crate::store) async fn read_record<T: DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<Kept<T>>, Error> {
        let got = match self.timed("get", self.store.get(path)).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let version =
            UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
        let written_ms = Some(written_ms(&got.meta));
        let text = got.bytes().await?;
        let value = serde_json::from_slice(&text)
            .map_err(|error| Error::corrupt(path, format!("it can't be read: {error}")))?;
        Ok(Some(Kept { value, written_ms, text, version }))
    }

    /// The record in a place; a failure that may pass is tried again.
    pub(in crate::store) async fn again_record<T: DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<Kept<T>>, Error> {
        self.patiently(|| self.read_record(path)).await
    }

    /// Writes a record in place of the one that was read, or where there was none; `None` when another
    /// was faster. After an error it is not known whether it is there, or will be.
    pub(in crate::store) async fn write_record<T>(
        &self,
        path: &Path,
        value: &T,
        over: Option<&Kept<T>>,
    ) -> Result<Option<Kept<T>>, Error>
    where
        T: Clone + PartialEq + Serialize + DeserializeOwned,
    {
        let text = Bytes::from(serde_json::to_string(value).map_err(std::io::Error::other)?);
        if let Some(dir) = &self.dir {
            let (file, lock) = (dir.join(path.as_ref()), self.swaps.clone());
            let (old, new) = (over.map(|kept| kept.text.clone()), text.clone());
            let swap = move || direct::swap(&lock, &file, old.as_deref(), &new);
            let swapped = self.making(None, async {
                let swapped = self.timed("put", direct::on_the_spot(swap)).await?;
                if let Some(folder) = path.parent() {
                    self.sync_folder(&folder).await?;
                }
                Ok::<_, Error>(swapped)
            });
            let swapped = swapped.await?;
            let version = UpdateVersion { e_tag: None, version: None };
            return Ok(swapped.then(|| Kept {
                value: value.clone(),
                written_ms: None,
                text,
                version,
            }));
        }
        let mut mode = over.map_or(PutMode::Create, |kept| PutMode::Update(kept.version.clone()));
        if mutant::is(Mutant::HeadUnconditional) && path.as_ref().contains("/heads/") {
            mode = PutMode::Overwrite;
        }
        match (self.put_record(path, value, &text, mode).await?, over) {
            (Put::Done(kept), _) => Ok(Some(kept)),
            // MinIO, where a put was broken off on one of its drives: it shows the record, yet takes it for
            // missing when it is put on. Then it can be made; on any other store it can not.
            (Put::Refused(Some(now)), Some(over)) if now == over.value => {
                match self.put_record(path, value, &text, PutMode::Create).await? {
                    Put::Done(kept) => Ok(Some(kept)),
                    Put::Refused(_) => Ok(None),
                }
            }
            (Put::Refused(_), _) => Ok(None),
        }
    }

    async fn put_record<T>(
        &self,
        path: &Path,
        value: &T,
        text: &Bytes,
        mode: PutMode,
    ) -> Result<Put<T>, Error>
    where
        T: Clone + PartialEq + DeserializeOwned,
    {
        let put = self.store.put_opts(path, text.clone().into(), mode.into());
        let failure = match self.timed("put", put).await {
            Ok(put) => {
                let (value, text) = (value.clone(), text.clone());
                return Ok(Put::Done(Kept { value, written_ms: None, text, version: put.into() }));
            }
            Err(error) => error,
        };
        // The store may have done it before it failed, or before it was asked again.
        let now = match self.read_record::<T>(path).await {
            Ok(Some(kept)) if kept.value == *value => return Ok(Put::Done(kept)),
            Ok(now) => now.map(|kept| kept.value),
            Err(_) => return Err(failure.into()),
        };
        match failure {
            object_store::Error::AlreadyExists { .. }
            | object_store::Error::Precondition { .. } => Ok(Put::Refused(now)),
            error => Err(error.into()),
        }
    }
}
