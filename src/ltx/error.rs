//! What can be wrong with an LTX file, one variant each, and nothing quoted from the file itself.

use core::convert::Infallible;
use core::fmt;

/// Why bytes are not an LTX file, or why a caller's pages cannot become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The input ends inside a field.
    Truncated,
    /// Bytes follow the end.
    TrailingBytes,
    /// The first four bytes are not `LTX1`.
    BadMagic,
    /// A header flag that this version does not know.
    BadHeaderFlags,
    /// A page size that SQLite does not have.
    BadPageSize,
    /// Transaction ids that start at zero or run backwards.
    BadTxidRange,
    /// A pre-apply checksum in a snapshot, or none in another file.
    BadPreApplyChecksum,
    /// A post-apply checksum without its top bit, or one in a file without database checksums.
    BadPostApplyChecksum,
    /// WAL fields without a WAL offset, or beyond what a file can hold.
    BadWalFields,
    /// A snapshot whose pages do not add up to its post-apply checksum.
    DatabaseChecksum,
    /// Header bytes that must be zero are not.
    ReservedBytesSet,
    /// A v1 file without database checksums; only v3 has them.
    ChecksumsRequired,
    /// A page header with page number 0 that is not all zero.
    BadPageHeader,
    /// A page flag that v3 does not know.
    BadPageFlags,
    /// Page data that is not one page long.
    BadPageLength,
    /// Page numbers out of order.
    PageOrder,
    /// A page number above the header's commit.
    PageBeyondCommit,
    /// The lock page, which is in no LTX file.
    LockPage,
    /// A snapshot that leaves out a page.
    SnapshotGap,
    /// The compressed page is longer than a page can become.
    CompressedTooLong,
    /// LZ4 data that holds more than there may be.
    DecompressedTooLong,
    /// The LZ4 data of a page or a block is damaged.
    BadLz4Block,
    /// A packed inner page is damaged.
    BadInnerPage,
    /// The bytes are not the start of an LZ4 frame.
    BadFrameMagic,
    /// A frame descriptor with an unknown version, reserved bits or an invalid block size.
    BadFrameDescriptor,
    /// A frame that needs a dictionary.
    FrameDictionary,
    /// The checksum of a frame's descriptor is wrong.
    FrameHeaderChecksum,
    /// The checksum of a block in a frame is wrong.
    FrameBlockChecksum,
    /// The checksum of a frame's content is wrong.
    FrameContentChecksum,
    /// A block in a frame is longer than the frame's limit.
    FrameBlockTooLong,
    /// A frame ends too early, holds too much, or not what its content size says.
    FrameContentSize,
    /// The page index does not parse or does not fit the file.
    BadIndex,
    /// The page index differs from the pages of the file.
    IndexMismatch,
    /// The page index begins before the bytes at hand; read more of the file's end.
    IndexOutOfReach,
    /// The file checksum is wrong.
    FileChecksum,
    /// A step before this one failed.
    AlreadyFailed,
}

impl Error {
    const fn text(self) -> &'static str {
        match self {
            Error::Truncated => "the LTX file is cut short",
            Error::TrailingBytes => "bytes follow the end of the LTX data",
            Error::BadMagic => "not an LTX file: it does not begin with LTX1",
            Error::BadHeaderFlags => "the LTX header has flags this version does not know",
            Error::BadPageSize => "the page size is not a power of two from 512 to 65536",
            Error::BadTxidRange => "the transaction ids are zero or out of order",
            Error::BadPreApplyChecksum => {
                "the pre-apply checksum must be zero in a snapshot and set in any other LTX file"
            }
            Error::BadPostApplyChecksum => {
                "the post-apply checksum must be set, or zero in a file without database checksums"
            }
            Error::BadWalFields => "the WAL fields of the LTX header contradict each other",
            Error::DatabaseChecksum => {
                "the pages of the snapshot do not add up to its post-apply checksum"
            }
            Error::ReservedBytesSet => "reserved bytes of the LTX header are not zero",
            Error::ChecksumsRequired => "LTX v1 cannot leave out the database checksums",
            Error::BadPageHeader => "a page header has page number 0 but does not end the pages",
            Error::BadPageFlags => "a page header has flags that LTX v3 does not know",
            Error::BadPageLength => "the data of a page is not one page long",
            Error::PageOrder => "the pages are not in ascending order",
            Error::PageBeyondCommit => "a page lies beyond the end of the database",
            Error::LockPage => "the lock page must not be in an LTX file",
            Error::SnapshotGap => "the snapshot leaves out a page",
            Error::CompressedTooLong => "a compressed page is longer than a page can become",
            Error::DecompressedTooLong => "the LZ4 data holds more than there may be",
            Error::BadLz4Block => "the LZ4 data is damaged",
            Error::BadInnerPage => "the packed form of an inner page is damaged",
            Error::BadFrameMagic => "the compressed data does not begin as an LZ4 frame",
            Error::BadFrameDescriptor => "the LZ4 frame descriptor is invalid",
            Error::FrameDictionary => "the LZ4 frame needs a dictionary, which LTX has not",
            Error::FrameHeaderChecksum => "the checksum of the LZ4 frame descriptor is wrong",
            Error::FrameBlockChecksum => "the checksum of an LZ4 block is wrong",
            Error::FrameContentChecksum => "the checksum of the LZ4 frame's content is wrong",
            Error::FrameBlockTooLong => "an LZ4 block is longer than its frame allows",
            Error::FrameContentSize => "the LZ4 frame holds more or less than it should",
            Error::BadIndex => "the page index does not parse or does not fit the file",
            Error::IndexMismatch => "the page index differs from the pages of the file",
            Error::IndexOutOfReach => "the page index begins earlier: read more of the file's end",
            Error::FileChecksum => "the file checksum is wrong: the LTX file is damaged",
            Error::AlreadyFailed => "reading this LTX file failed before: open it anew",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}

/// Why a step of an encoder or decoder failed: the LTX side, or the stream below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamError<E> {
    /// The file or the pages are wrong.
    Ltx(Error),
    /// Reading or writing failed.
    Io(E),
}

impl<E> From<Error> for StreamError<E> {
    fn from(error: Error) -> StreamError<E> {
        StreamError::Ltx(error)
    }
}

/// A stream in memory does not fail, so only the LTX side is left.
impl From<StreamError<Infallible>> for Error {
    fn from(error: StreamError<Infallible>) -> Error {
        match error {
            StreamError::Ltx(error) => error,
            StreamError::Io(never) => match never {},
        }
    }
}

impl<E: fmt::Display> fmt::Display for StreamError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Ltx(error) => error.fmt(f),
            StreamError::Io(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for StreamError<E> {}
