//! `GET /db/page`: pages as the server stores them, read as they come, or in JSON.
//!
//! A server that is not known to send page frames is asked for them with a plain list of pages; the
//! type of its answer tells. From then on lists have ranges and any length, and an answer that breaks
//! off is asked for again from the page on that is missing.

use super::dialect::{ACCEPT_PAGE_FRAMES, Dialect};
use super::exchange::{Call, Exchange, Failure};
use super::receive::NoBody;
use super::wire::PagesResponse;
use crate::backend::{MAX_PAGES_PER_REQUEST, Page, PageList, PageStream, WholeAnswer, read_ahead};
use crate::error::{Error, Result};
use crate::http::{Body, Method, Response, TransportError};
use crate::ltx::{self, PageFrames, StreamError};
use crate::sys::{self, log::log};
use crate::text::base64;
use crate::types::{DbName, PageSize, Pgno, Pos};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// Time for an answer with pages, or for the next bytes of one that is read as it comes.
const PAGES_TIMEOUT_MS: u64 = 15_000;
/// What a line must bring at least to be waited for any longer than that.
const LEAST_BYTES_PER_MS: u64 = 4;
/// The largest answer with one page: 64 KiB in base64, and what is around it.
const MAX_PAGE_ANSWER_LEN: usize = 90_000;
/// Bytes read from a connection at a time.
const BUFFER_LEN: usize = 64 << 10;
/// How often an answer may break off with no page in between, and the pause after each time.
const MAX_BREAKS: u32 = 3;
const BREAK_PAUSE_MS: u64 = if cfg!(fuzzing) { 0 } else { 50 };
/// A request that makes no sense to the server.
const BAD_REQUEST: u16 = 400;
const WHAT: &str = "GET /db/page";

/// The call for pages, with their numbers in the form that every server takes.
pub fn pages_call(db: &DbName, pages: &PageList) -> Call<'static> {
    let list = pages.iter().map(|pgno| pgno.to_string()).collect::<Vec<_>>().join(",");
    call(db, pages, list)
}

fn call(db: &DbName, pages: &PageList, list: String) -> Call<'static> {
    let call = Call {
        headers: [("Accept", ACCEPT_PAGE_FRAMES.to_string())].into(),
        timeout_ms: PAGES_TIMEOUT_MS,
        max_answer_len: pages.len_pages().saturating_mul(MAX_PAGE_ANSWER_LEN),
        ..Call::new(Method::Get, "/db/page")
    };
    call.with_db(db).with("pgno", &list)
}

/// The pages of an answer that came whole, in the order asked for.
pub fn decode_whole(
    exchange: &Exchange,
    dialect: &Dialect,
    asked: &PageList,
    response: Response,
) -> Result<Vec<Page>> {
    if !dialect.note_answer(&response) {
        return decode_json(exchange, asked, &response.body);
    }
    // One more than was asked for tells that there are too many.
    let max_pages = asked.len_pages().saturating_add(1);
    let pages = decode_frames(response.body, 0, max_pages, usize::MAX)
        .map_err(|error| exchange.bad_answer(WHAT, &error.to_string()))?;
    if !pages.iter().map(|(pgno, _)| *pgno).eq(asked.iter()) {
        return Err(exchange.bad_answer(WHAT, "its pages are not those that were asked for"));
    }
    Ok(pages)
}

/// The pages of a row of frames that begins in `bytes` at `start`, up to so many, and up to the one with
/// which they have `max_len` bytes. A frame of thirty bytes may become a page of 64 KiB, so what an answer
/// weighs is no bound.
pub fn decode_frames(
    bytes: Vec<u8>,
    start: usize,
    max_pages: usize,
    max_len: usize,
) -> core::result::Result<Vec<Page>, ltx::Error> {
    let (mut pages, mut page, mut len) = (Vec::new(), Vec::new(), 0_usize);
    // As if they were arriving: the code that reads frames is 3 KB for each type of input.
    let mut frames = PageFrames::new(Arriving::whole(bytes, start), None);
    while pages.len() < max_pages && len < max_len.max(1) {
        let next = frames.next_page(&mut page).map_err(|error| match error {
            StreamError::Ltx(error) => error,
            StreamError::Io(_) => ltx::Error::Truncated,
        });
        let Some(pgno) = next? else { break };
        len = len.saturating_add(page.len());
        pages.push((pgno, core::mem::take(&mut page)));
    }
    Ok(pages)
}

fn decode_json(exchange: &Exchange, asked: &PageList, body: &[u8]) -> Result<Vec<Page>> {
    let answer: PagesResponse = exchange.json(WHAT, body)?;
    let mut came = answer.pages;
    if came.len() > asked.len_pages() {
        return Err(exchange.bad_answer(WHAT, "the answer has more pages than were asked for"));
    }
    let mut pages = Vec::with_capacity(came.len());
    for pgno in asked.iter() {
        let at = came.iter().position(|page| page.pgno == pgno.get());
        let page = at.map(|at| came.swap_remove(at)).ok_or_else(|| {
            exchange.bad_answer(WHAT, &format!("page {pgno} is missing in the answer"))
        })?;
        let data = base64::decode(&page.data)
            .ok_or_else(|| exchange.bad_answer(WHAT, &format!("page {pgno} is not base64")))?;
        pages.push((pgno, data));
    }
    Ok(pages)
}

