//! The first 100 and the last 16 bytes of an LTX file. All integers are big-endian.
//!
//! | offset | size | header field |
//! | --- | --- | --- |
//! | 0 | 4 | magic `LTX1` |
//! | 4 | 4 | flags: bit 0 LZ4 (v1 only), bit 1 no database checksums (v3 only), bit 31 encrypted (v1 only, of LiteVFS) |
//! | 8 | 4 | page size, bytes |
//! | 12 | 4 | commit, pages |
//! | 16 | 8 | min TXID |
//! | 24 | 8 | max TXID |
//! | 32 | 8 | timestamp, ms since the Unix epoch |
//! | 40 | 8 | pre-apply checksum |
//! | 48 | 8 | WAL offset, bytes |
//! | 56 | 8 | WAL size, bytes |
//! | 64 | 8 | WAL salts |
//! | 72 | 8 | node id |
//! | 80 | 8 | commit id of the last transaction, or zero (of LiteVFS) |
//! | 88 | 8 | commit id of the transaction before the first, or zero (v1 only, of LiteVFS) |
//! | 96 | 4 | zero |
//!
//! | offset | size | trailer field |
//! | --- | --- | --- |
//! | 0 | 8 | post-apply checksum |
//! | 8 | 8 | file checksum |

use super::error::Error;
use super::io::Input;
use super::{Format, Version};
use crate::types::{Checksum, CommitId, PageSize, Txid};

/// Bytes of a header.
pub const HEADER_LEN: usize = 100;
/// Bytes of a trailer.
pub const TRAILER_LEN: usize = 16;

const MAGIC: [u8; 4] = *b"LTX1";
const FLAG_LZ4: u32 = 1 << 0;
const FLAG_NO_CHECKSUM: u32 = 1 << 1;
const FLAG_ENCRYPTED: u32 = 1 << 31;
const RESERVED_LEN: usize = 4;

/// What an LTX file says about itself before its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of a page.
    pub page_size: PageSize,
    /// Pages of the database after applying; 0 when the file drops the database.
    pub commit: u32,
    /// First transaction in the file.
    pub min_txid: Txid,
    /// Last transaction in the file.
    pub max_txid: Txid,
    /// When the last transaction was committed, in ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// Database checksum before applying; [`Checksum::NONE`] in a snapshot.
    pub pre_apply_checksum: Checksum,
    /// Where in the WAL the transaction came from, in bytes; 0 for a journal.
    pub wal_offset: u64,
    /// Bytes of the transaction in the WAL; 0 for a journal.
    pub wal_size: u64,
    /// The salts of that WAL.
    pub wal_salt: [u32; 2],
    /// The node that wrote the file; 0 when unset.
    pub node_id: u64,
    /// Which commit its last transaction is.
    pub commit_id: CommitId,
    /// Which commit it was made on (v1 only: a client that uploads tells it so).
    pub base_id: CommitId,
    /// The file has no database checksums: pre-apply and post-apply are zero (v3 only).
    pub no_checksum: bool,
    /// A codec encrypted the pages, so page 1 says nothing (v1 only; a client that uploads tells it so).
    pub encrypted: bool,
}

impl Header {
    /// A header to be filled in: of no transactions, WAL or node.
    pub const fn new(page_size: PageSize) -> Header {
        Header {
            page_size,
            commit: 0,
            min_txid: Txid::ZERO,
            max_txid: Txid::ZERO,
            timestamp_ms: 0,
            pre_apply_checksum: Checksum::NONE,
            wal_offset: 0,
            wal_size: 0,
            wal_salt: [0; 2],
            node_id: 0,
            commit_id: CommitId::NONE,
            base_id: CommitId::NONE,
            no_checksum: false,
            encrypted: false,
        }
    }

    /// Whether the file holds every page of the database.
    pub const fn is_snapshot(&self) -> bool {
        self.min_txid.0 == 1
    }

    /// Checks what a version demands of the fields; decoded headers have passed.
    pub fn validate(&self, version: Version) -> Result<(), Error> {
        if self.no_checksum && version == Version::V1 {
            return Err(Error::ChecksumsRequired);
        }
        if self.min_txid == Txid::ZERO || self.min_txid > self.max_txid {
            return Err(Error::BadTxidRange);
        }
        let wanted = !self.is_snapshot() && !self.no_checksum;
        let pre_apply = self.pre_apply_checksum;
        if pre_apply.is_set() != wanted || (!wanted && pre_apply != Checksum::NONE) {
            return Err(Error::BadPreApplyChecksum);
        }
        // The original reads offset and size as signed numbers, and refuses what follows from no WAL.
        let from_journal = self.wal_offset == 0;
        let has_wal_fields = self.wal_size != 0 || self.wal_salt != [0, 0];
        let signed = i64::try_from(self.wal_offset).and(i64::try_from(self.wal_size));
        if signed.is_err() || (from_journal && has_wal_fields) {
            return Err(Error::BadWalFields);
        }
        Ok(())
    }

