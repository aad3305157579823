//! The pragmas of a litevfs database.

use super::status;
use crate::config::parse_switch;
use crate::db::{Connection, ReadSettings, SharedSettings};
use crate::error::{Error, ErrorKind, Result};
use crate::units::{parse_bound_ms, parse_duration_ms, parse_size, show_duration_ms, show_size};
use alloc::format;
use alloc::string::{String, ToString};

/// What a pragma answers with.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not ours: SQLite goes on with it.
    NotOurs,
    /// Done; no row.
    Done,
    /// One row.
    Row(String),
    /// Done, and the text of the last failure is to be forgotten.
    ForgetLastError,
}

const NAMES: &str = "litevfs_acquire_lease, litevfs_release_lease, litevfs_auto_lease, \
                     litevfs_lease_duration, litevfs_min_available_space, \
                     litevfs_max_cached_pages, litevfs_max_reqs_per_query, \
                     litevfs_cache_sync_period, litevfs_max_prefetch_pages, litevfs_max_bulk_bytes, \
                     litevfs_cache_db, litevfs_max_staleness, litevfs_last_error, litevfs_status";

/// Runs a pragma. `last_error` is the text of the connection's last failure.
pub fn run(
    connection: &mut Connection,
    last_error: Option<&str>,
    name: &str,
    value: Option<&str>,
) -> Result<Answer> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "locking_mode" => return Ok(locking_mode(connection, value)),
        "journal_mode" => return Ok(journal_mode(connection, value)),
        // These read everything, and take a read that fails for a damaged page.
        "integrity_check" | "quick_check" => {
            connection.lift_request_limit();
            return Ok(Answer::NotOurs);
        }
        _ => {}
    }
    let Some(ours) = name.strip_prefix("litevfs_") else {
        return Ok(Answer::NotOurs);
    };
    if ours != "last_error" {
        connection.check_process()?;
    }
    match ours {
        "acquire_lease" => connection.acquire_lease().map(|()| Answer::Done),
        "release_lease" => connection.release_lease().map(|()| Answer::Done),
        "auto_lease" => auto_lease(connection, value),
        "lease_duration" => lease_duration(connection, value),
        "min_available_space" => {
            let set = |settings: &mut SharedSettings, bytes| settings.min_available_space = bytes;
            let bytes = connection.shared_settings().min_available_space;
            size(connection, &name, bytes, value, set)
        }
        "max_bulk_bytes" => {
            let set = |settings: &mut SharedSettings, bytes| settings.max_bulk_bytes = bytes;
            let bytes = connection.shared_settings().max_bulk_bytes;
            size(connection, &name, bytes, value, set)
        }
        "max_cached_pages" => max_cached_pages(connection, value),
        "cache_sync_period" => cache_sync_period(connection, value),
        "max_reqs_per_query" => max_reqs_per_query(connection, &name, value),
        "max_prefetch_pages" => {
            let setting = &mut connection.settings().max_prefetch_pages;
            set_count(setting, &name, value, ReadSettings::MAX_PREFETCH_PAGES)
        }
        "max_staleness" => max_staleness(connection, value),
        "cache_db" => {
            let pages = connection.cache_all()?;
            Ok(Answer::Row(format!("{pages} pages cached")))
        }
        "last_error" if value == Some("") => Ok(Answer::ForgetLastError),
        "last_error" => Ok(Answer::Row(match (last_error, connection.refusal_to_write()) {
            (Some(text), _) => text.to_string(),
            // SQLite refuses to write by itself, and we hear nothing of it.
            (None, Some(refusal)) => refusal.to_string(),
            (None, None) => String::new(),
        })),
        "status" => Ok(Answer::Row(status::text(&connection.report(), last_error))),
        _ => {
            let text = format!("there is no pragma {name}; there are {NAMES}");
            Err(Error::new(ErrorKind::Pragma, text))
        }
    }
}

/// SQLite does not tell a VFS when it keeps its locks, but for this pragma.
fn locking_mode(connection: &mut Connection, value: Option<&str>) -> Answer {
    if let Some(mode) = value {
        connection.set_keeps_locks(mode.trim().eq_ignore_ascii_case("exclusive"));
    }
    Answer::NotOurs
}

/// SQLite knows that a VFS without shared memory has no WAL, and answers with the mode in force, but
/// in exclusive locking mode, where it would try and fail.
fn journal_mode(connection: &mut Connection, value: Option<&str>) -> Answer {
    let Some(mode) = value.map(|mode| mode.trim().to_ascii_lowercase()) else {
        return Answer::NotOurs;
    };
    if mode == "wal" {
        return match connection.keeps_locks() {
            true => Answer::Row(connection.journal_mode().to_string()),
            false => Answer::NotOurs,
        };
    }
    if ["delete", "truncate", "persist", "memory", "off"].contains(&mode.as_str()) {
        connection.set_journal_mode(mode);
    }
    Answer::NotOurs
}