/// Whoever asks for pages of a database at a position, again if need be.
pub struct Asker {
    /// The way to the server.
    pub exchange: Arc<Exchange>,
    /// What that understands.
    pub dialect: Arc<Dialect>,
    /// The database.
    pub db: DbName,
    /// The position.
    pub pos: Pos,
    /// Size of the pages, once it is known.
    pub page_size: Option<PageSize>,
}

impl Asker {
    /// Asks for pages, and answers when the first bytes of them are there.
    pub fn ask(self, pages: PageList) -> Result<Box<dyn PageStream>> {
        let asked = sys::Tick::now();
        if self.dialect.has_frames() {
            match self.frames(&pages, asked) {
                Ok(Some(frames)) => {
                    let (page_size, breaks_left) = (self.page_size, MAX_BREAKS);
                    let (to_come, asked) = (pages, Some(asked));
                    let stream =
                        Box::new(FrameStream { asker: self, to_come, frames, breaks_left, asked });
                    return Ok(match page_size {
                        Some(page_size) => read_ahead(stream, page_size),
                        None => stream,
                    });
                }
                Err(failure) if failure.status != BAD_REQUEST => return Err(failure.error),
                // Another server has taken the place of the one that was known.
                Ok(None) | Err(_) => self.dialect.forget_frames(),
            }
        }
        if pages.len_pages() > MAX_PAGES_PER_REQUEST as usize {
            return Err(self.bad_answer("it sends no page frames any more; try again"));
        }
        let call = pages_call(&self.db, &pages).at(self.pos);
        let response = self.exchange.answer(call).map_err(|failure| failure.error)?;
        let pages = decode_whole(&self.exchange, &self.dialect, &pages, response)?;
        Ok(Box::new(WholeAnswer::new(pages)))
    }

    /// The frames of pages as they come, for the first of which somebody waits since then; `None` when
    /// something else comes.
    fn frames(
        &self,
        pages: &PageList,
        waits_since: sys::Tick,
    ) -> core::result::Result<Option<PageFrames<Arriving>>, Failure> {
        let left_ms = || PAGES_TIMEOUT_MS.saturating_sub(waits_since.age_ms());
        let call = call(&self.db, pages, pages.to_string()).at(self.pos);
        let response = self.exchange.open(Call { timeout_ms: left_ms(), ..call })?;
        let has_frames = self.dialect.note_answer(&response);
        let arriving = Arriving::new(response.body, left_ms());
        Ok(has_frames.then(|| PageFrames::new(arriving, self.page_size)))
    }

    fn bad_answer(&self, why: &str) -> Error {
        self.exchange.bad_answer(WHAT, why)
    }
}

/// Page frames on their way.
struct FrameStream {
    asker: Asker,
    to_come: PageList,
    frames: PageFrames<Arriving>,
    breaks_left: u32,
    /// Since when the first page is waited for; `None` when it has come.
    asked: Option<sys::Tick>,
}

