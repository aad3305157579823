//! The checksums of an LTX file, which are CRC-64/ISO with the top bit set.

use crate::types::{Checksum, Pgno};
pub use litevfs_hot::Crc64;

/// The CRC of all bytes so far, as LTX writes it down.
pub const fn checksum_of(crc: &Crc64) -> Checksum {
    Checksum(crc.finish() | Checksum::FLAG)
}

/// The checksum of one page, which covers its number and its data.
pub fn page_checksum(pgno: Pgno, data: &[u8]) -> Checksum {
    let mut crc = Crc64::new();
    crc.update(&pgno.get().to_be_bytes());
    crc.update(data);
    checksum_of(&crc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_checksum_covers_the_number_and_has_the_top_bit() {
        let one = page_checksum(Pgno::ONE, &[0; 512]);
        let two = page_checksum(Pgno::new(2).unwrap(), &[0; 512]);
        assert_ne!(one, two);
        assert!(one.is_set() && two.is_set());
    }
}
