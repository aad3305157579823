//! A directory as the object store.
//!
//! The object store's own local implementation does the writing, and [`super::direct`] in its way: it
//! fills a staging file beside the target (`NAME#1`), syncs it, links it to its name, which fails if
//! that is taken, and syncs the folder. What it leaves open is what a killed process leaves behind; that is made good here, before
//! the first request.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::local::LocalFileSystem;

use super::marker::{self, Clean};
use super::reads::{Objects, fresh_name};
use crate::metrics::Metrics;
use crate::store::bucket::layout;

/// How long what is being made may take to end when the server stops, and how often that is looked at.
const LAST_WAIT: Duration = Duration::from_secs(2);
const LAST_LOOK: Duration = Duration::from_millis(20);
/// What lets others than owner and group into a folder.
const FOR_OTHERS: u32 = 0o007;

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
    /// Commits can't be made there.
    #[error(
        "cannot use the data directory {}: its file system makes no hard links ({source}), and a commit is \
         one; give --data on another one, such as ext4, xfs, btrfs or zfs", .dir.display()
    )]
    NoHardLinks {
        /// The data directory.
        dir: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// A data directory that is this process's alone while this value lives.
#[derive(Debug)]
pub struct LocalDir {
    /// The directory as an object store.
    pub objects: Objects,
    dir: PathBuf,
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
        make_private(dir).map_err(unusable("creating it"))?;
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
        try_hard_link(&scratch)
            .map_err(|source| LocalError::NoHardLinks { dir: dir.to_owned(), source })?;
        let clean = marker::take(dir).map_err(unusable("reading how the last run ended"))?;
        settle(dir, clean.as_ref()).map_err(unusable("clearing up after the last run"))?;
        if let Some(parent) = fs::canonicalize(dir).ok().as_deref().and_then(Path::parent) {
            // Not ours, perhaps not even readable: the directory's own name is the user's care then.
            let _ = File::open(parent).and_then(|parent| parent.sync_all());
        }
        let objects = LocalFileSystem::new_with_prefix(dir)
            .map_err(|error| unusable("opening it")(io::Error::other(error)))?
            .with_fsync(true);
        let objects = Objects::in_dir(Arc::new(objects), dir, &scratch, metrics.clone());
        Ok(LocalDir { objects, dir: dir.to_owned(), _lock: lock })
    }

    /// Lets nothing be made in it any more, and marks it if all of it outlasts a power cut. What is under
    /// way may end for a moment.
    pub async fn stop(&self) {
        let began = Instant::now();
        loop {
            match self.objects.unsynced.close() {
                Some(true) => break,
                None if began.elapsed() < LAST_WAIT => tokio::time::sleep(LAST_LOOK).await,
                _ => return tracing::info!("the next start syncs every folder"),
            }
        }
        if let Err(error) = marker::write(&self.dir) {
            tracing::info!(%error, "the next start syncs every folder");
        }
    }
}

/// Makes the data directory for its owner alone. One that is there stays as it is.
fn make_private(dir: &Path) -> io::Result<()> {
    if let Ok(meta) = fs::metadata(dir) {
        if meta.is_dir() && meta.permissions().mode() & FOR_OTHERS != 0 {
            let dir = dir.display();
            tracing::warn!("everybody on this machine can look into {dir}: chmod 700 {dir}");
        }
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o700).create(dir)
}

/// Fails if there can be no hard links in a folder. Why else one can't be made now, for want of room above
/// all, is told when it matters.
fn try_hard_link(folder: &Path) -> io::Result<()> {
    let Ok(name) = fresh_name() else {
        return Ok(());
    };
    let (file, link) = (folder.join(&name), folder.join(format!("{name}-link")));
    if File::create_new(&file).is_err() {
        return Ok(());
    }
    let made = fs::hard_link(&file, &link);
    let _ = fs::remove_file(&link);
    let _ = fs::remove_file(&file);
    match made {
        Err(error) if is_for_want_of_room(&error) => Ok(()),
        made => made,
    }
}

fn is_for_want_of_room(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// Removes staging files, and syncs every folder: a process that was killed between making an entry
/// and syncing it leaves one that is seen, and built upon, but would not outlast a power cut. After a
/// clean stop only folders that were changed since are synced.
fn settle(dir: &Path, clean: Option<&Clean>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            settle(&entry.path(), clean)?;
        } else if kind.is_file() && entry.file_name().to_str().is_some_and(is_staging_name) {
            fs::remove_file(entry.path())?;
        }
    }
    let folder = File::open(dir)?;
    if clean.is_some_and(|clean| folder.metadata().is_ok_and(|meta| clean.is_same(dir, &meta))) {
        return Ok(());
    }
    #[cfg(test)]
    SYNCED.set(SYNCED.get().saturating_add(1));
    folder.sync_all()
}

