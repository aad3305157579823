//! A file that only this process reads and that ends with it: bytes in memory, and on a disk when there
//! are too many.
//!
//! It holds what SQLite was told is written, whatever the disk does:
//!
//! - Every byte before the end is in memory, or in the temporary file since a write of its whole chunk that
//!   succeeded after the byte last changed. A chunk leaves memory after that, not before.
//! - So a write that the disk does not take, or takes in part, changes nothing: the chunk stays in memory,
//!   and the disk is asked again when there are twice as many. The last resort is [`MAX_IN_MEMORY_BYTES`].
//! - A write that fails leaves every byte as it was. A read gives what was written, or fails; it is short only
//!   past the end, which is kept here and not asked of the disk.
//! - Cutting can't fail, nor can writing to the first chunk, which never leaves memory: that is how SQLite
//!   ends a journal, when nothing may fail any more.

use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, log::log};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes that go to the disk and come back together.
const CHUNK_LEN: usize = 16 << 10;
/// Chunks in memory before there is a file. To make one and unlink it again costs more than most commits
/// do otherwise.
const MAX_CHUNKS: usize = 4;

/// Bytes that stay in memory when no disk takes them: once for the pages of a transaction, once for its
/// journal. Where there is no disk to write to, in a container or a function of a cloud, a process often
/// has 512 MB: both and the LTX file fit in there. A browser has no disk at all, and the bound of a large
/// transaction is the memory that WebAssembly can address.
pub const MAX_IN_MEMORY_BYTES: usize = if sys::HAS_TEMP_FILES { 128 << 20 } else { 1 << 30 };

/// See the module.
pub struct PrivateFile {
    /// What it is, for messages.
    what: &'static str,
    len: u64,
    /// Chunks, by number and in order.
    memory: Vec<(u64, Vec<u8>)>,
    max_in_memory: usize,
    /// The disk is asked when there are more chunks than this in memory.
    spill_above: usize,
    /// The file and its folder.
    file: Option<(sys::File, String)>,
    /// Why the disk did not take something.
    failure: Option<String>,
}

impl PrivateFile {
    /// An empty file.
    pub fn new(what: &'static str) -> PrivateFile {
        PrivateFile {
            what,
            len: 0,
            memory: Vec::new(),
            max_in_memory: MAX_IN_MEMORY_BYTES / CHUNK_LEN,
            spill_above: MAX_CHUNKS,
            file: None,
            failure: None,
        }
    }

    /// Bytes in the file.
    pub fn len_bytes(&self) -> u64 {
        self.len
    }

