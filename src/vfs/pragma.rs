//! The pragmas of a litevfs database: a table of ours, and SQLite's that we must hear of.

use super::setting_kind::Kind;
use super::status;
use crate::db::{Connection, ReadSettings, SharedSettings};
use crate::error::{Error, ErrorKind, Result};
use alloc::format;
use alloc::string::{String, ToString};

use Pragma::{Setting, Verb};

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

/// A pragma of ours.
enum Pragma {
    /// Something, whose answer may depend on the value, if there is one, and on the text of the last failure.
    Verb(fn(&mut Connection, Option<&str>, Option<&str>) -> Result<Answer>),
    /// Without a value it answers with a number, with one it sets that.
    Setting(Kind, fn(&mut Connection) -> u64, fn(&mut Connection, u64) -> Result<()>),
}

/// All of them.
const NAMES: &str = "litevfs_acquire_lease, litevfs_release_lease, litevfs_auto_lease, \
                     litevfs_lease_duration, litevfs_min_available_space, \
                     litevfs_max_cached_pages, litevfs_max_reqs_per_query, \
                     litevfs_cache_sync_period, litevfs_max_prefetch_pages, litevfs_max_bulk_bytes, \
                     litevfs_cache_db, litevfs_max_staleness, litevfs_last_error, litevfs_status";

/// The one of a name without `litevfs_`: its kind, getter and setter. As a `match`, because a table of pointers
/// takes a relocation for each.
fn pragma(name: &str) -> Option<Pragma> {
    Some(match name {
        "acquire_lease" => {
            Verb(|connection, _, _| connection.acquire_lease().map(|()| Answer::Done))
        }
        "release_lease" => {
            Verb(|connection, _, _| connection.release_lease().map(|()| Answer::Done))
        }
        "auto_lease" => Setting(
            Kind::Switch,
            |connection| connection.auto_lease().into(),
            |connection, on| connection.set_auto_lease(on != 0),
        ),
        "lease_duration" => Setting(
            Kind::LeaseTime,
            |connection| connection.shared_settings().lease_duration_ms,
            |connection, ms| share(connection, |settings| settings.lease_duration_ms = ms),
        ),
        "min_available_space" => Setting(
            Kind::Size,
            |connection| connection.shared_settings().min_available_space,
            |connection, bytes| share(connection, |settings| settings.min_available_space = bytes),
        ),
        "max_cached_pages" => Setting(
            Kind::Count(u32::MAX),
            |connection| connection.shared_settings().max_cached_pages.into(),
            |connection, pages| {
                share(connection, |settings| settings.max_cached_pages = count(pages))
            },
        ),
        "max_reqs_per_query" => Setting(
            Kind::Count(ReadSettings::MAX_REQS_PER_QUERY),
            |connection| connection.settings().max_reqs_per_query.into(),
            |connection, requests| {
                connection.settings().max_reqs_per_query = count(requests);
                connection.restore_request_limit();
                Ok(())
            },
        ),
        "cache_sync_period" => Setting(
            Kind::Time,
            |connection| connection.shared_settings().cache_sync_period_ms,
            |connection, ms| share(connection, |settings| settings.cache_sync_period_ms = ms),
        ),
        "max_prefetch_pages" => Setting(
            Kind::Count(ReadSettings::MAX_PREFETCH_PAGES),
            |connection| connection.settings().max_prefetch_pages.into(),
            |connection, pages| {
                connection.settings().max_prefetch_pages = count(pages);
                Ok(())
            },
        ),
        "max_bulk_bytes" => Setting(
            Kind::Size,
            |connection| connection.shared_settings().max_bulk_bytes,
            |connection, bytes| share(connection, |settings| settings.max_bulk_bytes = bytes),
        ),
        "cache_db" => Verb(|connection, _, _| {
            let pages = connection.cache_all()?;
            Ok(Answer::Row(format!("{pages} pages cached")))
        }),
        "max_staleness" => Setting(
            Kind::Bound,
            |connection| connection.settings().max_staleness_ms,
            |connection, ms| {
                connection.settings().max_staleness_ms = ms;
                Ok(())
            },
        ),
        "last_error" => Verb(|connection, value, last_error| {
            if value == Some("") {
                return Ok(Answer::ForgetLastError);
            }
            Ok(Answer::Row(match (last_error, connection.refusal_to_write()) {
                (Some(text), _) => text.to_string(),
                // SQLite refuses to write by itself, and we hear nothing of it.
                (None, Some(refusal)) => refusal.to_string(),
                (None, None) => String::new(),
            }))
        }),
        "status" => Verb(|connection, _, last_error| {
            Ok(Answer::Row(status::text(&connection.report(), last_error)))
        }),
        _ => return None,
    })
}

/// Changes what the connections share.
fn share(connection: &Connection, change: impl FnOnce(&mut SharedSettings)) -> Result<()> {
    let mut settings = connection.shared_settings();
    change(&mut settings);
    connection.set_shared_settings(settings);
    Ok(())
}

/// A [`Kind::Count`], which has been found to fit.
fn count(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

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
    let Some(pragma) = pragma(ours) else {
        let text = format!("there is no pragma {name}; there are {NAMES}");
        return Err(Error::new(ErrorKind::Pragma, text));
    };
    match (pragma, value) {
        (Verb(verb), _) => verb(connection, value, last_error),
        (Setting(kind, get, _), None) => Ok(Answer::Row(kind.show(get(connection)))),
        (Setting(kind, _, set), Some(value)) => {
            let number = kind.parse(value).ok_or_else(|| out_of_range(&name, value, kind))?;
            set(connection, number).map(|()| Answer::Done)
        }
    }
}

fn out_of_range(name: &str, value: &str, kind: Kind) -> Error {
    let (shown, range) = (value.chars().take(40).collect::<String>(), kind.range());
    Error::new(ErrorKind::Pragma, format!("{name}: '{shown}' is out of range; give {range}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_there() {
        let names = NAMES.split(", ").map(|name| name.strip_prefix("litevfs_").unwrap());
        assert_eq!(names.filter(|name| pragma(name).is_some()).count(), 14);
        assert!(pragma("litevfs_status").is_none() && pragma("").is_none());
    }
}
