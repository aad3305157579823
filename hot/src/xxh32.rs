//! xxHash32 with seed 0, which guards the parts of an LZ4 frame.

const PRIME_1: u32 = 0x9e37_79b1;
const PRIME_2: u32 = 0x85eb_ca77;
const PRIME_3: u32 = 0xc2b2_ae3d;
const PRIME_4: u32 = 0x27d4_eb2f;
const PRIME_5: u32 = 0x1656_67b1;
const STRIPE_LEN: usize = 16;

/// A running xxHash32.
#[derive(Debug, Clone)]
pub struct Xxh32 {
    lanes: [u32; 4],
    /// Bytes that do not fill a stripe yet: the first `pending_len` of these.
    pending: [u8; STRIPE_LEN],
    pending_len: usize,
    total: u64,
}

impl Default for Xxh32 {
    fn default() -> Xxh32 {
        Xxh32::new()
    }
}

impl Xxh32 {
    /// The hash of no bytes.
    pub const fn new() -> Xxh32 {
        let lanes = [PRIME_1.wrapping_add(PRIME_2), PRIME_2, 0, 0_u32.wrapping_sub(PRIME_1)];
        Xxh32 { lanes, pending: [0; STRIPE_LEN], pending_len: 0, total: 0 }
    }

    /// The hash of these bytes alone.
    pub fn of(bytes: &[u8]) -> u32 {
        let mut hash = Xxh32::new();
        hash.update(bytes);
        hash.finish()
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.total = self.total.wrapping_add(bytes.len() as u64);
        let mut rest = bytes;
        if self.pending_len > 0 {
            rest = self.keep(rest);
            if self.pending_len < STRIPE_LEN {
                return;
            }
            let stripe = self.pending;
            self.pending_len = 0;
            self.stripe(&stripe);
        }
        let (stripes, rest) = rest.as_chunks::<STRIPE_LEN>();
        for stripe in stripes {
            self.stripe(stripe);
        }
        self.keep(rest);
    }

    /// The hash of all bytes so far.
    pub fn finish(&self) -> u32 {
        let mut hash = if self.total < STRIPE_LEN as u64 {
            PRIME_5
        } else {
            let [a, b, c, d] = self.lanes;
            a.rotate_left(1)
                .wrapping_add(b.rotate_left(7))
                .wrapping_add(c.rotate_left(12))
                .wrapping_add(d.rotate_left(18))
        };
        // By definition the length counts modulo 2^32.
        hash = hash.wrapping_add(self.total as u32);
        let pending = self.pending.get(..self.pending_len).unwrap_or_default();
        let (words, bytes) = pending.as_chunks::<4>();
        for word in words {
            let word = u32::from_le_bytes(*word).wrapping_mul(PRIME_3);
            hash = hash.wrapping_add(word).rotate_left(17).wrapping_mul(PRIME_4);
        }
        for byte in bytes {
            let byte = u32::from(*byte).wrapping_mul(PRIME_5);
            hash = hash.wrapping_add(byte).rotate_left(11).wrapping_mul(PRIME_1);
        }
        hash = (hash ^ (hash >> 15)).wrapping_mul(PRIME_2);
        hash = (hash ^ (hash >> 13)).wrapping_mul(PRIME_3);
        hash ^ (hash >> 16)
    }

    /// Moves bytes to `pending` while there is room, and returns the others.
    fn keep<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = self.pending.get_mut(self.pending_len..).unwrap_or_default();
        let count = room.len().min(bytes.len());
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.pending_len = self.pending_len.saturating_add(count);
        bytes.get(count..).unwrap_or_default()
    }

    fn stripe(&mut self, stripe: &[u8; STRIPE_LEN]) {
        let (words, _) = stripe.as_chunks::<4>();
        for (lane, word) in self.lanes.iter_mut().zip(words) {
            let word = u32::from_le_bytes(*word).wrapping_mul(PRIME_2);
            *lane = lane.wrapping_add(word).rotate_left(13).wrapping_mul(PRIME_1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_values() {
        assert_eq!(Xxh32::of(b""), 0x02cc_5d05);
        assert_eq!(Xxh32::of(b"a"), 0x550d_7456);
        assert_eq!(Xxh32::of(b"abc"), 0x32d1_53ff);
        assert_eq!(Xxh32::of(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
    }

    #[test]
    fn a_split_does_not_change_the_hash() {
        let bytes: [u8; 80] = core::array::from_fn(|n| (n * 31 + 7) as u8);
        for len in 0..bytes.len() {
            let whole = Xxh32::of(&bytes[..len]);
            for at in 0..len {
                let mut hash = Xxh32::new();
                hash.update(&bytes[..at]);
                hash.update(&bytes[at..at]);
                hash.update(&bytes[at..len]);
                assert_eq!(hash.finish(), whole, "{len} bytes split at {at}");
            }
        }
    }
}
