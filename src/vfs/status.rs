//! The answer of `PRAGMA litevfs_status`: for people, a line for each thing.

use crate::db::{LeaseStanding, Report};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

/// The whole text.
pub fn text(report: &Report, last_error: Option<&str>) -> String {
    let traffic = report.traffic;
    let pages = report.pages;
    let unknown = || "not known".to_string();
    let ago = |age_ms: Option<u64>| age_ms.map_or("never".to_string(), |ms| format!("{ms} ms ago"));
    let lines = [
        ("database", report.database.to_string()),
        ("server", report.server.clone()),
        ("cluster", report.cluster.clone().unwrap_or_else(|| "the token's".to_string())),
        ("mode", report.mode.to_string()),
        ("position", report.sighting.map_or_else(unknown, |sighting| sighting.pos.to_string())),
        (
            "size",
            report.size.map_or_else(unknown, |(page_size, pages)| {
                format!("{pages} pages of {} bytes", page_size.bytes())
            }),
        ),
        ("confirmed", ago(report.sighting.and_then(|sighting| sighting.lag_ms))),
        ("last poll", ago(report.poll_age_ms)),
        (
            "lease",
            report.read_only.map_or_else(
                || lease(report.lease),
                |why| format!("not for this connection, which is read-only: {why}"),
            ),
        ),
        ("cache", format!("{} pages, {} bytes", report.cached_pages, report.cached_bytes)),
        ("page reads", format!("{} cached, {} fetched", pages.hits, pages.misses)),
        ("pages fetched", format!("{}, {} of them ahead", pages.fetched, pages.prefetched)),
        ("requests", format!("{}, {} retries", traffic.requests, traffic.retries)),
        ("sent", format!("{} bytes", traffic.bytes_out)),
        ("received", format!("{} bytes", traffic.bytes_in)),
        ("last error", last_error.unwrap_or("none").to_string()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let _ = write!(text, "{}{name}: {value}", if text.is_empty() { "" } else { "\n" });
    }
    text
}

fn lease(standing: LeaseStanding) -> String {
    match standing {
        LeaseStanding::None => "none".to_string(),
        LeaseStanding::Held { left_ms } => format!("held, {left_ms} ms left"),
        LeaseStanding::Lost => "lost; the next write acquires it again".to_string(),
        LeaseStanding::Elsewhere => "with another connection of this process".to_string(),
    }
}
