//! One function a call: reads the request, asks the store or the leases, writes the answer.

pub(crate) mod info;
pub(crate) mod lease;
pub(crate) mod page;
pub(crate) mod site;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod tx;

use std::sync::Arc;

use crate::app::App;
use crate::error::ApiError;
use crate::key::DbKey;
use crate::store::{Database, Error};

/// A database that must exist.
async fn existing(app: &App, key: &DbKey) -> Result<Arc<Database>, ApiError> {
    Ok(app.store.database(key).await?.ok_or(Error::NoDatabase)?)
}
