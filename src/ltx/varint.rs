//! Unsigned LEB128: seven bits a byte, the lowest first, the top bit set on all bytes but the last.

use alloc::vec::Vec;

pub(super) fn put_varint(bytes: &mut Vec<u8>, value: u64) {
    let mut rest = value;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Reads a varint in its shortest form; a longer form would be a second file with the same meaning.
pub(super) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        let placed = bits.checked_shl(shift)?;
        if placed.checked_shr(shift) != Some(bits) {
            return None;
        }
        value |= placed;
        if byte & 0x80 == 0 {
            let shortest = *byte != 0 || shift == 0;
            return shortest.then_some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_one_form() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(take_varint(&mut bytes.as_slice()), Some(value));
        }
        for bad in [&[][..], &[0x80], &[0x80, 0], &[0xff; 10], &[0xff; 11]] {
            let mut rest = bad;
            assert_eq!(take_varint(&mut rest), None, "{bad:?}");
        }
        let mut past_64_bits = [[0xff; 9].as_slice(), &[2]].concat();
        past_64_bits.push(0);
        assert_eq!(take_varint(&mut past_64_bits.as_slice()), None);
    }
}
