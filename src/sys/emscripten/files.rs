//! Files of the cache, in the store that the page may offer. Other files there are none.

use super::host;
use alloc::string::String;
use core::fmt;

/// Why a file can't be had or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoError(&'static str);

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const NO_STORE: IoError = IoError("the browser has no store for it");
/// For what takes a thread.
pub const NO_THREADS: IoError = IoError("the browser has one thread");
const REFUSED: IoError = IoError("the store does not take it");
const TOO_SHORT: IoError = IoError("the file ends before");

/// A file read and written at offsets, for this tab alone.
#[derive(Debug)]
pub struct File(host::Fd);

impl File {
    /// Opens or creates a file; `Ok(None)` when it is open already.
    pub fn open_locked(path: &str) -> Result<Option<File>, IoError> {
        match host::file_open(path) {
            fd if fd > 0 => Ok(Some(File(fd))),
            0 => Ok(None),
            _ => Err(NO_STORE),
        }
    }

    /// Transactions keep what they change in memory.
    pub fn anonymous() -> Result<(File, String), IoError> {
        Err(NO_STORE)
    }

    /// Removes a file's name; its bytes stay while it is open.
    pub fn unlink(path: &str) {
        host::file_unlink(path);
    }

    /// Bytes in the file.
    pub fn len_bytes(&self) -> Result<u64, IoError> {
        Ok(host::file_length(self.0))
    }

    /// Cuts the file, or grows it with zeros.
    pub fn set_len(&self, len_bytes: u64) -> Result<(), IoError> {
        done(host::file_set_length(self.0, len_bytes), REFUSED)
    }

    /// Fills `bytes` from `offset`; an error when the file ends before.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), IoError> {
        done(host::file_read(self.0, bytes, offset), TOO_SHORT)
    }

    /// Writes all of `bytes` at `offset`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), IoError> {
        done(host::file_write(self.0, bytes, offset), REFUSED)
    }

    /// Gives bytes back to the store; they are zero from then on.
    pub fn punch(&self, offset: u64, len_bytes: u64) -> Result<(), IoError> {
        done(host::file_punch(self.0, offset, len_bytes), REFUSED)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        host::file_close(self.0);
    }
}

fn done(is_done: bool, otherwise: IoError) -> Result<(), IoError> {
    if is_done { Ok(()) } else { Err(otherwise) }
}

/// A temporary directory, which there is none.
#[derive(Debug)]
pub enum PrivateDir {}

impl PrivateDir {
    /// Fails.
    pub fn create() -> Result<PrivateDir, IoError> {
        Err(NO_STORE)
    }

    /// Where it is.
    pub fn path(&self) -> Option<&str> {
        match *self {}
    }
}

/// The store has no directories: a path is a name.
pub fn create_dir(_: &str) -> Result<(), IoError> {
    Ok(())
}

/// Bytes that the store still takes.
pub fn available_space(_: &str) -> Option<u64> {
    host::available()
}
