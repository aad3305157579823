//! Base64 with padding (RFC 4648, section 4), as page contents travel in JSON and a proxy's password in a field.

use alloc::string::String;
use alloc::vec::Vec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes a text stands for; `None` when it is not base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let (groups, _) = text.as_chunks::<4>();
    let mut bytes = Vec::with_capacity(groups.len().saturating_mul(3));
    let last = groups.len().saturating_sub(1);
    for (i, group) in groups.iter().enumerate() {
        let padding = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if padding > 0 && i != last {
            return None;
        }
        let mut bits = 0_u32;
        for (at, &symbol) in group.iter().enumerate() {
            let pad = at >= 4_usize.saturating_sub(padding);
            let value = if pad { 0 } else { *VALUES.get(usize::from(symbol))? };
            if value > 63 {
                return None;
            }
            bits = (bits << 6) | u32::from(value);
        }
        let [_, a, b, c] = bits.to_be_bytes();
        let decoded = [a, b, c];
        bytes.extend_from_slice(decoded.get(..3_usize.saturating_sub(padding))?);
    }
    Some(bytes)
}

/// The text that stands for bytes.
pub fn encode(bytes: &[u8]) -> String {
    let digit = |bits: u32| ALPHABET.get((bits & 63) as usize).map_or('A', |&b| char::from(b));
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let last = [digit(bits >> 6), digit(bits)];
        text.extend([digit(bits >> 18), digit(bits >> 12)]);
        text.extend(last.iter().take(three.len().saturating_sub(1)));
        text.extend(core::iter::repeat_n('=', 3_usize.saturating_sub(three.len())));
    }
    text
}

/// The value of each symbol; 255 for bytes that are none.
#[expect(clippy::indexing_slicing, reason = "at compile time: a wrong index does not compile")]
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 64 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfc_examples() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text}");
            assert_eq!(encode(bytes.as_bytes()), text);
        }
        assert_eq!(decode("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
        assert_eq!(encode(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn rubbish_is_refused() {
        for text in ["Z", "Zg=", "Zg", "Z===", "====", "Zg==Zg==", "Zm9!", "Zm9v\n", "-_-_"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
