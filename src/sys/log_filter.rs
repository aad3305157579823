//! Levels of log lines, and the `RUST_LOG` filter that the platforms' loggers ask.
//!
//! `RUST_LOG` holds `LEVEL` or `MODULE=LEVEL[,MODULE=LEVEL...]`, as with `env_logger`; the longest
//! module prefix that matches decides. Without it errors are shown.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A statement failed.
    Error = 1,
    /// Something is wrong, but the statement goes on.
    Warn,
    /// Rare events: leases, caches.
    Info,
    /// Every request.
    Debug,
    /// Every call of SQLite.
    Trace,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        })
    }
}

/// Which lines are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Module prefix (empty for all) and its level; `None` for "off". Longest prefix first.
    rules: Vec<(String, Option<Level>)>,
}

impl Filter {
    /// The filter for a `RUST_LOG` text. What can't be understood is left out.
    pub fn parse(text: Option<&str>) -> Filter {
        let mut rules: Vec<(String, Option<Level>)> = Vec::new();
        for directive in text.unwrap_or("error").split(',').map(str::trim) {
            let (module, level) = match directive.split_once('=') {
                Some((module, level)) => (module.trim(), parse_level(level.trim())),
                None => match parse_level(directive) {
                    Some(level) => ("", Some(level)),
                    None => (directive, Some(Some(Level::Trace))),
                },
            };
            if let (Some(level), false) = (level, directive.is_empty()) {
                // The longest first. Put where it belongs, as sorting is 4 KB of code for each type.
                let at = rules.partition_point(|(other, _)| other.len() >= module.len());
                rules.insert(at, (module.to_owned(), level));
            }
        }
        Filter { rules }
    }

    /// Whether a line of that level from that module is shown.
    pub fn shows(&self, level: Level, module: &str) -> bool {
        let rule = self.rules.iter().find(|(prefix, _)| is_module_prefix(prefix, module));
        rule.is_some_and(|(_, max)| max.is_some_and(|max| level <= max))
    }
}

fn is_module_prefix(prefix: &str, module: &str) -> bool {
    let rest = module.strip_prefix(prefix);
    prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn parse_level(text: &str) -> Option<Option<Level>> {
    let levels = [
        ("off", None),
        ("error", Some(Level::Error)),
        ("warn", Some(Level::Warn)),
        ("info", Some(Level::Info)),
        ("debug", Some(Level::Debug)),
        ("trace", Some(Level::Trace)),
    ];
    levels.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, level)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_shown_by_default() {
        let filter = Filter::parse(None);
        assert!(filter.shows(Level::Error, "litevfs::db"));
        assert!(!filter.shows(Level::Warn, "litevfs::db"));
    }

    #[test]
    fn the_longest_module_decides() {
        let filter =
            Filter::parse(Some("warn, litevfs::http=debug,litevfs::http::retry=off,x=bogus"));
        assert!(filter.shows(Level::Warn, "litevfs::db"));
        assert!(!filter.shows(Level::Info, "litevfs::db"));
        assert!(filter.shows(Level::Debug, "litevfs::http::native"));
        assert!(!filter.shows(Level::Error, "litevfs::http::retry"));
        assert!(filter.shows(Level::Warn, "litevfs::httpx"));
    }

    #[test]
    fn a_bare_module_shows_everything_of_it() {
        let filter = Filter::parse(Some("litevfs::db"));
        assert!(filter.shows(Level::Trace, "litevfs::db::lease"));
        assert!(!filter.shows(Level::Error, "litevfs::vfs"));
    }
}
