//! What the header of a stored file says beside its pages, and how it is sealed.
//!
//! A stored file is LTX v3, an LZ4 frame with a checksum for each page. Fields that nothing reads in
//! such files carry what a server needs to trust one without reading it whole:
//!
//! | header field | upload | stored file |
//! | --- | --- | --- |
//! | flag bit 1, no database checksums | clear | set |
//! | pre- and post-apply checksum | the database's | zero, as the flag demands |
//! | timestamp | the client's clock | the server's, never before that of the file before |
//! | node id | the client's, or zero | the post-apply checksum |
//! | commit id | the client's, or zero | that one, or the server's |
//! | commit id of the base | the client's, or zero | zero |
//! | WAL offset | of the client's WAL | bit 62 set; below, the pre-apply checksum's low 62 bits (note) |
//! | WAL size | of the client's WAL | bit 61 set after a break; the upload's timestamp << 16, plus max TXID - min TXID of the upload; or bit 62 set, and below the first 62 bits of the id of the group |
//! | WAL salts | of the client's WAL | the seal: a CRC-64 of the header without them, and of the page numbers |
//!
//! Note: before the first transaction there is no checksum; of a first upload the high bits of the span
//! are there instead, because a database that is as old as you like may come as one upload.
//!
//! The reason for the first two lines is Litestream: to restore, it merges the files into one without
//! database checksums, yet ends that with the last file's trailer, and then refuses a post-apply
//! checksum found there. The file checksum covers it all, as in any LTX file.

use std::fmt;

use litevfs::ltx::{Crc64, Format, Header};
use litevfs::types::{Checksum, CommitId, Pgno, Txid};

/// Set in the WAL offset of every file that this server stores.
const LINK_FLAG: u64 = 1 << 62;
/// The bits of a checksum that fit beside it.
const LINK_MASK: u64 = LINK_FLAG.wrapping_sub(1);
/// Set in the WAL size of a file that belongs to a group; what is below names it.
const GROUP_FLAG: u64 = LINK_FLAG;
/// Set in the WAL size of a file with a break, which is no group's.
const BREAK_FLAG: u64 = 1 << 61;
/// The bits of the WAL size that tell the span of an upload.
const SPAN_BITS: u32 = 16;
/// The most transactions that an upload may span, beyond the first, unless it is a database's first.
pub const MAX_SPAN: u64 = (1 << SPAN_BITS) - 1;

/// What a stored file says beside its pages; the table above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The database checksum before it; [`Checksum::NONE`] for the first.
    pub pre_apply_checksum: Checksum,
    /// The database checksum after it.
    pub post_apply_checksum: Checksum,
    /// Which commit its last transaction is; [`CommitId::NONE`] in files from before there were ids.
    pub commit_id: CommitId,
    /// When the client says it was committed; 0 in merged files, and in those of groups.
    pub client_timestamp_ms: u64,
    /// Transactions beyond the first that the upload has, although the name has one only. A group's
    /// files have none.
    pub span: u64,
    /// The group it belongs to, and with which it counts or does not.
    pub group: Option<Tag>,
    /// What SQLite has in memory of the database before is no good after it, and neither change counter nor
    /// schema cookie says so: an encrypted database was restored.
    pub is_break: bool,
}

/// Stands for a group in the header of a file: the first 62 bits of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(u64);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Tag {
    /// The tag of an id's first 64 bits.
    pub const fn of(first: u64) -> Tag {
        Tag(first >> 2)
    }
}

