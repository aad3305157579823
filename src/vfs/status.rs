//! The answer of `PRAGMA litevfs_status`: for people, a line for each thing.

use crate::db::{LeaseStanding, Report};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Write as _};

/// The whole text.
pub fn text(report: &Report, last_error: Option<&str>) -> String {
    let traffic = report.traffic;
    let pages = report.pages;
    let unknown = || "not known".to_string();
    let ago = |age_ms: Option<u64>| age_ms.map_or("never".to_string(), |ms| format!("{ms} ms ago"));
    let position = report.sighting.map_or_else(unknown, |sighting| sighting.pos.to_string());
    let size = report.size.map_or_else(unknown, |(page_size, pages)| {
        format!("{pages} pages of {} bytes", page_size.bytes())
    });
    let lease = report.read_only.map_or_else(
        || lease(report.lease),
        |why| format!("not for this connection, which is read-only: {why}"),
    );
    let mut text = String::new();
    let mut line = |name: &str, value: fmt::Arguments<'_>| {
        let end = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{end}{name}: {value}");
    };
    line("database", format_args!("{}", report.database));
    line("server", format_args!("{}", report.server));
    line("cluster", format_args!("{}", report.cluster.as_deref().unwrap_or("the token's")));
    line("mode", format_args!("{}", report.mode));
    line("position", format_args!("{position}"));
    line("size", format_args!("{size}"));
    let confirmed = report.sighting.and_then(|sighting| sighting.lag_ms);
    line("confirmed", format_args!("{}", ago(confirmed)));
    line("last poll", format_args!("{}", ago(report.poll_age_ms)));
    line("lease", format_args!("{lease}"));
    line("cache", format_args!("{} pages, {} bytes", report.cached_pages, report.cached_bytes));
    line("page reads", format_args!("{} cached, {} fetched", pages.hits, pages.misses));
    line("pages fetched", format_args!("{}, {} of them ahead", pages.fetched, pages.prefetched));
    line("requests", format_args!("{}, {} retries", traffic.requests, traffic.retries));
    line("sent", format_args!("{} bytes", traffic.bytes_out));
    line("received", format_args!("{} bytes", traffic.bytes_in));
    line("last error", format_args!("{}", last_error.unwrap_or("none")));
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
