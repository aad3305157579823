//! Times as arguments.

use chrono::SecondsFormat;

use crate::times;

/// A time as the server is asked about it: RFC 3339 with milliseconds in UTC, which every server takes; or
/// so long ago, in the words of the user, because the server's clock is the one that counts. A server that
/// does not know that form refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time(pub(super) String);

/// Parses an argument.
pub(super) fn parse(text: &str) -> Result<Time, String> {
    let time = times::parse(text)?;
    if times::is_relative(text) {
        return Ok(Time(text.trim().to_owned()));
    }
    Ok(Time(time.to_rfc3339_opts(SecondsFormat::Millis, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_on_a_clock_is_left_to_the_server() {
        let parsed = |text| parse(text).map(|Time(text)| text);
        for text in ["now", "5 minutes ago", "1h 30m ago"] {
            assert_eq!(parsed(text).as_deref(), Ok(text));
        }
        assert_eq!(parsed(" 2 days ago ").as_deref(), Ok("2 days ago"));
        let time = parsed("2026-01-31 14:00:00+02:00");
        assert_eq!(time.as_deref(), Ok("2026-01-31T12:00:00.000Z"));
        assert!(parse("soon").is_err() && parse("x ago").is_err());
    }
}
