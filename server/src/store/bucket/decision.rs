//! What a group came to: one small object that is made once and says it for good.
//!
//! Whoever makes it decides. A group that nothing is known of may still be decided against, so that an
//! upload of it that comes later is in vain.

use std::fmt;
use std::str::FromStr;

use litevfs::types::{Checksum, CommitId, DbName, Pos, Txid};
use serde::{Deserialize, Serialize};

use super::file_index::FileIndex;
use super::marks::Tag;

/// Names a group: 32 lower-case hex digits, which its client chose at random.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupId(String);

impl GroupId {
    /// What stands for it in the header of a file.
    pub(in crate::store) fn tag(&self) -> Tag {
        let first = self.0.get(..16).and_then(|first| u64::from_str_radix(first, 16).ok());
        // It was checked when the id was made.
        Tag::of(first.unwrap_or_default())
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GroupId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<GroupId, &'static str> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let good = text.len() == 32 && text.bytes().all(lower_hex);
        let error = "the id of a group is 32 lower-case hex digits, chosen at random";
        if good { Ok(GroupId(text.to_owned())) } else { Err(error) }
    }
}

/// How a group was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub(in crate::store) enum Decision {
    /// All of its transactions count.
    Committed(Committed),
    /// None does.
    Aborted {},
}

/// A group that was decided for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Committed {
    /// Its whole id.
    pub id: String,
    /// In the order in which the client sent them.
    pub members: Vec<Member>,
}

/// One transaction of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) struct Member {
    #[serde(with = "text")]
    pub db: DbName,
    #[serde(with = "text")]
    pub txid: Txid,
    #[serde(with = "text")]
    pub post_apply_checksum: Checksum,
    /// Decisions from before there were ids have none.
    #[serde(with = "text", default)]
    pub commit_id: CommitId,
    /// Tells the uploaded file from another.
    pub file: String,
}

impl Member {
    /// The position of the database after it.
    pub const fn pos(&self) -> Pos {
        let Member { txid, post_apply_checksum, commit_id, .. } = *self;
        Pos { txid, post_apply_checksum, commit_id }
    }
}

impl Decision {
    /// Whether a marked file of a database counts; if so, with what else.
    pub(in crate::store) fn admits(self, db: &DbName, index: &FileIndex) -> Option<Committed> {
        let Decision::Committed(committed) = self else {
            return None;
        };
        // Should two ids begin alike, the one's decision does not make the other's files count.
        let mut listed = committed.members.iter();
        let listed = listed.any(|member| member.db == *db && member.pos().agrees(index.pos()));
        listed.then_some(committed)
    }
}

/// Values in JSON as their text.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
