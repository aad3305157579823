//! The JSON bodies, and the form of times, that more than one call uses.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use litevfs::types::{ParseError, Pgno, Pos};
use serde::{Deserialize, Serialize};

use crate::store::Changes;

/// A position.
#[derive(Debug, Serialize, Deserialize)]
pub struct PosBody {
    txid: String,
    #[serde(rename = "postApplyChecksum")]
    post_apply_checksum: String,
}

impl From<Pos> for PosBody {
    fn from(pos: Pos) -> PosBody {
        PosBody {
            txid: pos.txid.to_string(),
            post_apply_checksum: pos.post_apply_checksum.to_string(),
        }
    }
}

impl TryFrom<PosBody> for Pos {
    type Error = ParseError;

    fn try_from(body: PosBody) -> Result<Pos, ParseError> {
        Ok(Pos { txid: body.txid.parse()?, post_apply_checksum: body.post_apply_checksum.parse()? })
    }
}

/// What changed in a database.
#[derive(Debug, Serialize)]
pub struct ChangesBody {
    pos: PosBody,
    pgnos: Option<Vec<u32>>,
    all: bool,
}

impl ChangesBody {
    pub(crate) fn new(pos: Pos, changes: Changes) -> ChangesBody {
        let (pgnos, all) = match changes {
            Changes::Nothing => (None, false),
            Changes::Pages(pgnos) => (Some(pgnos.into_iter().map(Pgno::get).collect()), false),
            Changes::All => (None, true),
        };
        ChangesBody { pos: pos.into(), pgnos, all }
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
