//! `POST`, `GET` and `DELETE /db/group`: transactions in several databases, committed together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{linger, within};
use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::key::DbKey;
use crate::spool::{self, ReceiveError};
use crate::store::Error;
use crate::store::{GroupId, GroupTx, MAX_MEMBERS, Outcome};
use crate::wire::PosBody;

/// The longest first line, in bytes: names and leases of the databases.
const MAX_HEAD: usize = 64 << 10;
/// The longest wait for it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The first line of the body; the files follow in its order.
#[derive(Deserialize)]
struct Head {
    id: String,
    txs: Vec<HeadTx>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadTx {
    db: String,
    #[serde(default)]
    lease_id: Option<String>,
    size: u64,
}

#[derive(Serialize)]
pub(crate) struct PositionsBody {
    positions: BTreeMap<String, PosBody>,
}

#[derive(Serialize)]
pub(crate) struct OutcomeBody {
    outcome: &'static str,
}

impl From<Outcome> for OutcomeBody {
    fn from(outcome: Outcome) -> OutcomeBody {
        let outcome = match outcome {
            Outcome::Committed => "committed",
            Outcome::Aborted => "aborted",
            Outcome::Undecided => "undecided",
        };
        OutcomeBody { outcome }
    }
}

pub(crate) async fn push(
    State(app): State<Arc<App>>,
    access: Access,
    body: Body,
) -> Result<Json<PositionsBody>, ApiError> {
    let body = within(app.max_body.saturating_add(MAX_HEAD as u64), body)?;
    let mut parts = Parts { body: body.into_data_stream(), rest: Bytes::new() };
    let head = async {
        let head = parts.head().await?;
        let id = head.id.parse::<GroupId>().map_err(ApiError::bad_input)?;
        let keys = keys(&access, &head)?;
        let len_bytes = head.txs.iter().map(|tx| tx.size).fold(0, u64::saturating_add);
        if len_bytes > app.max_body {
            return Err(ReceiveError::TooLong(app.max_body).into());
        }
        Ok((id, keys, head.txs))
    };
    let (id, keys, listed) = match head.await {
        Ok(head) => head,
        Err(error) => {
            linger(Body::from_stream(parts.body));
            return Err(error);
        }
    };
    let mut txs = Vec::with_capacity(listed.len());
    for (DbKey { db, .. }, HeadTx { lease_id, size, .. }) in keys.into_iter().zip(listed) {
        let file = Box::pin(parts.next(size));
        let upload = spool::receive(file, size, app.store.scratch()).await?;
        let upload = upload.in_line(app.turns.of(access.asker()));
        txs.push(GroupTx { db, lease_id, upload });
    }
    parts.end().await?;
    // One for all of them: two that each have a part of what both need would wait for ever.
    let large = txs.iter().map(|tx| &tx.upload).max_by_key(|upload| upload.len_of_work());
    let begun = match large {
        Some(upload) => upload.begin().await.map_err(Error::Io)?,
        None => None,
    };
    // As with any commit: what has begun is brought to its end.
    let commit = tokio::spawn(async move {
        let _begun = begun;
        app.store.commit_group(&access.cluster, &id, txs).await
    });
    let positions = commit.await??;
    let positions = positions.into_iter().map(|(db, pos)| (db.to_string(), pos.into()));
    Ok(Json(PositionsBody { positions: positions.collect() }))
}

/// The databases of a group, all of which the request may write.
fn keys(access: &Access, head: &Head) -> Result<Vec<DbKey>, ApiError> {
    if !(2..=MAX_MEMBERS).contains(&head.txs.len()) {
        let text = format!("a group has 2 to {MAX_MEMBERS} databases");
        return Err(ApiError::bad_input(text));
    }
    let key = |tx: &HeadTx| {
        access.key_of(&tx.db, Permission::Write).map_err(|error| error.about(tx.db.clone()))
    };
    let keys: Vec<DbKey> = head.txs.iter().map(key).collect::<Result<_, _>>()?;
    if keys.iter().map(|key| &key.db).collect::<BTreeSet<_>>().len() < keys.len() {
        return Err(ApiError::bad_input("a group has one transaction of each database"));
    }
    Ok(keys)
}

/// A body that is one line of JSON, and files.
struct Parts {
    body: BodyDataStream,
    /// What arrived and is not used yet.
    rest: Bytes,
}

impl Parts {
    async fn head(&mut self) -> Result<Head, ApiError> {
        let too_slow =
            |_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "EBADINPUT", "the body is late");
        let line = tokio::time::timeout(HEAD_TIMEOUT, self.line()).await.map_err(too_slow)??;
        serde_json::from_slice(&line).map_err(|error| {
            let form = "{\"id\":ID,\"txs\":[{\"db\":NAME,\"leaseId\":ID,\"size\":BYTES}]}";
            ApiError::bad_input(format!("the first line of the body is not {form}: {error}"))
        })
    }

