//! The one map from errors to SQLite's result codes.

use crate::error::ErrorKind;
use core::ffi::c_int;
use libsqlite3_sys as ffi;

/// "The server no longer has my position: run the transaction again", the code of upstream.
pub const SQLITE_IOERR_POS: c_int = ffi::SQLITE_IOERR | (0x50_4f53 << 8);

/// "What I know is older than I may tell": `SQLITE_IOERR`, as every read that the server is away for, with
/// bytes of its own, so that a program can tell it from a broken disk. Not `SQLITE_BUSY`, which busy
/// handlers take for a matter of milliseconds and programs for a lock.
pub const SQLITE_IOERR_OLD: c_int = ffi::SQLITE_IOERR | (0x4f_4c44 << 8);

/// The result code for an error.
pub fn result_code(kind: ErrorKind) -> c_int {
    match kind {
        ErrorKind::Unsupported | ErrorKind::Pragma => ffi::SQLITE_ERROR,
        ErrorKind::Config | ErrorKind::Name | ErrorKind::NotFound => ffi::SQLITE_CANTOPEN,
        ErrorKind::NoLease | ErrorKind::ReadOnly => ffi::SQLITE_READONLY,
        ErrorKind::LeaseHeld | ErrorKind::Busy | ErrorKind::RequestLimit => ffi::SQLITE_BUSY,
        ErrorKind::StaleView => ffi::SQLITE_BUSY_SNAPSHOT,
        ErrorKind::PosMismatch => SQLITE_IOERR_POS,
        ErrorKind::Away
        | ErrorKind::Refused
        | ErrorKind::BadContent
        | ErrorKind::Gone
        | ErrorKind::Forked
        | ErrorKind::BadAnswer
        | ErrorKind::Local => ffi::SQLITE_IOERR,
        ErrorKind::Interrupted => ffi::SQLITE_INTERRUPT,
        ErrorKind::TooOld => SQLITE_IOERR_OLD,
        ErrorKind::Full => ffi::SQLITE_FULL,
        ErrorKind::Corrupt => ffi::SQLITE_CORRUPT,
        ErrorKind::Internal => ffi::SQLITE_INTERNAL,
    }
}

/// The code for what fails while COMMIT is under way. Only with plain "busy" SQLite keeps the transaction. Had it
/// rolled back, a program that calls COMMIT once more, as programs do that are busy, would have that succeed,
/// with nothing to commit.
pub fn plain_busy(code: c_int) -> c_int {
    if code == ffi::SQLITE_BUSY_SNAPSHOT { ffi::SQLITE_BUSY } else { code }
}

/// The code for a transaction over several databases that failed when it was decided about. Only these two
/// kinds make SQLite drop what it has cached of it, and only they never mean that COMMIT may be tried
/// again.
pub fn final_code(rc: c_int) -> c_int {
    match rc & 0xff {
        ffi::SQLITE_OK | ffi::SQLITE_IOERR | ffi::SQLITE_FULL => rc,
        _ => ffi::SQLITE_IOERR,
    }
}
