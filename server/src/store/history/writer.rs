//! Writes a file in the form in which it is stored.

use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use litevfs::ltx::{Encoder, Format, Header, IoWrite, StreamError};
use litevfs::types::{Checksum, Pgno};

use crate::spool::{Spool, SpoolWriter};
use crate::store::bucket::file_index::FileIndex;

/// Writes a file in the form in which it is stored.
pub(in crate::store) struct Writer {
    header: Header,
    encoder: Encoder<IoWrite<BufWriter<SpoolWriter>>>,
}

impl Writer {
    /// Begins with a header that [`crate::store::bucket::marks::stored_header`] made.
    pub(in crate::store) fn new(
        header: Header,
        scratch: &Path,
    ) -> Result<Writer, StreamError<io::Error>> {
        let out = IoWrite(BufWriter::new(SpoolWriter::new(scratch)));
        Ok(Writer { header, encoder: Encoder::new(out, Format::V3Frame, header)? })
    }

    /// Writes the next page.
    pub(in crate::store) fn page(
        &mut self,
        pgno: Pgno,
        data: &[u8],
    ) -> Result<(), StreamError<io::Error>> {
        self.encoder.encode_page(pgno, data)
    }

    /// Ends the file. Fails when its pages were not those that its header is sealed for.
    pub(in crate::store) fn finish(
        self,
    ) -> Result<(Arc<FileIndex>, Arc<Spool>), StreamError<io::Error>> {
        let finished = self.encoder.finish(Checksum::NONE)?;
        let index = FileIndex::new(&self.header, Checksum::NONE, &finished.index)
            .map_err(|what| StreamError::Io(io::Error::other(what)))?;
        let writer = finished.out.0.into_inner();
        let writer = writer.map_err(|error| StreamError::Io(error.into_error()))?;
        Ok((Arc::new(index), Arc::new(writer.finish().map_err(StreamError::Io)?)))
    }
}