    /// The bytes of a valid header.
    pub fn encode(&self, format: Format) -> [u8; HEADER_LEN] {
        let lz4 = if format == Format::V1Lz4 { FLAG_LZ4 } else { 0 };
        let no_checksum = if self.no_checksum { FLAG_NO_CHECKSUM } else { 0 };
        let is_v1 = format.version() == Version::V1;
        let encrypted = if self.encrypted && is_v1 { FLAG_ENCRYPTED } else { 0 };
        let base_id = if is_v1 { self.base_id } else { CommitId::NONE };
        let [salt_1, salt_2] = self.wal_salt;
        let fields: [&[u8]; 15] = [
            &MAGIC,
            &(lz4 | no_checksum | encrypted).to_be_bytes(),
            &self.page_size.bytes().to_be_bytes(),
            &self.commit.to_be_bytes(),
            &self.min_txid.0.to_be_bytes(),
            &self.max_txid.0.to_be_bytes(),
            &self.timestamp_ms.to_be_bytes(),
            &self.pre_apply_checksum.0.to_be_bytes(),
            &self.wal_offset.to_be_bytes(),
            &self.wal_size.to_be_bytes(),
            &salt_1.to_be_bytes(),
            &salt_2.to_be_bytes(),
            &self.node_id.to_be_bytes(),
            &self.commit_id.0.to_be_bytes(),
            &base_id.0.to_be_bytes(),
        ];
        let mut bytes = [0; HEADER_LEN];
        bytes.iter_mut().zip(fields.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Reads and validates a header, and tells whether the page block is one LZ4 frame (v1 only).
    pub fn decode(bytes: &[u8; HEADER_LEN], version: Version) -> Result<(Header, bool), Error> {
        let mut input = Input::new(bytes.as_slice());
        if input.read_array()? != MAGIC {
            return Err(Error::BadMagic);
        }
        let flags = input.read_u32()?;
        let known = match version {
            Version::V1 => FLAG_LZ4 | FLAG_ENCRYPTED,
            Version::V3 => FLAG_NO_CHECKSUM,
        };
        if flags & !known != 0 {
            return Err(Error::BadHeaderFlags);
        }
        let header = Header {
            page_size: PageSize::new(input.read_u32()?).ok_or(Error::BadPageSize)?,
            commit: input.read_u32()?,
            min_txid: Txid(input.read_u64()?),
            max_txid: Txid(input.read_u64()?),
            timestamp_ms: input.read_u64()?,
            pre_apply_checksum: Checksum(input.read_u64()?),
            wal_offset: input.read_u64()?,
            wal_size: input.read_u64()?,
            wal_salt: [input.read_u32()?, input.read_u32()?],
            node_id: input.read_u64()?,
            commit_id: CommitId(input.read_u64()?),
            base_id: CommitId(input.read_u64()?),
            no_checksum: flags & FLAG_NO_CHECKSUM != 0,
            encrypted: flags & FLAG_ENCRYPTED != 0,
        };
        let is_told_too_much = version == Version::V3 && header.base_id.is_set();
        if input.read_array()? != [0; RESERVED_LEN] || is_told_too_much {
            return Err(Error::ReservedBytesSet);
        }
        header.validate(version)?;
        Ok((header, flags & FLAG_LZ4 != 0))
    }

    /// Whether the header flags alone say v1; no LTX file at all is an error.
    pub(super) fn is_v1_lz4(file: &[u8]) -> Result<bool, Error> {
        let mut input = Input::new(file);
        if input.read_array()? != MAGIC {
            return Err(Error::BadMagic);
        }
        Ok(input.read_u32()? & FLAG_LZ4 != 0)
    }
}

/// What an LTX file ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Database checksum after applying; [`Checksum::NONE`] in a file without database checksums.
    pub post_apply_checksum: Checksum,
    /// Checksum of the file itself.
    pub file_checksum: Checksum,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            page_size: PageSize::new(4096).unwrap(),
            commit: 0x0102_0304,
            min_txid: Txid(2),
            max_txid: Txid(3),
            timestamp_ms: 1_700_000_000_123,
            pre_apply_checksum: Checksum(0x8000_0000_0000_0005),
            wal_offset: 32,
            wal_size: 4120,
            wal_salt: [6, 7],
            node_id: 8,
            commit_id: CommitId(9),
            base_id: CommitId::NONE,
            no_checksum: false,
            encrypted: false,
        }
    }

    #[test]
    fn a_header_decodes_as_it_was_encoded() {
        for (format, lz4) in [
            (Format::V1Raw, false),
            (Format::V1Lz4, true),
            (Format::V3Frame, false),
            (Format::V3Block, false),
        ] {
            let bytes = header().encode(format);
            assert_eq!(Header::decode(&bytes, format.version()), Ok((header(), lz4)));
        }
        let none = Header { no_checksum: true, pre_apply_checksum: Checksum::NONE, ..header() };
        let bytes = none.encode(Format::V3Block);
        assert_eq!(Header::decode(&bytes, Version::V3), Ok((none, false)));
        assert_eq!(Header::decode(&bytes, Version::V1), Err(Error::BadHeaderFlags));
    }

    #[test]
    fn encrypted_is_told_in_uploads_only() {
        let encrypted = Header { encrypted: true, ..header() };
        let bytes = encrypted.encode(Format::V1Lz4);
        assert_eq!(bytes[4..8], [0x80, 0, 0, 1]);
        assert_eq!(Header::decode(&bytes, Version::V1), Ok((encrypted, true)));
        assert_eq!(Header::decode(&bytes, Version::V3), Err(Error::BadHeaderFlags));
        let stored = encrypted.encode(Format::V3Block);
        assert_eq!(Header::decode(&stored, Version::V3), Ok((header(), false)));
    }

    #[test]
    fn what_a_transaction_was_made_on_is_told_in_uploads_only() {
        let made_on = Header { base_id: CommitId(10), ..header() };
        let bytes = made_on.encode(Format::V1Lz4);
        assert_eq!(bytes[88..], [0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0]);
        assert_eq!(Header::decode(&bytes, Version::V1), Ok((made_on, true)));
        let bytes = made_on.encode(Format::V3Block);
        assert_eq!(Header::decode(&bytes, Version::V3), Ok((header(), false)));
    }

    #[test]
    fn fields_lie_at_their_offsets() {
        let bytes = header().encode(Format::V1Lz4);
        assert_eq!(&bytes[..16], b"LTX1\0\0\0\x01\0\0\x10\0\x01\x02\x03\x04");
        for (offset, last_byte) in [(16, 2), (24, 3), (40, 5), (48, 32), (72, 8), (80, 9)] {
            assert_eq!(bytes[offset + 7], last_byte, "field at {offset}");
        }
        assert_eq!(&bytes[64..72], b"\0\0\0\x06\0\0\0\x07");
        assert_eq!(bytes[88..], [0; 12]);
    }

    #[test]
    fn a_damaged_field_is_named() {
        let damage = |offset: usize, byte: u8| {
            let mut bytes = header().encode(Format::V3Block);
            bytes[offset] = byte;
            Header::decode(&bytes, Version::V3).unwrap_err()
        };
        assert_eq!(damage(0, b'M'), Error::BadMagic);
        assert_eq!(damage(7, 1), Error::BadHeaderFlags);
        assert_eq!(damage(7, 4), Error::BadHeaderFlags);
        assert_eq!(damage(11, 1), Error::BadPageSize);
        assert_eq!(damage(23, 0), Error::BadTxidRange);
        assert_eq!(damage(23, 4), Error::BadTxidRange);
        assert_eq!(damage(40, 0), Error::BadPreApplyChecksum);
        assert_eq!(damage(48, 0x80), Error::BadWalFields);
        assert_eq!(damage(55, 0), Error::BadWalFields);
        assert_eq!(damage(95, 1), Error::ReservedBytesSet);
        assert_eq!(damage(99, 1), Error::ReservedBytesSet);
    }

    #[test]
    fn only_a_snapshot_has_no_pre_apply_checksum() {
        let snapshot = Header { min_txid: Txid(1), ..header() };
        assert_eq!(snapshot.validate(Version::V1), Err(Error::BadPreApplyChecksum));
        let snapshot = Header { pre_apply_checksum: Checksum::NONE, ..snapshot };
        assert_eq!(snapshot.validate(Version::V1), Ok(()));
        let other = Header { pre_apply_checksum: Checksum::NONE, ..header() };
        assert_eq!(other.validate(Version::V1), Err(Error::BadPreApplyChecksum));
        let other = Header { no_checksum: true, ..other };
        assert_eq!(other.validate(Version::V3), Ok(()));
        assert_eq!(other.validate(Version::V1), Err(Error::ChecksumsRequired));
    }
}
