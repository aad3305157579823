//! Numbers and names that mean something: page numbers, transaction ids, positions, checksums.
//!
//! Used by every layer and by the server. Parsing and printing live beside the type; a value of one
//! of these types is valid by construction.

use crate::text::hex;
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;

/// A text that is not a value of the type it was parsed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError(&'static str);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for ParseError {}

/// A page number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pgno(NonZeroU32);

impl Pgno {
    /// The first page, which holds the database header.
    pub const ONE: Pgno = Pgno(NonZeroU32::MIN);

    /// The page of that number; `None` for 0.
    pub const fn new(pgno: u32) -> Option<Pgno> {
        match NonZeroU32::new(pgno) {
            Some(pgno) => Some(Pgno(pgno)),
            None => None,
        }
    }

    /// The number, from 1.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Pgno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A page size in bytes: a power of two from 512 to 65,536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageSize(u32);

/// The byte at which SQLite places its file locks; the page that holds it is never used.
pub const PENDING_BYTE: u32 = 0x4000_0000;

impl PageSize {
    /// The largest.
    pub const MAX: PageSize = PageSize(65_536);

    /// The page size of `bytes` bytes; `None` when SQLite has no such page size.
    pub const fn new(bytes: u32) -> Option<PageSize> {
        if bytes.is_power_of_two() && bytes >= 512 && bytes <= 65_536 {
            Some(PageSize(bytes))
        } else {
            None
        }
    }

    /// Bytes of a page.
    pub const fn bytes(self) -> u32 {
        self.0
    }

    /// Bytes of a page, as a length.
    pub const fn len_bytes(self) -> usize {
        self.0 as usize
    }

    /// The page that holds [`PENDING_BYTE`]. It is in no LTX file and never stored.
    pub const fn lock_pgno(self) -> Pgno {
        let shift = self.0.trailing_zeros();
        match Pgno::new((PENDING_BYTE >> shift).saturating_add(1)) {
            Some(pgno) => pgno,
            None => Pgno::ONE,
        }
    }

    /// The page with the byte at `offset` of the database file, and where in the page it lies; `None`
    /// past the last page there can be.
    pub fn page_at(self, offset: u64) -> Option<(Pgno, usize)> {
        let len = u64::from(self.0);
        let index = u32::try_from(offset.checked_div(len)?).ok()?;
        let within = usize::try_from(offset.checked_rem(len)?).ok()?;
        Some((Pgno::new(index.checked_add(1)?)?, within))
    }

    /// Bytes of so many pages.
    pub const fn bytes_of(self, pages: u32) -> u64 {
        self.offset_of_slot(pages)
    }

    /// Where the slot of that number, from 0, begins in a file of slots of one page each, in bytes.
    pub const fn offset_of_slot(self, slot: u32) -> u64 {
        (slot as u64).saturating_mul(self.0 as u64)
    }
}

/// A transaction id. Zero means "no transaction yet"; the first commit is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Txid(pub u64);

impl Txid {
    /// Before the first transaction.
    pub const ZERO: Txid = Txid(0);
    /// The last that a transaction may have: more than can be committed in two thousand years at a million
    /// a second, and so far from the end of the type that the number after it, or after a span of them, is
    /// still a number. Otherwise two transactions could have one id.
    pub const LAST: Txid = Txid(1 << 56);

    /// The id of the following transaction; `None` after [`Txid::LAST`].
    pub const fn next(self) -> Option<Txid> {
        if self.0 < Txid::LAST.0 { self.successor() } else { None }
    }

    /// The following number, which a transaction may have or not: what marks a database as dropped comes
    /// after the last one, too.
    pub const fn successor(self) -> Option<Txid> {
        match self.0.checked_add(1) {
            Some(txid) => Some(Txid(txid)),
            None => None,
        }
    }

    /// Whether it is the id after another one.
    pub const fn follows(self, earlier: Txid) -> bool {
        matches!(self.0.checked_sub(earlier.0), Some(1))
    }

    /// How many ids after an earlier one it is; `None` when it comes before that.
    pub const fn since(self, earlier: Txid) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

impl fmt::Display for Txid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write16(self.0, f)
    }
}

impl FromStr for Txid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Txid, ParseError> {
        hex::parse16(text).map(Txid).ok_or(ParseError("a transaction id is 16 hex digits"))
    }
}

/// An LTX checksum: 63 bits of CRC-64/ISO with the top bit set, or zero for "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Checksum(pub u64);

impl Checksum {
    /// The bit that every checksum has.
    pub const FLAG: u64 = 1 << 63;
    /// No checksum.
    pub const NONE: Checksum = Checksum(0);
    /// The database checksum of a database without pages.
    pub const EMPTY: Checksum = Checksum(Checksum::FLAG);

    /// Whether the top bit is set, as it is in every checksum but [`Checksum::NONE`].
    pub const fn is_set(self) -> bool {
        self.0 & Checksum::FLAG != 0
    }

    /// Adds a page's checksum to a database checksum, or takes it out again.
    #[must_use]
    pub const fn toggle(self, page: Checksum) -> Checksum {
        Checksum((self.0 ^ page.0) | Checksum::FLAG)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write16(self.0, f)
    }
}

impl FromStr for Checksum {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Checksum, ParseError> {
        hex::parse16(text).map(Checksum).ok_or(ParseError("a checksum is 16 hex digits"))
    }
}

/// Which commit it is, and with that the whole history up to it: 64 bits chosen at random for one commit, 16
/// hex digits as text; zero for "not told".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CommitId(pub u64);

impl CommitId {
    /// Not told.
    pub const NONE: CommitId = CommitId(0);

    /// Whether it says which commit it is.
    pub const fn is_set(self) -> bool {
        self.0 != 0
    }

