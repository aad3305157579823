//! Times as arguments.

use chrono::SecondsFormat;

use crate::times;

/// A time, as RFC 3339 with milliseconds in UTC: whatever server is asked, it takes that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time(pub(super) String);

/// Parses an argument.
pub(super) fn parse(text: &str) -> Result<Time, String> {
    let time = times::parse(text)?;
    Ok(Time(time.to_rfc3339_opts(SecondsFormat::Millis, true)))
}
