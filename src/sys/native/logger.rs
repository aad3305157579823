//! Where log lines go: stderr, or the file `LITEVFS_LOG_FILE` names.

use super::super::log_filter::{Filter, Level};
use super::unix_ms;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::OnceLock;

struct Logger {
    filter: Filter,
    file: Option<File>,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Reads `RUST_LOG` and `LITEVFS_LOG_FILE`. The first call counts. Fails with a text when the log file
/// can't be opened.
pub fn init_log() -> Result<(), String> {
    let file = match std::env::var_os("LITEVFS_LOG_FILE").filter(|path| !path.is_empty()) {
        Some(path) => match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => Some(file),
            Err(e) => return Err(format!("LITEVFS_LOG_FILE: {}: {e}", path.display())),
        },
        None => None,
    };
    let filter = Filter::parse(std::env::var("RUST_LOG").ok().as_deref());
    LOGGER.get_or_init(|| Logger { filter, file });
    Ok(())
}

/// Writes one line, if it is to be shown. A log that can't be written is no reason to fail.
pub fn log_line(level: Level, module: &str, message: fmt::Arguments<'_>) {
    let Some(logger) = LOGGER.get().filter(|logger| logger.filter.shows(level, module)) else {
        return;
    };
    let mut line = String::new();
    let _ = writeln!(line, "[{} {level} {module}] {message}", Rfc3339(unix_ms()));
    // One write for the whole line, so that lines of several processes do not mix.
    let _ = match &logger.file {
        Some(file) => (&*file).write_all(line.as_bytes()),
        None => std::io::stderr().lock().write_all(line.as_bytes()),
    };
}

/// Milliseconds since the Unix epoch, printed as UTC.
struct Rfc3339(u64);

impl fmt::Display for Rfc3339 {
    #[expect(clippy::arithmetic_side_effects, reason = "divisors are constants, operands < 2^54")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1000, self.0 % 1000);
        let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
        // Civil date of a day count: years start in March, so that a leap day is a year's last day.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) =
            (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Rfc3339(ms).to_string(), text);
        }
    }
}
