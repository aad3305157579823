//! CRC-64/ISO, the only hash in an LTX file, as Go's `crc64.ISO` computes it.
//!
//! The polynomial is x^64 + x^4 + x^3 + x + 1, bits reflected: bit 63 of a word is x^0. It has so few
//! terms that whole words need no table. Taking in a word means multiplying the state by x^64, and
//! x^64 = x^4 + x^3 + x + 1, which are four shifted copies; what they push past x^63 is four bits
//! long and is reduced the same way ([`reduce`]).

use crate::types::{Checksum, Pgno};

/// A running CRC-64/ISO.
#[derive(Debug, Clone)]
pub struct Crc64(u64);

impl Crc64 {
    /// The CRC of no bytes.
    pub const fn new() -> Crc64 {
        Crc64(u64::MAX)
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<16>();
        let mut crc = self.0;
        for pair in pairs {
            let pair = u128::from_le_bytes(*pair);
            crc = times_x128(crc ^ pair as u64) ^ times_x64((pair >> 64) as u64);
        }
        for byte in rest {
            crc = times_x8(crc ^ u64::from(*byte));
        }
        self.0 = crc;
    }

    /// The CRC of all bytes so far.
    pub const fn finish(&self) -> u64 {
        !self.0
    }

    /// The CRC of all bytes so far, as LTX writes it down.
    pub const fn checksum(&self) -> Checksum {
        Checksum(self.finish() | Checksum::FLAG)
    }
}

impl Default for Crc64 {
    fn default() -> Crc64 {
        Crc64::new()
    }
}

/// The checksum of one page, which covers its number and its data.
pub fn page_checksum(pgno: Pgno, data: &[u8]) -> Checksum {
    let mut crc = Crc64::new();
    crc.update(&pgno.get().to_be_bytes());
    crc.update(data);
    crc.checksum()
}

/// `word` times 1 + x + x^3 + x^4, without the bits that pass x^63.
const fn reduce(word: u64) -> u64 {
    word ^ (word >> 1) ^ (word >> 3) ^ (word >> 4)
}

/// `word` times x^64.
const fn times_x64(word: u64) -> u64 {
    // The bits that `reduce` drops, as the coefficients of x^64 to x^67.
    let passed = (word << 63) ^ (word << 61) ^ (word << 60);
    reduce(word ^ passed)
}

/// `word` times x^128, in one step because two steps would wait for each other:
/// x^128 = (1 + x + x^3 + x^4)^2 = 1 + x^2 + x^6 + x^8.
const fn times_x128(word: u64) -> u64 {
    let passed = (word << 62) ^ (word << 58) ^ (word << 56);
    word ^ (word >> 2) ^ (word >> 6) ^ (word >> 8) ^ reduce(passed)
}

/// `word` times x^8.
const fn times_x8(word: u64) -> u64 {
    (word >> 8) ^ reduce(word << 56)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, bit by bit.
    fn slow(bytes: &[u8]) -> u64 {
        let mut crc = u64::MAX;
        for byte in bytes {
            crc ^= u64::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xd800_0000_0000_0000 } else { crc >> 1 };
            }
        }
        !crc
    }

    #[test]
    fn gives_the_check_value() {
        let mut crc = Crc64::new();
        crc.update(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(crc.finish(), 6_672_316_476_627_126_589);
    }

    #[test]
    fn equals_the_definition_at_every_length_and_split() {
        let bytes: [u8; 100] = core::array::from_fn(|n| (n * 151 + 43) as u8);
        for len in 0..bytes.len() {
            let bytes = &bytes[..len];
            for at in [0, 1, 7, 8, 16, 31] {
                let (head, tail) = bytes.split_at(at.min(len));
                let mut crc = Crc64::new();
                crc.update(head);
                crc.update(tail);
                assert_eq!(crc.finish(), slow(bytes), "{len} bytes split at {at}");
            }
        }
    }

    #[test]
    fn a_page_checksum_covers_the_number_and_has_the_top_bit() {
        let one = page_checksum(Pgno::ONE, &[0; 512]);
        let two = page_checksum(Pgno::new(2).unwrap(), &[0; 512]);
        assert_ne!(one, two);
        assert!(one.is_set() && two.is_set());
    }
}
