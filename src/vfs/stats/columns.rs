//! The columns of `litevfs_stats`. README.md says what each means.

use crate::db::{LeaseStanding, Report};
use crate::types::PageSize;
use crate::vfs::value::Value;
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};

/// A column: its name and type, and what a row has there.
pub type Column = (&'static str, fn(&Row) -> Value);

/// All of them, in order.
pub const COLUMNS: [Column; 28] = [
    ("schema TEXT", |row| Value::Text(row.schema.clone())),
    ("database TEXT", |row| Value::Text(row.report.database.to_string())),
    ("server TEXT", |row| Value::Text(row.report.server.clone())),
    ("cluster TEXT", |row| Value::or_null(row.report.cluster.clone(), Value::Text)),
    ("mode TEXT", |row| Value::Text(row.report.mode.to_owned())),
    ("txid INTEGER", |row| {
        Value::or_null(row.report.sighting, |sighting| Value::count(sighting.pos.txid.0))
    }),
    ("pos TEXT", |row| {
        Value::or_null(row.report.sighting, |sighting| Value::Text(sighting.pos.to_string()))
    }),
    ("lag_ms INTEGER", |row| {
        Value::or_null(row.report.sighting.and_then(|sighting| sighting.lag_ms), Value::count)
    }),
    ("poll_age_ms INTEGER", |row| Value::or_null(row.report.poll_age_ms, Value::count)),
    ("page_size INTEGER", |row| Value::or_null(row.page_size(), Value::count)),
    ("page_count INTEGER", |row| {
        Value::or_null(row.report.size, |(_, pages)| Value::count(pages.into()))
    }),
    ("lease TEXT", |row| Value::Text(lease(row.report.lease).to_owned())),
    ("lease_left_ms INTEGER", |row| match row.report.lease {
        LeaseStanding::Held { left_ms } => Value::count(left_ms),
        _ => Value::Null,
    }),
    ("cached_pages INTEGER", |row| Value::count(row.report.cached_pages as u64)),
    ("cached_bytes INTEGER", |row| Value::count(row.report.cached_bytes)),
    ("cache_hits INTEGER", |row| Value::count(row.report.pages.hits)),
    ("cache_misses INTEGER", |row| Value::count(row.report.pages.misses)),
    ("pages_fetched INTEGER", |row| Value::count(row.report.pages.fetched)),
    ("pages_prefetched INTEGER", |row| Value::count(row.report.pages.prefetched)),
    ("requests INTEGER", |row| Value::count(row.report.traffic.requests)),
    ("retries INTEGER", |row| Value::count(row.report.traffic.retries)),
    ("bytes_out INTEGER", |row| Value::count(row.report.traffic.bytes_out)),
    ("bytes_in INTEGER", |row| Value::count(row.report.traffic.bytes_in)),
    ("server_requests INTEGER", |row| Value::count(row.report.server_traffic.requests)),
    ("server_retries INTEGER", |row| Value::count(row.report.server_traffic.retries)),
    ("server_bytes_out INTEGER", |row| Value::count(row.report.server_traffic.bytes_out)),
    ("server_bytes_in INTEGER", |row| Value::count(row.report.server_traffic.bytes_in)),
    ("last_error TEXT", |row| Value::or_null(row.last_error.clone(), Value::Text)),
];

/// What a database tells.
pub struct Row {
    /// Its name in SQL.
    pub schema: String,
    /// Everything else but one thing.
    pub report: Report,
    /// The text of the connection's last failure.
    pub last_error: Option<String>,
}

impl Row {
    fn page_size(&self) -> Option<u64> {
        self.report.size.map(|(page_size, _)| PageSize::bytes(page_size).into())
    }
}

fn lease(standing: LeaseStanding) -> &'static str {
    match standing {
        LeaseStanding::None => "none",
        LeaseStanding::Held { .. } => "held",
        LeaseStanding::Lost => "lost",
        LeaseStanding::Elsewhere => "elsewhere",
    }
}
