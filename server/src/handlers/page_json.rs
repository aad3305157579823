//! Pages as JSON, made while they are sent: a few batches are in memory, however slow the client.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, TryStreamExt, stream};
use litevfs::types::Pgno;

use crate::key::DbKey;
use crate::offload::offload;
use crate::store::{Error, Frames};

const HEAD: &str = "{\"pages\":[";
const END: &str = "]}";

/// These pages. The first batch is read before the answer begins, so that what is wrong from the start is
/// told as an error; if there is no other, the answer is sent whole.
pub(super) async fn body(key: &DbKey, frames: Frames, pgnos: Vec<Pgno>) -> Result<Body, Error> {
    let is_whole = pgnos.len() <= frames.batch_len();
    let batches = frames.unpacked(pgnos).enumerate();
    let mut texts = Box::pin(batches.then(move |(number, batch)| async move {
        let (pgnos, pages) = batch?;
        let len_bytes = pages.iter().map(Vec::len).fold(0, usize::saturating_add);
        let text = move || json(number == 0, is_whole, &pgnos, &pages, len_bytes);
        Ok::<_, Error>(offload(len_bytes, text).await?)
    }));
    let Some(first) = texts.try_next().await? else {
        return Ok([HEAD, END].concat().into());
    };
    if is_whole {
        return Ok(first.into());
    }
    let key = key.clone();
    let rest = texts.inspect_err(move |error| {
        tracing::error!(database = %key, %error, "an answer with pages ended early");
    });
    let end = stream::iter([Ok(END.to_owned())]);
    Ok(Body::from_stream(stream::iter([Ok(first)]).chain(rest).chain(end)))
}

/// Written by hand, straight into one buffer: this is what everything else waits for.
fn json(begins: bool, ends: bool, pgnos: &[Pgno], pages: &[Vec<u8>], len_bytes: usize) -> String {
    // Base64 makes four bytes of three; a page's number, names and punctuation are 40 at most.
    let room = (len_bytes / 3).saturating_mul(4);
    let mut text = String::with_capacity(room.saturating_add(pages.len().saturating_mul(44)));
    if begins {
        text.push_str(HEAD);
    }
    for (place, (pgno, data)) in pgnos.iter().zip(pages).enumerate() {
        text.push_str(if begins && place == 0 { "{\"pgno\":" } else { ",{\"pgno\":" });
        text.push_str(&pgno.to_string());
        text.push_str(",\"data\":\"");
        STANDARD.encode_string(data, &mut text);
        text.push_str("\"}");
    }
    if ends {
        text.push_str(END);
    }
    text
}
