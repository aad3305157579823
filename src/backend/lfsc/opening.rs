//! `GET /db/open`: what a reader of a database needs first, in one answer.
//!
//! | bytes | field |
//! | --- | --- |
//! | 4 | length of the JSON |
//! | | JSON as of `GET /db/sync` |
//! | | page frames of the position in it, and their end mark |

use super::dialect::{ACCEPT_PAGE_FRAMES, Dialect};
use super::exchange::{Call, Exchange};
use super::pages::decode_frames;
use super::wire::{WireChange, max_sync_answer_len};
use crate::backend::{Change, Opening};
use crate::error::Result;
use crate::http::Method;
use crate::types::{DbName, Pos};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

const WHAT: &str = "GET /db/open";
/// Bytes of a page beyond what was asked for, and of what is around the pages.
const SLACK_LEN: usize = 1 << 17;
/// What pages unpack to at the most for each byte asked for, more than those of a database in use do. What is
/// beyond is left out, and fetched when it is missed.
const MAX_GROWTH: usize = 64;

/// Asks for it; `None` when the server does not know the call.
pub fn open(
    exchange: &Exchange,
    dialect: &Dialect,
    db: &DbName,
    since: Pos,
    max_len: u32,
    hurry: bool,
) -> Result<Option<Opening>> {
    if dialect.lacks_open() {
        return Ok(None);
    }
    let mut call = Call {
        headers: [("Accept", ACCEPT_PAGE_FRAMES.to_string())].into(),
        max_answer_len: max_sync_answer_len(1)
            .saturating_add(max_len as usize)
            .saturating_add(SLACK_LEN),
        ..Call::new(Method::Get, "/db/open").with_db(db).in_a_hurry(hurry)
    };
    if !since.is_empty() {
        call = call.at(since);
    }
    match exchange.answer(call.with("max_bytes", &max_len)) {
        Ok(response) if dialect.note_answer(&response) => {
            decode(exchange, since, response.body, max_len as usize).map(Some)
        }
        Err(failure) if failure.code == "ENODB" => {
            Ok(Some(Opening { change: Change::GONE, pages: Vec::new() }))
        }
        Err(failure) if !failure.is_unknown_call() => Err(failure.error),
        _ => {
            dialect.note_lack_of_open();
            Ok(None)
        }
    }
}

fn decode(exchange: &Exchange, since: Pos, body: Vec<u8>, max_len: usize) -> Result<Opening> {
    let parts = body.split_first_chunk().and_then(|(len, rest)| {
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        rest.split_at_checked(len)
    });
    let (json, frames) =
        parts.ok_or_else(|| exchange.bad_answer(WHAT, "the answer is shorter than it says"))?;
    let change: WireChange = exchange.json(WHAT, json)?;
    let change = change
        .change(since)
        .ok_or_else(|| exchange.bad_answer(WHAT, "the answer has no position"))?;
    let start = body.len().saturating_sub(frames.len());
    let pages = decode_frames(body, start, usize::MAX, max_len.saturating_mul(MAX_GROWTH))
        .map_err(|error| exchange.bad_answer(WHAT, &format!("its pages: {error}")))?;
    Ok(Opening { change, pages })
}
