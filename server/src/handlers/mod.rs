//! One function a call: reads the request, asks the store or the leases, writes the answer.

pub(crate) mod clusters;
pub(crate) mod group;
pub(crate) mod info;
pub(crate) mod lease;
pub(crate) mod open;
pub(crate) mod page;
mod page_json;
mod pieces;
pub(crate) mod restore;
pub(crate) mod site;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod tx;
pub(crate) mod upload;
pub(crate) mod watch;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderName};
use futures_util::StreamExt;
use litevfs::types::Pos;

use crate::app::{App, text_header};
use crate::error::ApiError;
use crate::key::DbKey;
use crate::spool::ReceiveError;
use crate::store::{At, Database, Error};

/// The lease that the client writes under.
const LEASE_ID: &str = "lfsc-lease-id";
/// How many clients wait for the lease of the database that the request was about.
const LEASE_WAITERS: HeaderName = HeaderName::from_static("lfsc-lease-waiters");
/// How long [`linger`] reads on.
const LINGER: Duration = Duration::from_secs(10);
/// The position that an answer is from, and which commit that is.
const POS: HeaderName = HeaderName::from_static("litevfs-pos");
const COMMIT_ID: HeaderName = HeaderName::from_static("litevfs-commit-id");

/// What says from which position an answer is.
fn from_pos(pos: Pos) -> [(HeaderName, String); 2] {
    [(POS, pos.to_string()), (COMMIT_ID, pos.commit_id.to_string())]
}

/// A database that must exist, with what was committed through other servers.
async fn current(app: &App, key: &DbKey) -> Result<Arc<Database>, ApiError> {
    Ok(app.store.fresh(key).await?.ok_or(Error::NoDatabase)?)
}

/// The body, unless it announces more bytes than that.
fn within(limit: u64, body: Body) -> Result<Body, ApiError> {
    if HttpBody::size_hint(&body).lower() <= limit {
        return Ok(body);
    }
    linger(body);
    Err(ReceiveError::TooLong(limit).into())
}

/// Reads on, for a moment, the body of a request that is refused: its sender looks for the answer only
/// between two pieces, and loses it when the connection is closed under the next one.
fn linger(body: Body) {
    tokio::spawn(tokio::time::timeout(LINGER, body.into_data_stream().for_each(async |_| {})));
}

/// The lease that a request is made under.
fn lease_id(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    Ok(text_header(headers, LEASE_ID)?.map(str::to_owned))
}

/// How many clients wait for a database's lease: whoever holds it may like to know.
fn waiting(app: &App, key: &DbKey) -> [(HeaderName, String); 1] {
    [(LEASE_WAITERS, app.store.lease_waiters(key).to_string())]
}

/// A database, and its position at a moment.
async fn at_moment(app: &App, key: &DbKey, at: At) -> Result<(Arc<Database>, Pos), ApiError> {
    if let At::Pos(pos) = at {
        // Whoever reads at it finds out whether it is held; no need to look for what is newer.
        return Ok((app.store.database(key).await?.ok_or(Error::NoDatabase)?, pos));
    }
    let database = current(app, key).await?;
    let pos = database.restore_point(at).await?.pos;
    Ok((database, pos))
}
