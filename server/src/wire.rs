//! The JSON bodies, and the form of times, that more than one call uses.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use litevfs::types::{CommitId, ParseError, Pgno, Pos};
use serde::{Deserialize, Serialize};

use crate::store::Changes;
use crate::times;

/// A position.
#[derive(Debug, Serialize, Deserialize)]
pub struct PosBody {
    txid: String,
    #[serde(rename = "postApplyChecksum")]
    post_apply_checksum: String,
    /// Which commit it is. Clients of other makes do not tell.
    #[serde(rename = "commitId", default)]
    commit_id: Option<String>,
}

impl From<Pos> for PosBody {
    fn from(pos: Pos) -> PosBody {
        PosBody {
            txid: pos.txid.to_string(),
            post_apply_checksum: pos.post_apply_checksum.to_string(),
            commit_id: Some(pos.commit_id.to_string()),
        }
    }
}

impl TryFrom<PosBody> for Pos {
    type Error = ParseError;

    fn try_from(body: PosBody) -> Result<Pos, ParseError> {
        Ok(Pos {
            txid: body.txid.parse()?,
            post_apply_checksum: body.post_apply_checksum.parse()?,
            commit_id: body.commit_id.map_or(Ok(CommitId::NONE), |id| id.parse())?,
        })
    }
}

/// What changed in a database.
#[derive(Debug, Serialize)]
pub struct ChangesBody {
    pos: PosBody,
    pgnos: Option<Vec<u32>>,
    all: bool,
    /// Beside `all`: commits alone led there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    commits: bool,
}

impl ChangesBody {
    pub(crate) fn new(pos: Pos, changes: Changes) -> ChangesBody {
        let commits = changes == Changes::Many;
        let (pgnos, all) = match changes {
            Changes::Nothing => (None, false),
            Changes::Pages(pgnos) => (Some(pgnos.into_iter().map(Pgno::get).collect()), false),
            Changes::Many | Changes::All => (None, true),
        };
        ChangesBody { pos: pos.into(), pgnos, all, commits }
    }
}

/// The time so many milliseconds after 1970, as RFC 3339; `None` past the years it can write.
pub(crate) fn rfc3339_ms(ms: u64) -> Option<String> {
    let at = DateTime::<Utc>::from_timestamp_millis(i64::try_from(ms).ok()?)?;
    Some(rfc3339(at))
}

/// The time so far from now.
pub(crate) fn rfc3339_in(duration: Duration) -> String {
    let now = SystemTime::now();
    rfc3339(now.checked_add(duration).unwrap_or(now).into())
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A time in milliseconds after 1970, rounded down; what was before counts as 1970.
///
/// A plus sign that nobody wrote as `%2B` has become a space in a query.
pub(crate) fn parse_time_ms(text: &str) -> Result<u64, String> {
    let with_plus = || {
        let (time, offset) = text.rsplit_once(' ')?;
        DateTime::parse_from_rfc3339(&format!("{time}+{offset}")).ok()
    };
    let at = match with_plus() {
        Some(at) => at.to_utc(),
        None => times::parse(text)?,
    };
    Ok(u64::try_from(at.timestamp_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339_ms(1_700_000_000_123).unwrap(), "2023-11-14T22:13:20.123Z");
        for text in [
            "2023-11-14T22:13:20.123Z",
            "2023-11-14t22:13:20.1234567z",
            "2023-11-15T00:13:20.123+02:00",
            "2023-11-15T00:13:20.123 02:00",
        ] {
            assert_eq!(parse_time_ms(text), Ok(1_700_000_000_123), "{text}");
        }
        assert_eq!(parse_time_ms("1969-01-01T00:00:00Z"), Ok(0));
        assert!(parse_time_ms("5 minutes ago") < parse_time_ms("now"));
        for text in ["", "2023-11-14", "2023-11-14T22:13:20", "1700000000"] {
            assert!(parse_time_ms(text).is_err(), "{text}");
        }
        assert_eq!(rfc3339_ms(u64::MAX), None);
    }
}
