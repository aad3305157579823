//! Times as people write them: RFC 3339, or so long ago.

use chrono::{DateTime, Utc};

const FORMS: &str = "give a time like 2026-01-31T12:00:00Z, or like \"5 minutes ago\"";

/// The time that a text means.
pub(crate) fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    parse_at(text, Utc::now())
}

/// Whether what a text means hangs on what time it is.
pub(crate) fn is_relative(text: &str) -> bool {
    let text = text.trim();
    text == "now" || text.ends_with("ago")
}

fn parse_at(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    if let Some(ago) = text.strip_suffix("ago") {
        let ago =
            humantime::parse_duration(ago.trim()).map_err(|error| format!("{error}: {FORMS}"))?;
        let ago = chrono::TimeDelta::from_std(ago).ok();
        return Ok(ago
            .and_then(|ago| now.checked_sub_signed(ago))
            .ok_or("that is too long ago")?);
    }
    Ok(DateTime::parse_from_rfc3339(text).map_err(|_| FORMS)?.to_utc())
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;

    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let now = DateTime::parse_from_rfc3339("2026-03-01T00:00:10.5Z").unwrap();
        let time = parse_at(text, now.to_utc())?;
        Ok(time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    #[test]
    fn rfc_3339_becomes_utc() {
        for text in ["2026-01-31T12:00:00Z", "2026-01-31 14:00:00+02:00", " 2026-01-31t12:00:00z "]
        {
            assert_eq!(parsed(text).as_deref(), Ok("2026-01-31T12:00:00.000Z"), "{text}");
        }
        let fraction = parsed("2026-01-31T12:00:00.1239Z");
        assert_eq!(fraction.as_deref(), Ok("2026-01-31T12:00:00.123Z"));
    }

    #[test]
    fn so_long_ago_counts_from_now() {
        for (text, time) in [
            ("now", "2026-03-01T00:00:10.500Z"),
            ("5 minutes ago", "2026-02-28T23:55:10.500Z"),
            ("5min ago", "2026-02-28T23:55:10.500Z"),
            ("1h 30m ago", "2026-02-28T22:30:10.500Z"),
            ("2 days ago", "2026-02-27T00:00:10.500Z"),
            ("500ms ago", "2026-03-01T00:00:10.000Z"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_what_one_looks_like() {
        for text in
            ["", "ago", "5 ago", "x minutes ago", "2026-01-31", "2026-01-31T12:00:00", "5 minutes"]
        {
            let error = parsed(text).unwrap_err();
            assert!(error.contains("5 minutes ago"), "{text}: {error}");
        }
        assert!(parsed("99999999 years ago").unwrap_err().contains("too long ago"));
    }
}
