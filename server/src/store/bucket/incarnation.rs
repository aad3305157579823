//! Which life of a database name: a name that was dropped and made anew is another database.
//!
//! Each has a folder of its own, so whatever was begun for an earlier one (a put, a merge, a removal, a
//! cached block) can't reach a later one, however late it comes. Which one lives is said by the name's
//! head: see [`super::head`].

use std::fmt;
use std::str::FromStr;

use litevfs::types::CommitId;

use crate::key::DbKey;
use crate::random;

/// Names every incarnation but a name's first: chosen at random, 16 lower-case hex digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncarnationId(u64);

impl IncarnationId {
    /// One that was never used.
    pub fn fresh() -> std::io::Result<IncarnationId> {
        random::hex::<8>()?.parse().map_err(std::io::Error::other)
    }
}

impl fmt::Display for IncarnationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for IncarnationId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<IncarnationId, &'static str> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let id = u64::from_str_radix(text, 16).ok();
        let good = text.len() == 16 && text.bytes().all(lower_hex);
        id.filter(|_| good).map(IncarnationId).ok_or("an incarnation is 16 lower-case hex digits")
    }
}

/// Stands for the id of a name's first incarnation, which has none.
const OF_FIRST: u64 = 1;

/// One life of a database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Incarnation {
    /// Its name.
    pub key: DbKey,
    /// `None` for the first of its name.
    pub id: Option<IncarnationId>,
}

impl Incarnation {
    /// The first of a name.
    pub const fn first(key: DbKey) -> Incarnation {
        Incarnation { key, id: None }
    }

    /// What stands for the ids of commits that were made before there were such: it tells one life of a name
    /// from another.
    pub fn old_commit_id(&self) -> CommitId {
        CommitId(self.id.map_or(OF_FIRST, |IncarnationId(id)| id.max(OF_FIRST)))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "{}/{id}", self.key),
            None => self.key.fmt(f),
        }
    }
}
