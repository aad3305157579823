//! `GET /db/snapshot`: a whole database, as an LTX v1 file or as a SQLite file.
//!
//! The body is made while it is sent, a batch of pages at a time, so that memory stays bounded. When
//! reading fails in the middle, the connection is cut: the client sees an incomplete body, never a
//! wrong one.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use litevfs::ltx::{self, Encoder, Format, StreamError};
use litevfs::types::PageSize;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{at_moment, current, from_pos};
use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::offload::offload;
use crate::store::Snapshot;

/// Batches that may wait for the client.
const BATCHES_AHEAD: usize = 1;
/// The longest wait for a client that does not read.
const STALL_LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn snapshot(
    State(app): State<Arc<App>>,
    access: Access,
) -> Result<Response, ApiError> {
    let key = access.key(Permission::Read)?;
    let at = access.at()?;
    let form = match access.parameter("format") {
        None | Some("ltx") => Form::Ltx,
        Some("sqlite") => Form::Sqlite,
        Some(_) => return Err(ApiError::bad_input("the format is ltx or sqlite")),
    };
    let (database, pos) = match at {
        Some(at) => at_moment(&app, &key, at).await.map(|(database, pos)| (database, Some(pos)))?,
        None => (current(&app, &key).await?, None),
    };
    let snapshot = Snapshot::new(database, pos).await?;
    let pos = from_pos(snapshot.pos());
    let header = snapshot.header();
    app.metrics.pages_served(u64::from(header.commit));
    let len_bytes = u64::from(header.commit).saturating_mul(u64::from(header.page_size.bytes()));
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    tokio::spawn(async move {
        let sent = match form {
            Form::Ltx => send_ltx(snapshot, &sender).await,
            Form::Sqlite => send_sqlite(snapshot, &sender).await,
        };
        if let Err(error) = sent {
            if error.kind() == io::ErrorKind::BrokenPipe {
                tracing::debug!(database = %key, "the client did not wait for its snapshot");
                return;
            }
            tracing::error!(database = %key, %error, "a snapshot ended early");
            let _ = sender.send_timeout(Err(error), STALL_LIMIT).await;
        }
    });
    let batches = stream::unfold(receiver, async |mut receiver| {
        let batch = receiver.recv().await?;
        Some((batch, receiver))
    });
    let body = Body::from_stream(batches);
    Ok(match form {
        Form::Ltx => {
            let headers = [(CONTENT_TYPE, "application/octet-stream")];
            (headers, pos, body).into_response()
        }
        Form::Sqlite => {
            let content_type = (CONTENT_TYPE, "application/vnd.sqlite3".to_owned());
            let headers = [content_type, (CONTENT_LENGTH, len_bytes.to_string())];
            (headers, pos, body).into_response()
        }
    })
}

#[derive(Clone, Copy)]
enum Form {
    Ltx,
    Sqlite,
}

type Batches = mpsc::Sender<io::Result<Bytes>>;

async fn send(batches: &Batches, bytes: Vec<u8>) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let sent = batches.send_timeout(Ok(bytes.into()), STALL_LIMIT).await;
    sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

async fn send_sqlite(mut snapshot: Snapshot, batches: &Batches) -> io::Result<()> {
    let page_size = snapshot.header().page_size;
    let commit = snapshot.header().commit;
    let mut last = 0_u32;
    // One batch behind: the body must not be complete before the snapshot is known to be sound.
    let mut bytes = Vec::new();
    loop {
        let pages = snapshot.next_pages().await.map_err(io::Error::other)?;
        if pages.is_empty() {
            break;
        }
        send(batches, std::mem::take(&mut bytes)).await?;
        for (pgno, data) in pages {
            if pgno.get() > last.saturating_add(1) {
                bytes.extend_from_slice(&lock_page(page_size));
            }
            bytes.extend_from_slice(&data);
            last = pgno.get();
        }
    }
    if last < commit {
        bytes.extend_from_slice(&lock_page(page_size));
    }
    send(batches, bytes).await
}

fn lock_page(page_size: PageSize) -> Vec<u8> {
    vec![0; page_size.len_bytes()]
}

async fn send_ltx(mut snapshot: Snapshot, batches: &Batches) -> io::Result<()> {
    let out = Outlet::default();
    let mut encoder =
        Encoder::new(out.clone(), Format::V1Lz4, snapshot.header()).map_err(ltx_error)?;
    loop {
        let pages = snapshot.next_pages().await.map_err(io::Error::other)?;
        let Some((_, first)) = pages.first() else {
            break;
        };
        let len_bytes = pages.len().saturating_mul(first.len());
        let encode = move || {
            let encoded =
                pages.iter().try_for_each(|(pgno, data)| encoder.encode_page(*pgno, data));
            encoded.map(|()| encoder)
        };
        encoder = offload(len_bytes, encode).await?.map_err(ltx_error)?;
        send(batches, out.take()).await?;
    }
    encoder.finish(snapshot.pos().post_apply_checksum).map_err(ltx_error)?;
    send(batches, out.take()).await
}

fn ltx_error(error: StreamError<Infallible>) -> io::Error {
    io::Error::other(ltx::Error::from(error))
}

/// Where the encoder's bytes wait until they are sent.
#[derive(Debug, Clone, Default)]
struct Outlet(Arc<Mutex<Vec<u8>>>);

impl Outlet {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock())
    }
}

impl ltx::Write for Outlet {
    type Error = Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.lock().extend_from_slice(bytes);
        Ok(())
    }
}