/// The header of a stored file with those marks and pages. The times and TXIDs of `header` stay.
pub fn stored_header(header: &Header, marks: &Marks, pgnos: impl Iterator<Item = Pgno>) -> Header {
    let link = match header.min_txid {
        Txid(1) => marks.span >> SPAN_BITS,
        _ => marks.pre_apply_checksum.0,
    };
    let timestamp = marks.client_timestamp_ms.checked_shl(SPAN_BITS).unwrap_or(0);
    let timestamp = timestamp & BREAK_FLAG.wrapping_sub(1);
    let is_break = if marks.is_break { BREAK_FLAG } else { 0 };
    let upload = is_break | timestamp | (marks.span & MAX_SPAN);
    let mut stored = Header {
        pre_apply_checksum: Checksum::NONE,
        node_id: marks.post_apply_checksum.0,
        commit_id: marks.commit_id,
        base_id: CommitId::NONE,
        no_checksum: true,
        encrypted: false,
        wal_offset: LINK_FLAG | (link & LINK_MASK),
        wal_size: marks.group.map_or(upload, |Tag(tag)| GROUP_FLAG | tag),
        wal_salt: [0; 2],
        ..*header
    };
    stored.wal_salt = seal(&stored, pgnos);
    stored
}

/// The seal of a stored header and its page numbers.
fn seal(header: &Header, pgnos: impl Iterator<Item = Pgno>) -> [u32; 2] {
    let mut crc = Crc64::new();
    let unsealed = Header { wal_salt: [0; 2], ..*header };
    crc.update(&unsealed.encode(Format::V3Frame));
    pgnos.for_each(|pgno| crc.update(&pgno.get().to_be_bytes()));
    let crc = crc.finish().to_be_bytes();
    let half = |at: usize| crc.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    [u32::from_be_bytes(half(0)), u32::from_be_bytes(half(4))]
}

/// Reads the marks of a stored file from its header, its trailer's post-apply checksum and its page
/// numbers. The error says why it cannot be trusted.
pub fn marks(
    header: &Header,
    trailer: Checksum,
    pgnos: impl Iterator<Item = Pgno>,
) -> Result<Marks, &'static str> {
    if !header.no_checksum {
        // Written with the database's checksums in their own fields.
        let Header { pre_apply_checksum, commit_id, timestamp_ms, .. } = *header;
        return Ok(Marks::of_one(pre_apply_checksum, trailer, commit_id, timestamp_ms));
    }
    let post_apply_checksum = Checksum(header.node_id);
    if header.wal_offset & LINK_FLAG == 0 || !post_apply_checksum.is_set() {
        return Err(FOREIGN);
    }
    if seal(header, pgnos) != header.wal_salt {
        return Err("its header and its page index do not belong together");
    }
    let link = header.wal_offset & LINK_MASK;
    let (pre_apply, high_span) = match header.min_txid {
        Txid(1) => (Checksum::NONE.0, link.checked_shl(SPAN_BITS).unwrap_or(0)),
        _ => (link, 0),
    };
    let group = (header.wal_size & GROUP_FLAG != 0).then_some(Tag(header.wal_size & LINK_MASK));
    let upload = if group.is_some() { 0 } else { header.wal_size };
    Ok(Marks {
        // The bit that did not fit is known: a set checksum has the flag, and no other bit above.
        pre_apply_checksum: Checksum(pre_apply),
        post_apply_checksum,
        commit_id: header.commit_id,
        client_timestamp_ms: (upload & !BREAK_FLAG) >> SPAN_BITS,
        span: high_span | (upload & MAX_SPAN),
        group,
        is_break: upload & BREAK_FLAG != 0,
    })
}

const FOREIGN: &str = "it was not written by this server: the database's checksum is not in it; \
    restore the database with the program that wrote it, and import the result";

impl Marks {
    /// Those of one transaction, committed by itself at a time in ms since the Unix epoch.
    pub const fn of_one(
        pre_apply_checksum: Checksum,
        post_apply_checksum: Checksum,
        commit_id: CommitId,
        client_timestamp_ms: u64,
    ) -> Marks {
        Marks {
            pre_apply_checksum,
            post_apply_checksum,
            commit_id,
            client_timestamp_ms,
            span: 0,
            group: None,
            is_break: false,
        }
    }

