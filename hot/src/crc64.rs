//! CRC-64/ISO, the only hash in an LTX file, as Go's `crc64.ISO` computes it.
//!
//! The polynomial is x^64 + x^4 + x^3 + x + 1, bits reflected: bit 63 of a word is x^0. It has so few
//! terms that whole words need no table. Taking in a word means multiplying the state by x^64, and
//! x^64 = x^4 + x^3 + x + 1, which are four shifted copies; what they push past x^63 is four bits
//! long and is reduced the same way ([`reduce`]).
//!
//! Long inputs take fewer steps a word. Squaring keeps the number of terms, so x^4096 = x^256 + x^192 +
//! x^64 + 1, all of them whole words: a word can be given up by adding it to the words that follow 60, 61,
//! 63 and 64 later ([`fold`]). That is done until 64 words are left.

/// Words that stand for all before them while a long input is folded.
const WINDOW: usize = 64;
/// Words that a fold reaches past the window.
const OVERLAP: usize = 4;
/// Bytes of a window.
const BLOCK_LEN: usize = WINDOW * 8;

/// A running CRC-64/ISO.
#[derive(Debug, Clone)]
pub struct Crc64(u64);

impl Crc64 {
    /// The CRC of no bytes.
    pub const fn new() -> Crc64 {
        Crc64(u64::MAX)
    }

    /// Takes in more bytes.
    #[inline(never)]
    pub fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_LEN>();
        if let Some((last, blocks)) = blocks.split_last() {
            self.update_blocks(blocks, last);
        }
        let (pairs, rest) = rest.as_chunks::<16>();
        for pair in pairs {
            let pair = u128::from_le_bytes(*pair);
            self.update_pair(pair as u64, (pair >> 64) as u64);
        }
        for byte in rest {
            self.0 = times_x8(self.0 ^ u64::from(*byte));
        }
    }

    fn update_blocks(&mut self, blocks: &[[u8; BLOCK_LEN]], last: &[u8; BLOCK_LEN]) {
        let mut window = [0; WINDOW + OVERLAP];
        if let Some(first) = window.first_mut() {
            *first = self.0;
        }
        for block in blocks {
            let (head, tail) = block.as_chunks().0.split_at(OVERLAP);
            fold(&mut window, head);
            // The first words of the new window add to its last ones.
            window.copy_within(..OVERLAP, WINDOW);
            fold(window.split_at_mut(OVERLAP).1, tail);
        }
        // What is left at the end is not given up.
        window.split_at_mut(WINDOW).1.fill(0);
        fold(&mut window, last.as_chunks().0);
        self.0 = 0;
        for &[first, second] in window.split_at(WINDOW).0.as_chunks().0 {
            self.update_pair(first, second);
        }
    }

    fn update_pair(&mut self, first: u64, second: u64) {
        self.0 = times_x128(self.0 ^ first) ^ times_x64(second);
    }

    /// The CRC of all bytes so far.
    pub const fn finish(&self) -> u64 {
        !self.0
    }
}

impl Default for Crc64 {
    fn default() -> Crc64 {
        Crc64::new()
    }
}

/// Takes in words, each of which takes the place of one that is given up. Four at a time, so that each is
/// loaded once.
fn fold(window: &mut [u64], words: &[[u8; 8]]) {
    let mut quads = window.as_chunks_mut::<OVERLAP>().0.iter_mut();
    let Some(mut here) = quads.next() else {
        return;
    };
    for (next, words) in quads.zip(words.as_chunks::<OVERLAP>().0) {
        let ([a, b, c, d], [e, f, g, h]) = (*here, *next);
        let [p, q, r, s] = words.map(u64::from_le_bytes);
        *here = [a ^ b ^ d ^ e ^ p, b ^ c ^ e ^ f ^ q, c ^ d ^ f ^ g ^ r, d ^ e ^ g ^ h ^ s];
        here = next;
    }
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
        let bytes: [u8; 5000] = core::array::from_fn(|n| (n * n * 151 + 43) as u8);
        for len in (0..100).chain([511, 512, 513, 1024, 1535, 1536, 4096, 4999]) {
            let bytes = &bytes[..len];
            for at in [0, 1, 7, 8, 16, 31, 512, 1030] {
                let (head, tail) = bytes.split_at(at.min(len));
                let mut crc = Crc64::new();
                crc.update(head);
                crc.update(tail);
                assert_eq!(crc.finish(), slow(bytes), "{len} bytes split at {at}");
            }
        }
    }
}
