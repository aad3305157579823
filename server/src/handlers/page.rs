//! `GET /db/page`: pages as they were at a position, or at a moment.
//!
//! As JSON, or, for whoever accepts it, as the page frames that are stored. Both are streamed: when
//! reading fails in the middle, the connection is cut before the end.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use litevfs::ltx::END_OF_PAGES;
use litevfs::types::{Pgno, Pos};

use super::{at_moment, current, from_pos, page_json};
use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::key::DbKey;
use crate::page_list::PageList;
use crate::store::{At, Database, Error, Frames};

/// The most pages a request may ask for as JSON.
const MAX_PAGES: u64 = 1024;
/// A request for no more pages is one of a client that misses one, and asks for it first.
const SMALL: u64 = 128;
/// Pages at a position are the same for good, where it is told which commit that is. The asker may
/// keep them, for a day, so that what was damaged on the way does not stay for ever. No one else may: they
/// are for whoever has the token.
const LASTING: HeaderValue = HeaderValue::from_static("private, max-age=86400, immutable");
/// What the answer depends on beside the URL: the token may say which cluster is meant.
const DEPENDS_ON: &str = "accept, authorization";
/// The media type of page frames.
pub(super) const FRAMES: &str = "application/vnd.litevfs.pages";

pub(crate) async fn pages(
    State(app): State<Arc<App>>,
    access: Access,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = access.key(Permission::Read)?;
    let at = access.at()?.ok_or_else(|| {
        ApiError::bad_input("say when: pos=TXID/CHECKSUM, txid=TXID or timestamp=TIME")
    })?;
    let asked = Asked {
        list: pgnos(access.parameter("pgno").unwrap_or_default())?,
        as_frames: accepts_frames(&headers),
    };
    asked.check()?;
    // In a browser the extension keeps pages itself: there is no room to keep them twice.
    let is_browser = headers.contains_key("origin") || headers.contains_key("sec-fetch-mode");
    let is_lasting = matches!(at, At::Pos(pos) if pos.commit_id.is_set()) && !is_browser;
    let (database, pos) = at_moment(&app, &key, at).await?;
    let mut answer = match answer(&app, &key, database, pos, &asked).await {
        // This server is far behind what others did.
        Err(Error::Replaced | Error::NotHeld(_)) => {
            let database = current(&app, &key).await?;
            answer(&app, &key, database, pos, &asked).await?
        }
        answer => answer?,
    };
    if is_lasting {
        answer.headers_mut().insert(CACHE_CONTROL, LASTING);
    }
    Ok(answer)
}

/// What a request asks for.
struct Asked {
    list: PageList,
    as_frames: bool,
}

impl Asked {
    fn check(&self) -> Result<(), ApiError> {
        if self.as_frames {
            let repeats = self.list.repeats();
            return if repeats {
                Err(ApiError::bad_input("ask for each page once"))
            } else {
                Ok(())
            };
        }
        if self.list.count() > MAX_PAGES {
            let text = format!("as JSON, at most {MAX_PAGES} pages a request: ask in several");
            return Err(ApiError::bad_input(text));
        }
        Ok(())
    }
}

fn pgnos(list: &str) -> Result<PageList, ApiError> {
    let text = "name the pages: pgno=1,5-20, numbers from 1";
    list.parse().map_err(|()| ApiError::bad_input(text))
}

/// Whether the client takes page frames.
pub(super) fn accepts_frames(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut types = lists.flat_map(|list| list.split(','));
    types.any(|text| {
        text.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(FRAMES))
    })
}

async fn answer(
    app: &App,
    key: &DbKey,
    database: Arc<Database>,
    pos: Pos,
    asked: &Asked,
) -> Result<Response, Error> {
    let view = database.view(Some(pos)).await?;
    let pos = view.pos;
    let list = asked.list.clone();
    let (media_type, body) = if asked.as_frames {
        let count = list.count();
        if count <= SMALL {
            list.first().inspect(|&pgno| database.asked_for(pgno));
        }
        let body = frames(key, Frames::new(database, view), list).await?;
        app.metrics.pages_served(count);
        (FRAMES, body)
    } else {
        let pgnos: Vec<Pgno> = view.listed(list)?.collect();
        let count = pgnos.len() as u64;
        let body = page_json::body(key, Frames::new(database, view), pgnos).await?;
        app.metrics.pages_served(count);
        ("application/json", body)
    };
    let headers = [(CONTENT_TYPE, media_type), (VARY, DEPENDS_ON)];
    Ok((headers, from_pos(pos), body).into_response())
}

/// Page frames and the end mark. The first batch is read before the answer begins, so that what is
/// wrong from the start is told as an error; if there is no other, the answer is sent whole.
async fn frames(key: &DbKey, frames: Frames, list: PageList) -> Result<Body, Error> {
    let is_whole = list.count() <= frames.batch_len() as u64;
    let end = Bytes::from_static(&END_OF_PAGES);
    let mut batches = Box::pin(frames.stream(list)?);
    let first = batches.try_next().await?.unwrap_or_default();
    if is_whole {
        return Ok([first, end].concat().into());
    }
    let key = key.clone();
    let rest = batches.inspect_err(move |error| {
        tracing::error!(database = %key, %error, "an answer with pages ended early");
    });
    Ok(Body::from_stream(stream::iter([Ok(first)]).chain(rest).chain(stream::iter([Ok(end)]))))
}
