//! The mark of a clean stop: a file in a data directory that says that all of it outlasts a power cut.
//!
//! It is written, and synced, as the last thing a process does, and removed, and the removal synced, before
//! the next one makes anything. With it a start syncs only folders that changed since.
//!
//! Which folders did not change is not left to a clock, which may have been set back since: the mark has what
//! each was, its number and times, and one that is not exactly that is synced. The times of the file system are
//! too coarse to tell what happens at one moment, so the folder must also be older than the mark.
//!
//! A copy of the directory is not synced, though it has the file. So the mark names what no copy has in
//! common with the original: its own file, and when that of the store's id was made. What is copied into
//! the directory itself is newer than the mark.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::bucket::layout::{ID, PRIVATE};

/// The file's name, beside the id of the store.
const NAME: &str = "clean.json";

/// A moment, in s and ns since the Unix epoch, by the file system's clock.
type Changed = (i64, i64);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Device and number of the file that this is written in.
    own: (u64, u64),
    /// The same of the store's id, and when it was changed last, which no program can set.
    id: (u64, u64),
    id_changed: Changed,
}

/// What is written: the mark, and what every folder was.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    mark: Mark,
    folders: HashSet<u64>,
}

/// What a directory was at a clean stop.
#[derive(Debug)]
pub(in crate::store) struct Clean {
    at: Changed,
    folders: HashSet<u64>,
}

impl Clean {
    /// Whether a folder is what it was.
    pub(in crate::store) fn is_same(&self, folder: &Path, meta: &Metadata) -> bool {
        changed(meta) < self.at && self.folders.contains(&state(folder, meta))
    }
}

/// Stands for a folder and its entries: whoever adds or removes one sets its times.
fn state(folder: &Path, meta: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    let modified = (meta.mtime(), meta.mtime_nsec());
    (folder, place(meta), meta.nlink(), changed(meta), modified).hash(&mut hasher);
    hasher.finish()
}

fn add_folders(dir: &Path, folders: &mut HashSet<u64>) -> io::Result<()> {
    // Before its entries are read: what comes then makes it another.
    folders.insert(state(dir, &fs::metadata(dir)?));
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            add_folders(&entry.path(), folders)?;
        }
    }
    Ok(())
}

fn place(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// When a file or folder was changed last, in whatever way.
fn changed(meta: &Metadata) -> Changed {
    (meta.ctime(), meta.ctime_nsec())
}

fn mark(own: &Metadata, dir: &Path) -> io::Result<Mark> {
    let id = fs::metadata(dir.join(PRIVATE).join(ID))?;
    Ok(Mark { own: place(own), id: place(&id), id_changed: changed(&id) })
}

/// Marks a directory all of which is synced. Best effort: without the mark the next start takes longer.
pub(in crate::store) fn write(dir: &Path) -> io::Result<()> {
    let private = dir.join(PRIVATE);
    let mut folders = HashSet::new();
    add_folders(dir, &mut folders)?;
    let mut file = File::create_new(private.join(NAME))?;
    let mark = mark(&file.metadata()?, dir)?;
    file.write_all(&serde_json::to_vec(&Written { mark, folders })?)?;
    file.sync_all()?;
    File::open(private)?.sync_all()
}

/// Takes the mark off a directory, for good before this returns; returns what was there, if it is this
/// directory's and can be believed.
pub(in crate::store) fn take(dir: &Path) -> io::Result<Option<Clean>> {
    let private = dir.join(PRIVATE);
    let path = private.join(NAME);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let meta = fs::symlink_metadata(&path)?;
    let said: Option<Written> = serde_json::from_slice(&text).ok();
    let said = said.filter(|said| mark(&meta, dir).is_ok_and(|mark| said.mark == mark));
    fs::remove_file(&path)?;
    File::open(private)?.sync_all()?;
    Ok(said.map(|Written { folders, .. }| Clean { at: changed(&meta), folders }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_not_the_same_although_the_clock_was_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str| dir.path().join(name);
        for name in ["kept", "changed", "a/b"] {
            fs::create_dir_all(folder(name)).unwrap();
        }
        let mut folders = HashSet::new();
        add_folders(dir.path(), &mut folders).unwrap();
        // Past the file system's sense of time; by the clock all of it is from before the mark.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let clean = Clean { at: (i64::MAX, 0), folders };
        fs::write(folder("changed/x"), "x").unwrap();
        fs::create_dir(folder("new")).unwrap();
        fs::rename(folder("a/b"), folder("a/c")).unwrap();
        let same = |name| clean.is_same(&folder(name), &fs::metadata(folder(name)).unwrap());
        let is_same = ["kept", "changed", "new", "a", "a/c"].map(same);
        assert_eq!(is_same, [true, false, false, false, false]);
        let late = Clean { at: (0, 0), folders: clean.folders };
        assert!(!late.is_same(&folder("kept"), &fs::metadata(folder("kept")).unwrap()));
    }
}
