//! Bytes of unknown length: in memory while they are few, in an unnamed temp file past that.
//!
//! Uploads arrive here, and LTX files are converted into here, so that a transaction of a gigabyte
//! costs disk and not memory. The file has no name from the start: whatever happens to the process,
//! nothing is left behind.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use crate::offload::is_long;
use crate::turns::{Begun, InTurns, Line};

/// Up to this many bytes stay in memory.
pub const MEMORY_LIMIT: usize = 4 << 20;
/// An upload's bytes are handed to the file in pieces of this size.
const PIECE: usize = 1 << 20;
/// What is packed counts as so many times as long: pages may hold much more, and seldom do.
const UNPACKED: usize = 8;
/// The longest pause between two pieces of an upload.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Why an upload could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// More bytes than the server takes.
    #[error(
        "the body is longer than this server's limit of {0} bytes: raise --max-body, or --max-import \
             for a SQLite file"
    )]
    TooLong(u64),
    /// The client paused for too long.
    #[error("the body stopped arriving for {} s", STALL_LIMIT.as_secs())]
    Stalled,
    /// The connection broke, or the body is not what its headers announced.
    #[error("the body could not be read: {0}")]
    Broken(String),
    /// The temp file failed.
    #[error("spooling the body failed: {0}")]
    Io(#[from] io::Error),
}

/// Takes bytes in; [`SpoolWriter::finish`] makes them readable.
#[derive(Debug)]
pub struct SpoolWriter {
    dir: PathBuf,
    memory: Vec<u8>,
    file: Option<BufWriter<File>>,
    len: u64,
}

impl SpoolWriter {
    /// An empty spool, whose temp file would live in `dir`.
    pub fn new(dir: &Path) -> SpoolWriter {
        SpoolWriter { dir: dir.to_owned(), memory: Vec::new(), file: None, len: 0 }
    }

    /// Ends writing.
    pub fn finish(self) -> io::Result<Spool> {
        let content = match self.file {
            None => Content::Memory(Bytes::from(self.memory)),
            Some(file) => Content::File(file.into_inner().map_err(io::IntoInnerError::into_error)?),
        };
        Ok(Spool { content, len: self.len, line: None })
    }
}

#[cfg(not(test))]
const fn memory_limit() -> usize {
    MEMORY_LIMIT
}

#[cfg(test)]
thread_local! {
    static LIMIT: std::cell::Cell<usize> = const { std::cell::Cell::new(MEMORY_LIMIT) };
}

#[cfg(test)]
fn memory_limit() -> usize {
    LIMIT.get()
}

/// Has what this thread spools count as large from so many bytes on.
#[cfg(test)]
pub fn set_memory_limit(len_bytes: usize) {
    LIMIT.set(len_bytes);
}

impl Write for SpoolWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.len = self.len.saturating_add(bytes.len() as u64);
        if self.file.is_none() && self.memory.len().saturating_add(bytes.len()) > memory_limit() {
            let mut file = BufWriter::new(tempfile::tempfile_in(&self.dir)?);
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that were taken in.
#[derive(Debug)]
pub struct Spool {
    content: Content,
    len: u64,
    /// Where work on it takes its turns.
    line: Option<Line>,
}

#[derive(Debug)]
enum Content {
    Memory(Bytes),
    File(File),
}

impl Spool {
    /// How many bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, if they are in memory.
    pub fn in_memory(&self) -> Option<Bytes> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes.clone()),
            Content::File(_) => None,
        }
    }

    /// Has work on it take turns with others'.
    pub fn in_line(self, line: Line) -> Spool {
        Spool { line: Some(line), ..self }
    }

    /// Waits until work on it may begin, of which much is done aside: see [`Line::begin`].
    pub async fn begin(&self) -> io::Result<Option<Begun>> {
        match &self.line {
            Some(line) if is_long(self.len_of_work()) => line.begin().await.map(Some),
            _ => Ok(None),
        }
    }

    /// About how many bytes there may be to work on, when what is packed in it is unpacked.
    pub fn len_of_work(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX).saturating_mul(UNPACKED)
    }

    /// Reads all bytes from the start, for work that is done aside if there is much of it: then in turns.
    pub fn reader_for_work(&self) -> io::Result<Box<dyn Read + '_>> {
        let reader = self.reader()?;
        match &self.line {
            Some(line) if is_long(self.len_of_work()) => {
                Ok(Box::new(InTurns::new(reader, line.clone())))
            }
            _ => Ok(reader),
        }
    }

    /// Reads all bytes from the start. Readers of one spool share a place: use one at a time.
    pub fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        self.reader_from(0)
    }

    /// Reads the bytes from `offset` on; see [`Spool::reader`].
    pub fn reader_from(&self, offset: u64) -> io::Result<Box<dyn Read + '_>> {
        match &self.content {
            Content::Memory(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
                Ok(Box::new(rest.unwrap_or_default()))
            }
            Content::File(file) => {
                let mut reader = BufReader::with_capacity(64 << 10, file);
                reader.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(reader))
            }
        }
    }

    /// The last `LEN` bytes; `None` when there are fewer. Moves the place that readers share.
    pub fn tail<const LEN: usize>(&self) -> io::Result<Option<[u8; LEN]>> {
        let Some(at) = self.len.checked_sub(LEN as u64) else {
            return Ok(None);
        };
        let mut tail = [0; LEN];
        self.reader_from(at)?.read_exact(&mut tail)?;
        Ok(Some(tail))
    }
}

