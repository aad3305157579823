//! Files of the cache and of large transactions.

use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Descriptors that caches leave to others.
const DESCRIPTORS_LEFT: u64 = 64;

/// A file read and written at offsets. Readable by its owner only.
#[derive(Debug)]
pub struct File(fs::File);

impl File {
    /// Opens or creates a file and takes its lock; `Ok(None)` when another process or another opening
    /// in this one has it. The lock ends with the file or the process, however that ends.
    pub fn open_locked(path: &str) -> io::Result<Option<File>> {
        let file = private_options().create(true).truncate(false).open(path)?;
        leave_descriptors(&file)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(File(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }

    /// Opens or creates a file.
    pub fn open(path: &str) -> io::Result<File> {
        private_options().create(true).truncate(false).open(path).map(File)
    }

    /// Creates a file that has no name and is gone with its last use, in the first folder for temporary
    /// files that takes one. Answers with that folder, too.
    pub fn anonymous() -> io::Result<(File, String)> {
        let mut refusals = String::new();
        let named = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().filter_map(super::env_var);
        let named = named.filter(|folder| !folder.is_empty());
        for folder in named.chain(USUAL_FOLDERS.map(String::from)) {
            match anonymous_in(&folder) {
                Ok(file) => return Ok((file, folder)),
                Err(e) => refusals = format!("{refusals}{folder}: {e}; "),
            }
        }
        Err(io::Error::other(format!("{refusals}no other folder for temporary files")))
    }

    /// Removes a file's name; its bytes stay while it is open.
    pub fn unlink(path: &str) {
        let _ = fs::remove_file(path);
    }

    /// Bytes in the file.
    pub fn len_bytes(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    /// Cuts the file, or grows it with zeros.
    pub fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        // A file that was ever cut to nothing, even if nothing is what it had, ext4 writes to the disk
        // when it is closed, and whoever closes it waits for that to begin.
        if self.len_bytes()? == len_bytes { Ok(()) } else { self.0.set_len(len_bytes) }
    }

    /// Fills `bytes` from `offset`; an error when the file ends before.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(bytes, offset)
    }

    /// Writes all of `bytes` at `offset`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    /// Gives bytes back to the disk; they are zero from then on. An error where files have no holes.
    pub fn punch(&self, offset: u64, len_bytes: u64) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return {
            use rustix::fs::{FallocateFlags, fallocate};
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&self.0, flags, offset, len_bytes).map_err(io::Error::from)
        };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return {
            let _ = (offset, len_bytes);
            Err(io::ErrorKind::Unsupported.into())
        };
    }
}

/// A temporary directory of this process that is removed when it is dropped.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
    owner: u32,
}

impl PrivateDir {
    /// Creates one in the system's temporary directory.
    pub fn create() -> io::Result<PrivateDir> {
        let path = std::env::temp_dir().join(random_name());
        mkdir(&path, Mode::RWXU)?;
        Ok(PrivateDir { path, owner: super::process_id() })
    }

    /// Where it is; `None` when its name is not UTF-8.
    pub fn path(&self) -> Option<&str> {
        self.path.to_str()
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // A forked child leaves its parent's directory alone.
        if self.owner == super::process_id() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Creates a directory and those above it, where they are missing.
pub fn create_dir(path: &str) -> io::Result<()> {
    for (end, _) in path.match_indices('/').filter(|(end, _)| *end > 0) {
        // Whether it is there now, the last one tells.
        let _ = mkdir(path.get(..end).unwrap_or(path), Mode::RWXU);
    }
    match mkdir(path, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        done => Ok(done?),
    }
}

/// Bytes that can still be written to the file system of `path`; `None` when it does not tell.
pub fn available_space(path: &str) -> Option<u64> {
    let stat = rustix::fs::statvfs(Path::new(path)).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Where SQLite looks for room for temporary files after those that are named, but for the working directory:
/// what is in there is no business of ours.
const USUAL_FOLDERS: [&str; 3] = ["/var/tmp", "/usr/tmp", "/tmp"];

fn anonymous_in(folder: &str) -> io::Result<File> {
    let path = format!("{folder}/{}", random_name());
    let file = private_options().create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(File(file))
}

/// Fails when a file is one of the last that the process may have open. The system hands out the lowest
/// number that is free. What can do without a file leaves those to what can't: requests, and the program.
fn leave_descriptors(file: &fs::File) -> io::Result<()> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    let number = u64::try_from(file.as_raw_fd()).unwrap_or(0);
    if number < limit.saturating_sub(DESCRIPTORS_LEFT.min(limit / 4)) {
        return Ok(());
    }
    let text = format!("the process has {number} files open, and its limit (ulimit -n) is {limit}");
    Err(io::Error::other(text))
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn random_name() -> String {
    let mut bytes = [0; 8];
    // Without randomness the name is taken or free as it happens; creation is exclusive either way.
    super::random_bytes(&mut bytes);
    format!("litevfs-{:016x}", u64::from_ne_bytes(bytes))
}

#[cfg(test)]
impl File {
    /// The same file, which takes no writes.
    pub fn read_only(self) -> File {
        self.reopened(OpenOptions::new().read(true))
    }

    /// The same file, which takes writes.
    pub fn writable(self) -> File {
        self.reopened(OpenOptions::new().read(true).write(true))
    }

    fn reopened(self, options: &OpenOptions) -> File {
        // A file without a name has one there.
        File(options.open(format!("/proc/self/fd/{}", self.0.as_raw_fd())).unwrap())
    }
}
