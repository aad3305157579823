//! A small object that changes, as it was read or written: see [`crate::store::objects::record`].

use bytes::Bytes;
use object_store::UpdateVersion;

/// A record as it was read, or written.
#[derive(Debug, Clone)]
pub struct Kept<T> {
    /// What it says.
    pub value: T,
    /// When it was stored, in ms since the Unix epoch, by the store's clock; `None` where this process
    /// wrote it.
    pub written_ms: Option<u64>,
    pub(in crate::store) text: Bytes,
    pub(in crate::store) version: UpdateVersion,
}