/// Takes a request body in, up to `limit` bytes.
pub async fn receive<S, E>(mut body: S, limit: u64, dir: &Path) -> Result<Spool, ReceiveError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut writer = SpoolWriter::new(dir);
    let mut piece = Vec::new();
    let mut len = 0_u64;
    while let Some(bytes) =
        tokio::time::timeout(STALL_LIMIT, body.next()).await.map_err(|_| ReceiveError::Stalled)?
    {
        let bytes = bytes.map_err(|error| ReceiveError::Broken(error.to_string()))?;
        len = len.saturating_add(bytes.len() as u64);
        if len > limit {
            return Err(ReceiveError::TooLong(limit));
        }
        piece.extend_from_slice(&bytes);
        if piece.len() >= PIECE {
            let full = std::mem::take(&mut piece);
            let written = tokio::task::spawn_blocking(move || {
                writer.write_all(&full)?;
                Ok::<_, io::Error>(writer)
            });
            writer = written.await.map_err(io::Error::other)??;
        }
    }
    writer.write_all(&piece)?;
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(len: usize) -> (Spool, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let mut writer = SpoolWriter::new(dir.path());
        for part in bytes.chunks(70_001) {
            writer.write_all(part).unwrap();
        }
        (writer.finish().unwrap(), bytes)
    }

    #[test]
    fn bytes_come_back_from_memory_and_from_the_file() {
        for (len, in_memory) in [(1000, true), (MEMORY_LIMIT, true), (MEMORY_LIMIT + 1, false)] {
            let (spool, bytes) = filled(len);
            assert_eq!((spool.len(), spool.in_memory().is_some()), (len as u64, in_memory));
            for _ in 0..2 {
                let mut read = Vec::new();
                spool.reader().unwrap().read_to_end(&mut read).unwrap();
                assert!(read == bytes);
            }
            let tail = spool.tail::<16>().unwrap().unwrap();
            assert_eq!(tail, bytes[len - 16..]);
        }
    }

    #[test]
    fn a_tail_needs_as_many_bytes() {
        assert!(filled(15).0.tail::<16>().unwrap().is_none());
        assert!(filled(16).0.tail::<16>().unwrap().is_some());
    }

    #[test]
    fn a_body_past_the_limit_is_refused() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let body = |parts: usize| {
            futures_util::stream::iter((0..parts).map(|_| Ok::<_, io::Error>(Bytes::from("12345"))))
        };
        let dir = tempfile::tempdir().unwrap();
        let taken = runtime.block_on(receive(body(2), 10, dir.path())).unwrap();
        assert_eq!(taken.len(), 10);
        let refused = runtime.block_on(receive(body(3), 10, dir.path()));
        assert!(matches!(refused, Err(ReceiveError::TooLong(10))));
    }
}