    /// The bytes up to the next newline, which is left out.
    async fn line(&mut self) -> Result<Vec<u8>, ApiError> {
        let mut line = Vec::new();
        loop {
            let piece = match self.piece().await {
                Some(piece) => piece.map_err(ReceiveError::Broken)?,
                None => return Ok(line),
            };
            let mut bytes = piece.splitn(2, |&byte| byte == b'\n');
            line.extend_from_slice(bytes.next().unwrap_or_default());
            if line.len() > MAX_HEAD {
                let text = format!("the first line of the body has over {MAX_HEAD} bytes");
                return Err(ApiError::bad_input(text));
            }
            if let Some(rest) = bytes.next() {
                self.rest = piece.slice_ref(rest);
                return Ok(line);
            }
        }
    }

    /// Some bytes; `None` at the end.
    async fn piece(&mut self) -> Option<Result<Bytes, String>> {
        if !self.rest.is_empty() {
            return Some(Ok(std::mem::take(&mut self.rest)));
        }
        let piece = self.body.next().await?;
        Some(piece.map_err(|error| error.to_string()))
    }

    /// The next so many bytes.
    fn next(&mut self, len: u64) -> impl Stream<Item = Result<Bytes, String>> {
        stream::unfold((self, len), async |(parts, left)| {
            if left == 0 {
                return None;
            }
            let mut piece = match parts.piece().await {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Some((Err(error), (parts, 0))),
                None => {
                    let text = "it is shorter than its first line says".to_owned();
                    return Some((Err(text), (parts, 0)));
                }
            };
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            parts.rest = piece.split_off(len);
            let left = left.saturating_sub(len as u64);
            Some((Ok(piece), (parts, left)))
        })
    }

    /// Refuses a body that goes on.
    async fn end(&mut self) -> Result<(), ApiError> {
        loop {
            match self.piece().await {
                None => return Ok(()),
                Some(piece) if piece.as_ref().is_ok_and(Bytes::is_empty) => {}
                Some(Ok(_)) => {
                    let text = "the body is longer than its first line says";
                    return Err(ApiError::bad_input(text));
                }
                Some(Err(error)) => return Err(ReceiveError::Broken(error).into()),
            }
        }
    }
}

pub(crate) async fn outcome(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Json<OutcomeBody>, ApiError> {
    let outcome = app.store.group_outcome(&access.cluster, &id(&access)?).await?;
    let none = || {
        let text = "nothing is known of a group of that id";
        ApiError::new(StatusCode::NOT_FOUND, "ENOGROUP", text)
    };
    Ok(Json(outcome.ok_or_else(none)?.into()))
}

pub(crate) async fn abort(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Json<OutcomeBody>, ApiError> {
    access.allow(Permission::Write)?;
    let id = id(&access)?;
    // What has begun is brought to its end.
    let abort = tokio::spawn(async move { app.store.abort_group(&access.cluster, &id).await });
    Ok(Json(abort.await??.into()))
}

fn id(access: &Access) -> Result<GroupId, ApiError> {
    access.parameter("id").unwrap_or_default().parse().map_err(ApiError::bad_input)
}