fn auto_lease(connection: &mut Connection, value: Option<&str>) -> Result<Answer> {
    let Some(value) = value else {
        return Ok(Answer::Row(u8::from(connection.auto_lease()).to_string()));
    };
    let on = parse_switch(value)
        .ok_or_else(|| out_of_range("litevfs_auto_lease", value, "on or off"))?;
    connection.set_auto_lease(on)?;
    Ok(Answer::Done)
}

fn lease_duration(connection: &Connection, value: Option<&str>) -> Result<Answer> {
    let mut settings = connection.shared_settings();
    let Some(value) = value else {
        return Ok(Answer::Row(show_duration_ms(settings.lease_duration_ms)));
    };
    let range = SharedSettings::MIN_LEASE_DURATION_MS..=SharedSettings::MAX_LEASE_DURATION_MS;
    let duration_ms = parse_duration_ms(value).filter(|ms| range.contains(ms));
    settings.lease_duration_ms = duration_ms.ok_or_else(|| {
        out_of_range("litevfs_lease_duration", value, "a time from 100ms to 1m, as 500ms or 5s")
    })?;
    connection.set_shared_settings(settings);
    Ok(Answer::Done)
}

/// Answers with a size that the connections share, or sets it.
fn size(
    connection: &Connection,
    name: &str,
    bytes: u64,
    value: Option<&str>,
    set: impl Fn(&mut SharedSettings, u64),
) -> Result<Answer> {
    let Some(value) = value else {
        return Ok(Answer::Row(show_size(bytes)));
    };
    let bytes = parse_size(value)
        .ok_or_else(|| out_of_range(name, value, "a size from 0 on, as 10MB or 1 GiB"))?;
    let mut settings = connection.shared_settings();
    set(&mut settings, bytes);
    connection.set_shared_settings(settings);
    Ok(Answer::Done)
}

fn max_reqs_per_query(
    connection: &mut Connection,
    name: &str,
    value: Option<&str>,
) -> Result<Answer> {
    let limit = &mut connection.settings().max_reqs_per_query;
    let answer = set_count(limit, name, value, ReadSettings::MAX_REQS_PER_QUERY)?;
    if value.is_some() {
        connection.restore_request_limit();
    }
    Ok(answer)
}

fn max_cached_pages(connection: &Connection, value: Option<&str>) -> Result<Answer> {
    let mut settings = connection.shared_settings();
    let answer =
        set_count(&mut settings.max_cached_pages, "litevfs_max_cached_pages", value, u32::MAX)?;
    if value.is_some() {
        connection.set_shared_settings(settings);
    }
    Ok(answer)
}

fn cache_sync_period(connection: &Connection, value: Option<&str>) -> Result<Answer> {
    let mut settings = connection.shared_settings();
    let Some(value) = value else {
        return Ok(Answer::Row(show_duration_ms(settings.cache_sync_period_ms)));
    };
    settings.cache_sync_period_ms = parse_duration_ms(value).ok_or_else(|| {
        let range = "0 for never, or a time as 500ms, 5s, 1m, or a number of seconds";
        out_of_range("litevfs_cache_sync_period", value, range)
    })?;
    connection.set_shared_settings(settings);
    Ok(Answer::Done)
}

fn max_staleness(connection: &mut Connection, value: Option<&str>) -> Result<Answer> {
    let setting = &mut connection.settings().max_staleness_ms;
    let Some(value) = value else {
        let shown = if *setting == 0 { "off".into() } else { show_duration_ms(*setting) };
        return Ok(Answer::Row(shown));
    };
    *setting = parse_bound_ms(value).ok_or_else(|| {
        let range = "off, or a time as 500ms, 5s, 1m, or a number of seconds";
        out_of_range("litevfs_max_staleness", value, range)
    })?;
    Ok(Answer::Done)
}

/// Answers with a number, or sets it to one from 0 to `max`.
fn set_count(setting: &mut u32, name: &str, value: Option<&str>, max: u32) -> Result<Answer> {
    let Some(value) = value else {
        return Ok(Answer::Row(setting.to_string()));
    };
    let count = value.trim().parse::<u32>().ok().filter(|&count| count <= max);
    *setting =
        count.ok_or_else(|| out_of_range(name, value, &format!("a number from 0 to {max}")))?;
    Ok(Answer::Done)
}

fn out_of_range(name: &str, value: &str, range: &str) -> Error {
    let shown: String = value.chars().take(40).collect();
    Error::new(ErrorKind::Pragma, format!("{name}: '{shown}' is out of range; give {range}"))
}
