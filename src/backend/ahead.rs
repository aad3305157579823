//! A long answer that is received and unpacked on a thread of its own, a little ahead of whoever reads it.
//!
//! So SQLite goes through its rows, or the cache takes pages, while the next ones are unpacked. One answer at
//! a time in a process: others would take memory for each, and find no core to run on.

use super::pages::{PageList, PageStream};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Ahead};
use crate::types::{PageSize, Pgno};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the pages that change hands at a time.
const BATCH_BYTES: u32 = 64 << 10;
/// An answer with fewer bytes of pages is over before a thread has begun.
const MIN_BYTES: usize = 512 << 10;

/// See the module.
struct StreamAhead {
    to_come: PageList,
    batches: Ahead<Batch>,
    batch: Batch,
    /// Held until this is read and the thread has ended: both have pages.
    _turn: Arc<Turn>,
}

/// Pages that come next. Their memory is used again, and that of the pages that they are exchanged for.
#[derive(Default)]
struct Batch {
    pages: Vec<Vec<u8>>,
    filled: usize,
    taken: usize,
    /// Why there are no more.
    error: Option<Error>,
}

/// Whether an answer is being read ahead.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Leave to read an answer ahead, until it is dropped.
struct Turn;

impl Turn {
    fn take() -> Option<Turn> {
        (!IS_TAKEN.swap(true, Ordering::Relaxed)).then_some(Turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        IS_TAKEN.store(false, Ordering::Relaxed);
    }
}

/// The same stream, read ahead where it is long.
pub fn read_ahead(stream: Box<dyn PageStream>, page_size: PageSize) -> Box<dyn PageStream> {
    let to_come = stream.to_come().clone();
    if to_come.len_pages().saturating_mul(page_size.len_bytes()) < MIN_BYTES {
        return stream;
    }
    let Some(turn) = Turn::take().map(Arc::new) else { return stream };
    let most = (BATCH_BYTES >> page_size.bytes().trailing_zeros()).max(1) as usize;
    let mut stream = Some(stream);
    let of_thread = Arc::clone(&turn);
    let batches = Ahead::new(move |used: Batch| {
        let _ = &of_thread;
        let mut batch = Batch { filled: 0, taken: 0, ..used };
        batch.pages.resize_with(most, Vec::new);
        batch.fill(&mut stream);
        Some(batch).filter(|batch| batch.filled > 0 || batch.error.is_some())
    });
    Box::new(StreamAhead { to_come, batches, batch: Batch::default(), _turn: turn })
}

impl Batch {
    /// Fills it from a stream, which goes after its end or an error.
    fn fill(&mut self, stream: &mut Option<Box<dyn PageStream>>) {
        for page in &mut self.pages {
            let Some(open) = stream else { return };
            if self.filled > 0 && !open.has_next() {
                // Somebody may wait for those that are there.
                return;
            }
            match open.next(page) {
                Ok(Some(_)) => self.filled = self.filled.saturating_add(1),
                Ok(None) => *stream = None,
                Err(error) => {
                    self.error = Some(error);
                    *stream = None;
                }
            }
        }
    }
}

impl PageStream for StreamAhead {
    fn to_come(&self) -> &PageList {
        &self.to_come
    }

    fn next(&mut self, page: &mut Vec<u8>) -> Result<Option<Pgno>> {
        if self.batch.taken == self.batch.filled {
            if let Some(error) = self.batch.error.take() {
                return Err(error);
            }
            let used = core::mem::take(&mut self.batch);
            self.batch = self.batches.next(used).unwrap_or_default();
        }
        let taken = self.batch.taken;
        let came = self.batch.pages.get_mut(taken).filter(|_| taken < self.batch.filled);
        match came {
            Some(came) => core::mem::swap(came, page),
            None if sys::is_interrupted() => {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            None => return self.batch.error.take().map_or(Ok(None), Err),
        }
        self.batch.taken = taken.saturating_add(1);
        Ok(self.to_come.pop())
    }

    fn has_next(&self) -> bool {
        self.batch.taken < self.batch.filled
    }

    fn has_all(&self) -> bool {
        false
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::super::pages::WholeAnswer;
    use super::*;
    use crate::error::ErrorKind;
    use alloc::vec;

    const COUNT: u32 = 3000;

    /// Pages that come one by one, perhaps not all of them.
    struct Broken {
        whole: WholeAnswer,
        left: usize,
    }

    impl PageStream for Broken {
        fn to_come(&self) -> &PageList {
            self.whole.to_come()
        }

        fn next(&mut self, page: &mut Vec<u8>) -> Result<Option<Pgno>> {
            let cut = || Error::new(ErrorKind::Away, "cut");
            self.left = self.left.checked_sub(1).ok_or_else(cut)?;
            self.whole.next(page)
        }
    }

    fn content(pgno: Pgno) -> Vec<u8> {
        vec![pgno.get() as u8; 512 + pgno.get() as usize % 2]
    }

    /// Every second page, of which some come.
    fn stream(count: u32, left: usize) -> Box<dyn PageStream> {
        let pgnos = (1..=count).filter_map(|n| Pgno::new(2 * n));
        let pages = pgnos.map(|pgno| (pgno, content(pgno))).collect();
        read_ahead(
            Box::new(Broken { whole: WholeAnswer::new(pages), left }),
            PageSize::new(512).unwrap(),
        )
    }

    fn take(stream: &mut dyn PageStream, count: u32) {
        let mut page = vec![1; 7];
        for pgno in (1..=count).filter_map(|n| Pgno::new(2 * n)) {
            assert_eq!(stream.to_come().first(), Some(pgno));
            assert_eq!(stream.next(&mut page), Ok(Some(pgno)));
            assert!(page == content(pgno), "page {pgno}");
        }
    }

    #[test]
    fn a_long_answer_comes_as_it_is() {
        for count in [1, 1023, 1024, COUNT] {
            let mut stream = stream(count, usize::MAX);
            take(&mut *stream, count);
            assert_eq!(stream.to_come().first(), None);
            assert_eq!(stream.next(&mut Vec::new()), Ok(None));
        }
    }

    #[test]
    fn what_came_before_an_error_comes_before_it() {
        for left in [0, 1, 127, 128, 129, 1024, COUNT - 1] {
            let mut stream = stream(COUNT, left as usize);
            take(&mut *stream, left);
            let error = stream.next(&mut Vec::new()).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::Away, "cut"));
            assert_eq!(stream.to_come().len_pages(), (COUNT - left) as usize);
        }
    }
}
