//! Compares the index of a file with its pages while both pass by.

use alloc::vec::Vec;

use super::super::checksum::Crc64;
use super::super::error::{Error, StreamError};
use super::super::io::{Input, Read};
use super::{IndexEntry, SIZE_LEN, put_entry};

/// Checks an index against the pages that were read, without keeping either in memory.
#[derive(Debug, Default)]
pub(in crate::ltx) struct IndexCheck {
    /// Of the entries as they must be stored.
    crc: Crc64,
    len: u64,
    scratch: Vec<u8>,
}

impl IndexCheck {
    /// Takes in the entry that the next page must have.
    pub(in crate::ltx) fn expect(&mut self, entry: &IndexEntry) {
        self.scratch.clear();
        put_entry(&mut self.scratch, entry);
        self.crc.update(&self.scratch);
        self.len = self.len.saturating_add(self.scratch.len() as u64);
    }

    /// Reads an index, compares, and adds its bytes to the checksum of the file.
    pub(in crate::ltx) fn read<R: Read>(
        self,
        input: &mut Input<R>,
        file_crc: &mut Crc64,
    ) -> Result<(), StreamError<R::Error>> {
        let mut crc = Crc64::new();
        let mut buf = [0; 1024];
        let mut left = self.len;
        while left > 0 {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
            let chunk = buf.get_mut(..len).unwrap_or_default();
            input.read_exact(chunk)?;
            crc.update(chunk);
            file_crc.update(chunk);
            left = left.saturating_sub(len as u64);
        }
        let zero: [u8; 1] = input.read_array()?;
        let size: [u8; SIZE_LEN] = input.read_array()?;
        file_crc.update(&zero);
        file_crc.update(&size);
        let right_size = Some(u64::from_be_bytes(size)) == self.len.checked_add(1);
        if zero != [0] || !right_size || crc.finish() != self.crc.finish() {
            return Err(Error::IndexMismatch.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::index;
    use super::*;

    #[test]
    fn a_check_accepts_only_the_expected_index() {
        let check = || {
            let mut check = IndexCheck::default();
            index().entries().iter().for_each(|entry| check.expect(entry));
            check
        };
        let read = |bytes: &[u8]| {
            let mut crc = Crc64::new();
            check()
                .read(&mut Input::new(bytes), &mut crc)
                .map(|()| crc.finish())
                .map_err(Error::from)
        };
        let bytes = index().encode();
        let mut crc = Crc64::new();
        crc.update(&bytes);
        assert_eq!(read(&bytes), Ok(crc.finish()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(read(&damaged), Err(Error::IndexMismatch), "byte {at}");
            assert_eq!(read(&bytes[..at]), Err(Error::Truncated), "{at} bytes");
        }
    }
}
