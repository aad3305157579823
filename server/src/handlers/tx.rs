//! `POST /db/tx`: commits one LTX file.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{lease_id, waiting, within};
use crate::app::{Access, App};
use crate::auth::Permission;
use crate::error::ApiError;
use crate::spool;
use crate::store::Error;

/// Up to which transaction everything is durable.
const HWM: &str = "litefs-hwm";
/// For how long, in ms, the lease lasts from now on: a commit under it prolongs it.
const LEASE_DURATION: HeaderName = HeaderName::from_static("lfsc-lease-duration");

pub(crate) async fn push(
    State(app): State<Arc<App>>,
    access: Access,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let key = access.key(Permission::Write)?;
    let lease_id = lease_id(&headers)?;
    let body = within(app.max_body, body)?;
    let upload = spool::receive(body.into_data_stream(), app.max_body, app.store.scratch()).await?;
    let upload = upload.in_line(app.turns.of(access.asker()));
    let begun = upload.begin().await.map_err(Error::Io)?;
    // A commit that has begun is brought to its end, whether the client still waits or not:
    // otherwise memory could miss a file that was made.
    let (store, db) = (Arc::clone(&app.store), key.clone());
    let commit = tokio::spawn(async move {
        let _begun = begun;
        let pos = store.commit(&db, upload, lease_id.as_deref()).await?;
        let prolonged = match lease_id {
            Some(id) => store.prolong_used_lease(&db, &id).await,
            None => None,
        };
        Ok::<_, Error>((pos, prolonged))
    });
    let (pos, prolonged) = commit.await??;
    prolonged.inspect(|&left| app.grants.prolonged(&key, left));
    let hwm = [(HWM, pos.txid.to_string())];
    let lease = prolonged.map(|left| [(LEASE_DURATION, left.as_millis().to_string())]);
    Ok((StatusCode::OK, hwm, lease, waiting(&app, &key)).into_response())
}