    /// Whether both may be of one commit: they are equal, or one does not tell.
    pub const fn agrees(self, other: CommitId) -> bool {
        self.0 == other.0 || !self.is_set() || !other.is_set()
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write16(self.0, f)
    }
}

impl FromStr for CommitId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<CommitId, ParseError> {
        hex::parse16(text).map(CommitId).ok_or(ParseError("a commit id is 16 hex digits"))
    }
}

/// A position: a transaction, the database checksum after it, and which commit that was.
///
/// TXID and checksum alone do not say what is in the database. The checksum is linear, so that equal changes
/// to two pages cancel out, and TXIDs begin anew with each life of a name and go on from a copy of a
/// database: another history can come by the same two. Databases at the same commit hold the same pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Pos {
    /// The last transaction applied.
    pub txid: Txid,
    /// The database checksum after it.
    pub post_apply_checksum: Checksum,
    /// Which commit it is. Servers and clients that know no such ids do not tell.
    pub commit_id: CommitId,
}

impl Pos {
    /// The position of a database without transactions.
    pub const EMPTY: Pos =
        Pos { txid: Txid::ZERO, post_apply_checksum: Checksum::NONE, commit_id: CommitId::NONE };

    /// Whether no transaction was applied yet.
    pub const fn is_empty(self) -> bool {
        self.txid.0 == 0
    }

    /// Whether both may be the same position: they are, as far as both tell.
    pub const fn agrees(self, other: Pos) -> bool {
        self.txid.0 == other.txid.0
            && self.post_apply_checksum.0 == other.post_apply_checksum.0
            && self.commit_id.agrees(other.commit_id)
    }
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.txid, self.post_apply_checksum)
    }
}

impl FromStr for Pos {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Pos, ParseError> {
        let err = ParseError("a position is TXID/CHECKSUM, two times 16 hex digits");
        let (txid, checksum) = text.split_once('/').ok_or(err)?;
        Ok(Pos {
            txid: txid.parse().map_err(|_| err)?,
            post_apply_checksum: checksum.parse().map_err(|_| err)?,
            commit_id: CommitId::NONE,
        })
    }
}

/// A database name: 1 to 255 characters of `A-Z a-z 0-9 _ . -`, not starting with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DbName(String);

impl DbName {
    /// The longest name, in bytes: a folder's, on every usual file system and in MinIO.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DbName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<DbName, ParseError> {
        check_name(text, DbName::MAX_LEN).map(DbName).ok_or(ParseError(
            "a database name is 1 to 255 characters of A-Z a-z 0-9 _ . - and does not start with a dot",
        ))
    }
}

/// A cluster name: 1 to 32 characters of `A-Z a-z 0-9 _ . -`, not starting with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);

impl ClusterName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 32;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClusterName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<ClusterName, ParseError> {
        check_name(text, ClusterName::MAX_LEN).map(ClusterName).ok_or(ParseError(
            "a cluster name is 1 to 32 characters of A-Z a-z 0-9 _ . - and does not start with a dot",
        ))
    }
}

fn check_name(text: &str, max_len: usize) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let valid =
        (1..=max_len).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(allowed);
    valid.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn lock_page_is_the_one_with_the_pending_byte() {
        for (bytes, pgno) in [(512, 2_097_153), (4096, 262_145), (65_536, 16_385)] {
            assert_eq!(PageSize::new(bytes).unwrap().lock_pgno().get(), pgno);
        }
    }

    #[test]
    fn page_sizes_are_powers_of_two_from_512_to_65536() {
        let valid: alloc::vec::Vec<u32> =
            (0..=131_072).filter(|&n| PageSize::new(n).is_some()).collect();
        assert_eq!(valid, [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536]);
    }

    #[test]
    fn transaction_ids_end_before_their_type_does() {
        assert_eq!(Txid(7).next(), Some(Txid(8)));
        assert_eq!(Txid(Txid::LAST.0 - 1).next(), Some(Txid::LAST));
        assert_eq!(Txid::LAST.next(), None);
        assert_eq!(Txid(u64::MAX).next(), None);
        assert_eq!(Txid::LAST.successor(), Some(Txid(Txid::LAST.0 + 1)));
        assert_eq!(Txid(u64::MAX).successor(), None);
        assert!(Txid(8).follows(Txid(7)) && !Txid(7).follows(Txid(7)));
        assert!(!Txid(7).follows(Txid(8)) && !Txid(0).follows(Txid(u64::MAX)));
        assert_eq!((Txid(9).since(Txid(7)), Txid(7).since(Txid(9))), (Some(2), None));
    }

    #[test]
    fn a_position_prints_as_it_parses() {
        let text = "00000000000000ff/8000000000000001";
        let pos: Pos = text.parse().unwrap();
        assert_eq!(pos.txid, Txid(255));
        assert_eq!(pos.to_string(), text);
        for bad in ["", "/", "ff/8000000000000001", "00000000000000ff-8000000000000001"] {
            assert!(bad.parse::<Pos>().is_err(), "{bad}");
        }
        assert!("+0000000000000ff/8000000000000001".parse::<Pos>().is_err());
    }

    #[test]
    fn names_keep_to_their_alphabet() {
        for good in ["a", "db1", "A-b_c.d", "0"] {
            assert!(good.parse::<DbName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".a", "a/b", "a b", "a\0", "\u{e4}"] {
            assert!(bad.parse::<DbName>().is_err(), "{bad}");
        }
        assert!("x".repeat(255).parse::<DbName>().is_ok());
        let error = "x".repeat(256).parse::<DbName>().unwrap_err();
        assert!(error.to_string().contains(&DbName::MAX_LEN.to_string()), "{error}");
        assert!("x".repeat(33).parse::<ClusterName>().is_err());
    }
}