impl FrameStream {
    /// Reads the end of the answer, so that the connection is free. Without it nothing is lost.
    fn finish(&mut self, page: &mut Vec<u8>) -> Result<()> {
        match self.frames.next_page(page) {
            Ok(Some(pgno)) => {
                let why = format!("the answer has page {pgno}, which was not asked for");
                Err(self.asker.bad_answer(&why))
            }
            Err(StreamError::Ltx(error)) if error != ltx::Error::Truncated => {
                Err(self.asker.bad_answer(&error.to_string()))
            }
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Asks for the rest of an answer that broke off, while the next page of it has time to come.
    fn ask_again(&mut self, why: TransportError, waits_since: sys::Tick) -> Result<()> {
        let failure = self.asker.exchange.no_answer(WHAT, why.clone());
        let has_time = waits_since.age_ms() < PAGES_TIMEOUT_MS;
        let breaks_left = self.breaks_left.checked_sub(1).filter(|_| why.retryable && has_time);
        self.breaks_left = breaks_left.ok_or_else(|| failure.error.clone())?;
        log!(Debug, "{}; asking for the rest of it", failure.error);
        sys::sleep_ms(BREAK_PAUSE_MS);
        let frames = self.asker.frames(&self.to_come, waits_since);
        let frames = frames.map_err(|failure| failure.error)?;
        self.frames = frames.ok_or(failure.error)?;
        Ok(())
    }
}

impl PageStream for FrameStream {
    fn to_come(&self) -> &PageList {
        &self.to_come
    }

    fn next(&mut self, page: &mut Vec<u8>) -> Result<Option<Pgno>> {
        let Some(expected) = self.to_come.first() else {
            return self.finish(page).map(|()| None);
        };
        let waits_since = self.asked.take().unwrap_or_else(sys::Tick::now);
        loop {
            match self.frames.next_page(page) {
                Ok(Some(pgno)) if pgno == expected => break,
                Ok(Some(pgno)) => {
                    let why = format!("page {pgno} came where page {expected} should");
                    return Err(self.asker.bad_answer(&why));
                }
                Ok(None) => {
                    let why = format!("page {expected} is missing in the answer");
                    return Err(self.asker.bad_answer(&why));
                }
                Err(StreamError::Io(error)) => self.ask_again(error, waits_since)?,
                Err(StreamError::Ltx(ltx::Error::Truncated)) => {
                    let reason = "the answer broke off".to_string();
                    let why = TransportError { maybe_sent: true, retryable: true, reason };
                    self.ask_again(why, waits_since)?;
                }
                Err(StreamError::Ltx(error)) => {
                    let why = format!("page {expected}: {error}");
                    return Err(self.asker.bad_answer(&why));
                }
            }
        }
        self.breaks_left = MAX_BREAKS;
        self.to_come.pop();
        Ok(Some(expected))
    }

    fn has_next(&self) -> bool {
        self.frames.input().has_frame()
    }

    fn has_all(&self) -> bool {
        let input = self.frames.input();
        input.body.is_over() || self.to_come.first().is_none() && input.has_frame()
    }
}

/// A body, read in large pieces. What waits too long for too little is given up.
struct Arriving {
    body: Box<dyn Body>,
    buffer: Vec<u8>,
    /// The part of the buffer that is yet to be taken.
    taken: usize,
    filled: usize,
    received: u64,
    waited_ms: u64,
    max_wait_ms: u64,
}

impl Arriving {
    /// A body that `max_wait_ms` may be waited for, and the longer the more it brings.
    fn new(body: Box<dyn Body>, max_wait_ms: u64) -> Arriving {
        let buffer = vec![0; BUFFER_LEN];
        Arriving { body, buffer, taken: 0, filled: 0, received: 0, waited_ms: 0, max_wait_ms }
    }

    /// Bytes from `start` on that have come.
    fn whole(buffer: Vec<u8>, start: usize) -> Arriving {
        let (taken, filled, (received, waited_ms, max_wait_ms)) =
            (start, buffer.len(), Default::default());
        let body = Box::new(NoBody);
        Arriving { body, buffer, taken, filled, received, waited_ms, max_wait_ms }
    }

    /// Whether the next frame, or the end mark, is there whole, as far as its header tells.
    fn has_frame(&self) -> bool {
        let ready = self.buffer.get(self.taken..self.filled).unwrap_or_default();
        match ready {
            [0, 0, 0, 0, 0, 0, ..] => true,
            [_, _, _, _, _, flags, a, b, c, d, frame @ ..] if flags & 3 != 0 => {
                frame.len() >= u32::from_be_bytes([*a, *b, *c, *d]) as usize
            }
            [_, _, _, _, _, _, frame @ ..] => has_lz4_frame(frame),
            _ => false,
        }
    }
}

/// Whether bytes begin with all of an LZ4 frame, as far as the lengths of its blocks tell.
fn has_lz4_frame(bytes: &[u8]) -> bool {
    let [_, _, _, _, flags, _, rest @ ..] = bytes else { return false };
    let has = |bit: u8| usize::from(flags >> bit & 1);
    let mut rest = rest.get(has(3).saturating_mul(8).saturating_add(1)..).unwrap_or_default();
    while let Some((len, block)) = rest.split_first_chunk() {
        let len = (u32::from_le_bytes(*len) & 0x7fff_ffff) as usize;
        if len == 0 {
            return block.len() >= has(2).saturating_mul(4);
        }
        let checksum_len = has(4).saturating_mul(4);
        rest = block.get(len.saturating_add(checksum_len)..).unwrap_or_default();
    }
    false
}

impl ltx::Read for Arriving {
    type Error = TransportError;

    fn read(&mut self, bytes: &mut [u8]) -> core::result::Result<usize, TransportError> {
        if self.taken == self.filled {
            let allowed_ms = self.max_wait_ms.saturating_add(self.received / LEAST_BYTES_PER_MS);
            let wait_ms = allowed_ms.saturating_sub(self.waited_ms).min(PAGES_TIMEOUT_MS);
            let started = sys::Tick::now();
            self.filled = self.body.read(&mut self.buffer, wait_ms)?;
            self.taken = 0;
            self.waited_ms = self.waited_ms.saturating_add(started.age_ms());
            self.received = self.received.saturating_add(self.filled as u64);
        }
        let mut ready = self.buffer.get(self.taken..self.filled).unwrap_or_default();
        let Ok(len) = ready.read(bytes);
        self.taken = self.taken.saturating_add(len);
        Ok(len)
    }
}