#[cfg(test)]
thread_local! {
    /// How many folders this thread synced.
    static SYNCED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
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

    fn stop(dir: &LocalDir) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(dir.stop());
    }

    /// A directory with an id and twenty folders, which a process just left, and how many folders the next
    /// start syncs.
    fn restarted(
        leave: impl FnOnce(&Path, LocalDir),
        between: impl FnOnce(&Path) -> PathBuf,
    ) -> usize {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("data");
        let first = LocalDir::take(&dir, &Metrics::default()).unwrap();
        fs::write(dir.join(".litevfs-cloud/id"), "0123").unwrap();
        (0..20).for_each(|n| fs::create_dir_all(dir.join(format!("c/{n}"))).unwrap());
        leave(&dir, first);
        // Past the file system's sense of time.
        std::thread::sleep(Duration::from_millis(50));
        let dir = between(&dir);
        SYNCED.set(0);
        drop(LocalDir::take(&dir, &Metrics::default()).unwrap());
        let synced = SYNCED.get();
        SYNCED.set(0);
        drop(LocalDir::take(&dir, &Metrics::default()).unwrap());
        assert!(SYNCED.get() > 20, "the mark was of use twice");
        synced
    }

    fn stopped(_: &Path, dir: LocalDir) {
        std::thread::sleep(Duration::from_millis(50));
        stop(&dir);
    }

    #[test]
    fn after_a_clean_stop_only_what_changed_since_is_synced() {
        let same = |dir: &Path| dir.to_owned();
        assert!(restarted(|_, _| (), same) > 20, "after a crash");
        assert!(restarted(stopped, same) < 5);
        let changed = restarted(stopped, |dir| {
            (0..9).for_each(|n| fs::write(dir.join(format!("c/{n}/x")), "x").unwrap());
            dir.to_owned()
        });
        assert!((9..15).contains(&changed), "{changed}");
    }

    #[test]
    fn a_stop_is_clean_only_if_all_that_was_begun_ended_well() {
        let same = |dir: &Path| dir.to_owned();
        let given_up = |_: &Path, dir: LocalDir| {
            drop(dir.objects.unsynced.begin(None).unwrap());
            stop(&dir);
        };
        assert!(restarted(given_up, same) > 20);
        let under_way = |_: &Path, dir: LocalDir| {
            let making = dir.objects.unsynced.begin(None).unwrap();
            stop(&dir);
            making.done();
        };
        assert!(restarted(under_way, same) > 20);
    }

    #[test]
    fn the_mark_of_a_copy_counts_for_nothing() {
        let copied = |how: &'static [&str]| {
            restarted(stopped, |dir| {
                let copy = dir.with_file_name("copy");
                let mut cp = std::process::Command::new("cp");
                assert!(cp.args(how).arg(dir).arg(&copy).status().unwrap().success());
                copy
            })
        };
        assert!(copied(&["-r"]) > 20);
        assert!(copied(&["-a"]) > 20);
        // Files that are the same, in folders that are not.
        assert!(copied(&["-al"]) > 20);
        let put_back = restarted(stopped, |dir| {
            let mark = dir.join(".litevfs-cloud/clean.json");
            let text = fs::read(&mark).unwrap();
            fs::write(mark.with_extension("new"), text).unwrap();
            fs::rename(mark.with_extension("new"), &mark).unwrap();
            dir.to_owned()
        });
        assert!(put_back > 20, "a mark from elsewhere was believed");
    }

    #[test]
    fn a_new_directory_is_its_owners_alone_and_an_old_one_stays_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        let mode = |dir: &Path| fs::metadata(dir).unwrap().permissions().mode() & 0o777;
        let (new, old) = (parent.path().join("a/b"), parent.path().join("old"));
        drop(LocalDir::take(&new, &Metrics::default()).unwrap());
        assert_eq!(mode(&new), 0o700);
        fs::create_dir(&old).unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
        drop(LocalDir::take(&old, &Metrics::default()).unwrap());
        assert_eq!(mode(&old), 0o755);
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
