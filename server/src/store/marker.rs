//! The mark of a clean stop: a file in a data directory that says that all of it outlasts a power cut.
//!
//! It is written, and synced, as the last thing a process does, and removed, and the removal synced, before
//! the next one makes anything. With it a start syncs only folders that changed since.
//!
//! A copy of the directory is not synced, though it has the file. So the mark names what no copy has in
//! common with the original: its own file, and when that of the store's id was made. What is copied into
//! the directory itself is newer than the mark.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layout::{ID, PRIVATE};

/// The file's name, beside the id of the store.
const NAME: &str = "clean.json";

/// A moment, in s and ns since the Unix epoch, by the file system's clock.
pub(super) type Changed = (i64, i64);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Device and number of the file that this is written in.
    own: (u64, u64),
    /// The same of the store's id, and when it was changed last, which no program can set.
    id: (u64, u64),
    id_changed: Changed,
}

fn place(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// When a file or folder was changed last, in whatever way.
pub(super) fn changed(meta: &Metadata) -> Changed {
    (meta.ctime(), meta.ctime_nsec())
}

fn mark(own: &Metadata, dir: &Path) -> io::Result<Mark> {
    let id = fs::metadata(dir.join(PRIVATE).join(ID))?;
    Ok(Mark { own: place(own), id: place(&id), id_changed: changed(&id) })
}

/// Marks a directory all of which is synced. Best effort: without the mark the next start takes longer.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    let private = dir.join(PRIVATE);
    let mut file = File::create_new(private.join(NAME))?;
    let mark = mark(&file.metadata()?, dir)?;
    file.write_all(&serde_json::to_vec(&mark)?)?;
    file.sync_all()?;
    File::open(private)?.sync_all()
}

/// Takes the mark off a directory, for good before this returns; returns when it was made, if it is this
/// directory's and can be believed.
pub(super) fn take(dir: &Path) -> io::Result<Option<Changed>> {
    let private = dir.join(PRIVATE);
    let path = private.join(NAME);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let meta = fs::symlink_metadata(&path)?;
    let said: Option<Mark> = serde_json::from_slice(&text).ok();
    let is_ours = mark(&meta, dir).is_ok_and(|mark| said == Some(mark));
    fs::remove_file(&path)?;
    File::open(private)?.sync_all()?;
    Ok(is_ours.then(|| changed(&meta)))
}
