//! Makes sure that what a directory shows outlasts a power cut. [`super::unsynced`] says why.

use std::fs::File;
use std::io;

use object_store::path::Path;

use super::reads::Objects;
use crate::store::bucket::error::Error;

impl Objects {
    /// Makes something in a folder that is there, or, where folders may be missing, anywhere. An answer
    /// that is no error says that in a directory all of it is synced.
    pub(in crate::store) async fn making<T, E: From<io::Error>>(
        &self,
        folder: Option<&Path>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if self.is_shared() {
            return work.await;
        }
        let making = self.unsynced.begin(folder.cloned())?;
        let made = work.await?;
        making.done();
        Ok(made)
    }

    /// Makes sure that what is to be seen in a folder outlasts a power cut.
    ///
    /// In a directory, a file or folder is seen as soon as it is made, which is before it is synced;
    /// when that sync fails, or another commit's waits, it is seen all the same. Whoever builds on
    /// what is seen must therefore call this first.
    pub async fn settle(&self, folder: &Path) -> Result<(), Error> {
        if self.is_shared() || !self.unsynced.speaks_of(folder) {
            return Ok(());
        }
        self.sync_folder(folder).await
    }

    /// The same, also when nothing was made there: what was removed is to be gone for good.
    pub async fn sync_folder(&self, folder: &Path) -> Result<(), Error> {
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
}
