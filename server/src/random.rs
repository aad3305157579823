//! Random text from the operating system.

use std::fmt::Write;
use std::io;

use litevfs::types::CommitId;

/// `N` random bytes as lower-case hex digits.
pub fn hex<const N: usize>() -> io::Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// An id for a commit that no other has.
pub fn commit_id() -> io::Result<CommitId> {
    loop {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        let id = CommitId(u64::from_be_bytes(bytes));
        if id.is_set() {
            return Ok(id);
        }
    }
}