    /// Whether a file follows one that left the database at that checksum.
    pub const fn follows(&self, before: Checksum) -> bool {
        self.pre_apply_checksum.0 & LINK_MASK == before.0 & LINK_MASK
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use litevfs::ltx;
    use litevfs::types::PageSize;

    fn header() -> Header {
        Header {
            commit: 3,
            min_txid: Txid(2),
            max_txid: Txid(2),
            timestamp_ms: 5,
            pre_apply_checksum: Checksum(Checksum::FLAG | 7),
            wal_offset: 3,
            wal_size: 4,
            wal_salt: [1, 2],
            node_id: 9,
            commit_id: CommitId(10),
            base_id: CommitId(11),
            encrypted: true,
            ..Header::new(PageSize::new(512).unwrap())
        }
    }

    fn pgnos(list: &[u32]) -> impl Iterator<Item = Pgno> {
        list.iter().filter_map(|&pgno| Pgno::new(pgno))
    }

    #[test]
    fn marks_come_back_and_the_seal_notices_any_other_header_or_page() {
        let before = Checksum(Checksum::FLAG | 0x7fff_ffff_ffff_fff7);
        let marks_in = Marks {
            pre_apply_checksum: before,
            post_apply_checksum: Checksum(Checksum::FLAG | 8),
            commit_id: CommitId(12),
            client_timestamp_ms: 1_700_000_000_123,
            span: 255,
            group: None,
            is_break: false,
        };
        let stored = stored_header(&header(), &marks_in, pgnos(&[1, 3]));
        assert!(stored.validate(ltx::Version::V3).is_ok());
        let out = marks(&stored, Checksum::NONE, pgnos(&[1, 3])).unwrap();
        assert!(out.follows(before) && !out.follows(Checksum(Checksum::FLAG | 6)));
        assert_eq!(out.post_apply_checksum, marks_in.post_apply_checksum);
        assert_eq!(out.commit_id, marks_in.commit_id);
        assert_eq!((out.client_timestamp_ms, out.span), (1_700_000_000_123, 255));
        let of_break = Marks { is_break: true, ..marks_in };
        let stored_break = stored_header(&header(), &of_break, pgnos(&[1, 3]));
        assert!(stored_break.validate(ltx::Version::V3).is_ok());
        let out = marks(&stored_break, Checksum::NONE, pgnos(&[1, 3])).unwrap();
        assert!(out.is_break && !marks_in.is_break);
        assert_eq!((out.client_timestamp_ms, out.span), (1_700_000_000_123, 255));
        let first = Header { min_txid: Txid(1), max_txid: Txid(1), ..header() };
        let old = Marks { pre_apply_checksum: Checksum::NONE, span: 0x12_3456_789a, ..marks_in };
        let stored_first = stored_header(&first, &old, pgnos(&[1, 3]));
        assert!(stored_first.validate(ltx::Version::V3).is_ok());
        assert_eq!(marks(&stored_first, Checksum::NONE, pgnos(&[1, 3])), Ok(old));
        let tag = Some(Tag::of(u64::MAX));
        let grouped = Marks { client_timestamp_ms: 0, span: 0, group: tag, ..marks_in };
        let stored_grouped = stored_header(&header(), &grouped, pgnos(&[1, 3]));
        assert!(stored_grouped.validate(ltx::Version::V3).is_ok());
        assert_eq!(marks(&stored_grouped, Checksum::NONE, pgnos(&[1, 3])).unwrap().group, tag);
        for list in [&[1, 2][..], &[1], &[1, 3, 4]] {
            assert!(marks(&stored, Checksum::NONE, pgnos(list)).is_err());
        }
        let other = Header { commit: 4, ..stored };
        assert!(marks(&other, Checksum::NONE, pgnos(&[1, 3])).is_err());
        let foreign = Header { wal_offset: 0, wal_size: 0, ..stored };
        assert_eq!(marks(&foreign, Checksum::NONE, pgnos(&[1, 3])), Err(FOREIGN));
    }
}
