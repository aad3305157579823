//! `GET /db/snapshot`: the size of a database whose page 1 does not say it. It stands at the beginning of
//! the answer, in the header of an LTX file; the pages behind it are not waited for.

use super::exchange::{Call, Exchange};
use crate::error::{Error, Result};
use crate::http::Method;
use crate::ltx::{HEADER_LEN, Header, Version};
use crate::sys;
use crate::types::{DbName, Pos};

const WHAT: &str = "GET /db/snapshot";

/// The size in pages at a position.
pub fn size_pages(exchange: &Exchange, db: &DbName, pos: Pos) -> Result<u32> {
    let call = Call { max_answer_len: usize::MAX, ..Call::new(Method::Get, "/db/snapshot") };
    let (timeout_ms, asked) = (call.timeout_ms, sys::Tick::now());
    let answer = exchange.open(call.with_db(db).at(pos)).map_err(|failure| failure.error)?;
    let mut body = answer.body;
    let mut bytes = [0; HEADER_LEN];
    let mut rest = bytes.as_mut_slice();
    while !rest.is_empty() {
        let read = body.read(rest, timeout_ms.saturating_sub(asked.age_ms()));
        match read.map_err(|error| exchange.no_answer(WHAT, error).error)? {
            0 => return Err(exchange.bad_answer(WHAT, "the answer has no header")),
            len => rest = rest.get_mut(len..).unwrap_or_default(),
        }
    }
    let bad = |why: &str| -> Error { exchange.bad_answer(WHAT, why) };
    let (header, _) =
        Header::decode(&bytes, Version::V1).map_err(|error| bad(&alloc::format!("{error}")))?;
    if header.max_txid != pos.txid {
        return Err(bad("it is of another position than was asked for"));
    }
    Ok(header.commit)
}