    /// Fills `bytes` from `offset`. Answers how many there are; the rest is zero.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let available = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (there, past_end) = bytes.split_at_mut(bytes.len().min(available));
        past_end.fill(0);
        let filled = there.len();
        let (mut at, mut rest) = (offset, there);
        while !rest.is_empty() {
            let (number, within) = place_of(at);
            let len = CHUNK_LEN.saturating_sub(within).min(rest.len());
            let (part, after) = rest.split_at_mut(len);
            match self.chunk(number) {
                Some(chunk) => part.copy_from_slice(part_of(chunk, within, len)?),
                None => self.read_file(at, part)?,
            }
            (at, rest) = (at.saturating_add(len as u64), after);
        }
        Ok(filled)
    }

    /// Writes `bytes` at `offset`, all or nothing. What is between the end and there becomes zeros.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or_else(misplaced)?;
        let begin = offset.min(self.len);
        let touched = place_of(begin).0..end.div_ceil(CHUNK_LEN as u64);
        self.bring(touched.clone())?;
        for number in touched {
            let start = number.saturating_mul(CHUNK_LEN as u64);
            let at = self.place_in_memory(number).ok().ok_or_else(misplaced)?;
            let (_, chunk) = self.memory.get_mut(at).ok_or_else(misplaced)?;
            let within = |at: u64| {
                usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(CHUNK_LEN)
            };
            let (gap, from, to) = (within(begin)..within(offset), within(offset), within(end));
            chunk.get_mut(gap).unwrap_or_default().fill(0);
            let target = chunk.get_mut(from..to).unwrap_or_default();
            let skipped = usize::try_from(start.saturating_sub(offset)).unwrap_or(usize::MAX);
            let source = bytes.get(skipped..).and_then(|rest| rest.get(..target.len()));
            target.copy_from_slice(source.ok_or_else(misplaced)?);
        }
        self.len = self.len.max(end);
        if self.memory.len() > self.spill_above {
            self.spill();
        }
        Ok(())
    }

    /// Cuts the file.
    pub fn truncate(&mut self, len: u64) {
        if len >= self.len {
            return;
        }
        self.len = len;
        let (Ok(first_gone) | Err(first_gone)) =
            self.place_in_memory(len.div_ceil(CHUNK_LEN as u64));
        self.memory.truncate(first_gone);
        match &self.file {
            Some(_) if len == 0 => self.file = None,
            Some((file, _)) => {
                // It only gives room back. What is past the end is not looked at.
                let _ = file.set_len(len.next_multiple_of(CHUNK_LEN as u64));
            }
            None => {}
        }
        if self.memory.len() <= MAX_CHUNKS {
            self.spill_above = MAX_CHUNKS;
        }
    }

    /// Gets chunks into memory, so that they can be written to. No byte changes.
    fn bring(&mut self, touched: Range<u64>) -> Result<()> {
        if !self.has_room(&touched) {
            // Perhaps the disk has some by now.
            self.spill();
            if !self.has_room(&touched) {
                return Err(no_room(self.what, self.failure.as_deref()));
            }
        }
        for number in touched {
            let Err(at) = self.place_in_memory(number) else { continue };
            let mut chunk = Vec::new();
            if chunk.try_reserve_exact(CHUNK_LEN).is_err() || self.memory.try_reserve(1).is_err() {
                let text = format!("{}: out of memory; commit smaller transactions", self.what);
                return Err(Error::new(ErrorKind::Full, text));
            }
            chunk.resize(CHUNK_LEN, 0);
            let start = number.saturating_mul(CHUNK_LEN as u64);
            if start < self.len {
                self.read_file(start, &mut chunk)?;
            }
            self.memory.insert(at, (number, chunk));
        }
        Ok(())
    }

    /// Whether these chunks may be in memory, too.
    fn has_room(&self, touched: &Range<u64>) -> bool {
        let len = touched.end.saturating_sub(touched.start);
        let there = touched.clone().take(self.max_in_memory.saturating_add(1));
        let there = there.filter(|&number| self.place_in_memory(number).is_ok()).count();
        let missing = usize::try_from(len).unwrap_or(usize::MAX).saturating_sub(there);
        missing == 0 || self.memory.len().saturating_add(missing) <= self.max_in_memory
    }

    /// Has the disk take all chunks but the first and the last ones.
    fn spill(&mut self) {
        let is_first = self.memory.first().is_some_and(|(number, _)| *number == 0);
        let at = usize::from(is_first);
        while self.memory.len() > MAX_CHUNKS
            && let Some((number, chunk)) = self.memory.get(at)
        {
            let start = number.saturating_mul(CHUNK_LEN as u64);
            match write_file(&mut self.file, start, chunk) {
                Ok(()) => self.memory.remove(at),
                Err(failure) => {
                    if self.failure.is_none() {
                        log!(Warn, "{} stays in memory: {failure}", self.what);
                    }
                    self.failure = Some(failure);
                    self.spill_above = self.memory.len().saturating_mul(2);
                    return;
                }
            };
        }
        self.spill_above = MAX_CHUNKS;
    }

    /// Where a chunk is in memory, or would be.
    fn place_in_memory(&self, number: u64) -> core::result::Result<usize, usize> {
        match self.memory.last() {
            // As a journal is written.
            Some((last, _)) if *last == number => Ok(self.memory.len().saturating_sub(1)),
            _ => self.memory.binary_search_by_key(&number, |(number, _)| *number),
        }
    }

    fn chunk(&self, number: u64) -> Option<&[u8]> {
        let at = self.place_in_memory(number).ok()?;
        self.memory.get(at).map(|(_, chunk)| &**chunk)
    }

    fn read_file(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let (file, folder) = self.file.as_ref().ok_or_else(misplaced)?;
        file.read_at(bytes, offset).map_err(|e| {
            let text = format!("{}: reading its temporary file in {folder}: {e}", self.what);
            Error::new(ErrorKind::Local, text)
        })
    }
}

/// Writes to the file, which is made if there is none.
pub fn write_file(
    file: &mut Option<(sys::File, String)>,
    offset: u64,
    bytes: &[u8],
) -> core::result::Result<(), String> {
    if file.is_none() {
        *file = Some(sys::File::anonymous().map_err(|e| format!("{e}"))?);
    }
    let Some((file, folder)) = file else { return Ok(()) };
    file.write_at(bytes, offset).map_err(|e| format!("a temporary file in {folder}: {e}"))
}

/// The error of a file that has as much in memory as it may, and that no disk takes.
pub fn no_room(what: &str, failure: Option<&str>) -> Error {
    let (mib, failure) = (MAX_IN_MEMORY_BYTES >> 20, failure.unwrap_or("no temporary file"));
    let text = format!(
        "{what}: more than the {mib} MiB that may stay in memory, and no disk takes it: {failure}; make room \
         there, name a folder that can be written to in SQLITE_TMPDIR or TMPDIR, or commit smaller transactions"
    );
    Error::new(ErrorKind::Full, text)
}

/// The chunk of a place, and where in it.
fn place_of(at: u64) -> (u64, usize) {
    let len = CHUNK_LEN as u64;
    let within = at.checked_rem(len).unwrap_or(0);
    (at.checked_div(len).unwrap_or(0), usize::try_from(within).unwrap_or(0))
}

fn part_of(chunk: &[u8], within: usize, len: usize) -> Result<&[u8]> {
    chunk.get(within..within.saturating_add(len)).ok_or_else(misplaced)
}

fn misplaced() -> Error {
    Error::new(ErrorKind::Internal, "a part of a private file is not where it was put")
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
#[path = "private_file_tests.rs"]
mod tests;
