//! What commits and page reads do with a directory, without another thread.
//!
//! The object store hands every call to another thread and waits for it, which takes longer than to
//! read a page that the operating system has in memory. Here the thread at hand does it, and the
//! runtime sees to it that another takes over its other requests meanwhile.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::store::bucket::ltx_file::version;

/// Does what waits for the disk.
pub(in crate::store) async fn on_the_spot<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        // No other thread could take over.
        _ => tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?,
    }
}

/// Reads ranges of the file of that version; another one of its name is as good as none.
pub(in crate::store) fn read(
    path: &Path,
    wanted: u64,
    ranges: &[Range<u64>],
) -> io::Result<Vec<Bytes>> {
    let file = File::open(path)?;
    if version_of(&file)? != wanted {
        return Err(ErrorKind::NotFound.into());
    }
    let read = |range: &Range<u64>| {
        let len = usize::try_from(range.end.saturating_sub(range.start));
        let mut bytes = vec![0; len.map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    };
    ranges.iter().map(read).collect()
}

/// Makes a file whole and durable in a folder that is there, and returns its version; fails with
/// [`ErrorKind::AlreadyExists`] when there is one. `None`, and nothing done, where that takes more.
///
/// In the way of the object store, whose staging files [`super::local`] knows.
pub(in crate::store) fn create(path: &Path, bytes: &[u8]) -> io::Result<Option<u64>> {
    let Some(folder) = path.parent() else {
        return Ok(None);
    };
    let mut staged = OsString::from(path);
    staged.push("#1");
    let mut file = match File::create_new(&staged) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => {
            return Ok(None);
        }
        file => file?,
    };
    let made = file.write_all(bytes).and_then(|()| {
        file.sync_all()?;
        fs::hard_link(&staged, path)?;
        File::open(folder)?.sync_all()
    });
    // What stays is cleared away at the next start.
    let _ = fs::remove_file(&staged);
    made?;
    version_of(&file).map(Some)
}

/// The version of a file, as the object store makes it in a listing.
fn version_of(file: &File) -> io::Result<u64> {
    let meta = file.metadata()?;
    let modified = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let tag = format!("{:x}-{modified:x}-{:x}", meta.ino(), meta.len());
    Ok(version(Some(&tag)))
}

/// Writes a small file whole and durable over one with that content, or where there was none; whether
/// it was that. The lock is the directory's, so that of several that write one decides.
///
/// A thread may be late, its request long gone: what it compares with is what is there by then.
pub(in crate::store) fn swap(
    lock: &Mutex<()>,
    path: &Path,
    old: Option<&[u8]>,
    new: &[u8],
) -> io::Result<bool> {
    let _lock = lock.lock();
    let now = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        now => Some(now?),
    };
    if now.as_deref() != old {
        return Ok(false);
    }
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let mut staged = OsString::from(path);
    staged.push("#1");
    let written = File::create(&staged).and_then(|mut file| {
        file.write_all(new)?;
        file.sync_all()?;
        fs::rename(&staged, path)?;
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        // What stays is cleared away at the next start.
        let _ = fs::remove_file(&staged);
    }
    written.map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;
    use object_store::local::LocalFileSystem;

    #[test]
    fn a_file_has_the_version_that_it_is_listed_with_and_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ltx");
        let made = create(&path, b"content").unwrap();
        let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let listed = runtime.block_on(store.head(&"a.ltx".into())).unwrap();
        assert_eq!(made, Some(version(listed.e_tag.as_deref())));
        let again = create(&path, b"other").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(create(&dir.path().join("none/a.ltx"), b"").unwrap(), None);
    }

    #[test]
    fn ranges_are_read_or_the_file_is_too_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"0123456789").unwrap();
        let version = version_of(&File::open(&path).unwrap()).unwrap();
        assert_eq!(read(&path, version, &[8..10, 0..3, 5..5]).unwrap(), ["89", "012", ""]);
        let short = read(&path, version, &[0..1, 9..11]).unwrap_err();
        assert_eq!(short.kind(), ErrorKind::UnexpectedEof);
        let none = read(&dir.path().join("b"), version, &[0..1, 1..2]).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        fs::write(dir.path().join("other"), b"9876543210").unwrap();
        fs::rename(dir.path().join("other"), &path).unwrap();
        let other = read(&path, version, &[0..1, 1..2]).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::NotFound, "another file of its name was read");
    }

    #[test]
    fn a_small_file_is_written_over_what_was_read_only() {
        let dir = tempfile::tempdir().unwrap();
        let (path, lock) = (dir.path().join("f/head.json"), Mutex::new(()));
        assert!(swap(&lock, &path, None, b"one").unwrap());
        assert!(!swap(&lock, &path, None, b"late").unwrap());
        assert!(swap(&lock, &path, Some(b"one"), b"two").unwrap());
        assert!(!swap(&lock, &path, Some(b"one"), b"late").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path().join("f")).unwrap().count(), 1);
    }
}
