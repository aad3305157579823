//! A directory as the object store.
//!
//! The object store's own local implementation does the writing, and [`super::direct`] in its way: it
//! fills a staging file beside the target (`NAME#1`), syncs it, links it to its name, which fails if
//! that is taken, and syncs the folder. What it leaves open is what a killed process leaves behind; that is made good here, before
//! the first request.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;

use super::layout;
use super::objects::Objects;
use crate::metrics::Metrics;

/// Why a directory cannot serve as the store.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file or folder in it could not be used.
    #[error("cannot use the data directory {}: {what}: {source}", .dir.display())]
    Unusable {
        /// The data directory.
        dir: PathBuf,
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "the data directory {} is in use by another litevfs-cloud: stop that one, or give another --data",
        .0.display()
    )]
    InUse(PathBuf),
}

/// A data directory that is this process's alone while this value lives.
#[derive(Debug)]
pub struct LocalDir {
    /// The directory as an object store.
    pub objects: Objects,
    /// The lock is the operating system's: it goes with the process, however that ends.
    _lock: File,
}

impl LocalDir {
    /// Takes a directory, which is made if it is missing.
    pub fn take(dir: &Path, metrics: &Metrics) -> Result<LocalDir, LocalError> {
        let unusable = |what| {
            move |source: io::Error| LocalError::Unusable { dir: dir.to_owned(), what, source }
        };
        let private = dir.join(layout::PRIVATE);
        let scratch = private.join("scratch");
        fs::create_dir_all(&scratch).map_err(unusable("creating it"))?;
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .open(private.join("lock"))
            .map_err(unusable("opening its lock file"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LocalError::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => return Err(unusable("locking it")(source)),
        }
        let staging = private.join("staging");
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(unusable("emptying its staging folder"))?;
        }
        settle(dir).map_err(unusable("clearing up after the last run"))?;
        if let Some(parent) = fs::canonicalize(dir).ok().as_deref().and_then(Path::parent) {
            // Not ours, perhaps not even readable: the directory's own name is the user's care then.
            let _ = File::open(parent).and_then(|parent| parent.sync_all());
        }
        let objects = LocalFileSystem::new_with_prefix(dir)
            .map_err(|error| unusable("opening it")(io::Error::other(error)))?
            .with_fsync(true);
        let objects = Objects::in_dir(Arc::new(objects), dir, &scratch, metrics.clone());
        Ok(LocalDir { objects, _lock: lock })
    }
}

/// Removes staging files, and syncs every folder: a process that was killed between making an entry
/// and syncing it leaves one that is seen, and built upon, but would not outlast a power cut.
fn settle(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            settle(&entry.path())?;
        } else if kind.is_file() && entry.file_name().to_str().is_some_and(is_staging_name) {
            fs::remove_file(entry.path())?;
        }
    }
    File::open(dir)?.sync_all()
}

/// Whether the object store gave a file that name until it was whole.
fn is_staging_name(name: &str) -> bool {
    name.split_once('#').is_some_and(|(target, number)| {
        let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let ours = [".ltx", ".json"].iter().any(|end| target.ends_with(end)) || target == "id";
        numbered && ours
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = LocalDir::take(dir.path(), &Metrics::default()).unwrap();
        assert!(matches!(
            LocalDir::take(dir.path(), &Metrics::default()),
            Err(LocalError::InUse(_))
        ));
        drop(first);
        LocalDir::take(dir.path(), &Metrics::default()).unwrap();
    }

    #[test]
    fn only_staging_files_are_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        let level0 = dir.path().join("c/db/ltx/0");
        fs::create_dir_all(&level0).unwrap();
        let names = ["1-1.ltx", "2-2.ltx#1", "2-2.ltx#12", "notes#1.txt", "3-3.ltx#"];
        for name in names {
            fs::write(level0.join(name), "x").unwrap();
        }
        LocalDir::take(dir.path(), &Metrics::default()).unwrap();
        let mut left: Vec<String> = fs::read_dir(&level0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["1-1.ltx", "3-3.ltx#", "notes#1.txt"]);
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = LocalDir::take(&file, &Metrics::default()).unwrap_err().to_string();
        assert!(error.contains("cannot use the data directory"), "{error}");
    }
}
