//! `GET /db/page`: pages as they were at a position, or at a moment.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use litevfs::types::Pgno;

use super::{POS, at_moment, current};
use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::offload::offload;
use crate::store::Error;

/// The most pages a request may ask for.
const MAX_PAGES: usize = 1024;

pub(crate) async fn pages(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Response, ApiError> {
    let key = access.key(Permission::Read)?;
    let at = access.at()?.ok_or_else(|| {
        ApiError::bad_input("say when: pos=TXID/CHECKSUM, txid=TXID or timestamp=TIME")
    })?;
    let pgnos = pgnos(access.parameter("pgno").unwrap_or_default())?;
    let (database, pos) = at_moment(&app, &key, at).await?;
    let pages = match database.pages(pos, &pgnos).await {
        // This server is far behind what others did.
        Err(Error::Replaced) => current(&app, &key).await?.pages(pos, &pgnos).await?,
        pages => pages?,
    };
    app.metrics.pages_served(pages.len() as u64);
    let len_bytes = pages.iter().map(Vec::len).fold(0, usize::saturating_add);
    let body = offload(len_bytes, move || json(&pgnos, &pages, len_bytes)).await?;
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (POS, pos.to_string())];
    Ok((headers, body).into_response())
}

fn pgnos(list: &str) -> Result<Vec<Pgno>, ApiError> {
    let bad = || {
        let text = format!("name the pages: pgno=1,2,3, up to {MAX_PAGES} numbers from 1");
        ApiError::bad_input(text)
    };
    let parse = |text: &str| text.parse().ok().and_then(Pgno::new).ok_or_else(bad);
    let pgnos = list.split(',').take(MAX_PAGES.saturating_add(1)).map(parse);
    let pgnos: Vec<Pgno> = pgnos.collect::<Result<_, _>>()?;
    if pgnos.len() > MAX_PAGES { Err(bad()) } else { Ok(pgnos) }
}

/// Written by hand, straight into one buffer: this is the body that everything else waits for.
fn json(pgnos: &[Pgno], pages: &[Vec<u8>], len_bytes: usize) -> String {
    // Base64 makes four bytes of three; a page's number, names and punctuation are 40 at most.
    let room = (len_bytes / 3).saturating_mul(4);
    let mut text = String::with_capacity(room.saturating_add(pages.len().saturating_mul(44)));
    text.push_str("{\"pages\":[");
    for (place, (pgno, data)) in pgnos.iter().zip(pages).enumerate() {
        text.push_str(if place == 0 { "{\"pgno\":" } else { ",{\"pgno\":" });
        text.push_str(&pgno.to_string());
        text.push_str(",\"data\":\"");
        STANDARD.encode_string(data, &mut text);
        text.push_str("\"}");
    }
    text.push_str("]}");
    text
}
