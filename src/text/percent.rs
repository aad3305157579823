//! Percent codes, as URLs have them (RFC 3986, section 2.1).

use super::hex;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Adds a text to a URL's query, where all but letters, digits and `-._~,/` is written as `%41`.
pub fn encode(text: &str, url: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

/// Bytes with `%41` for `A`; what is no such code stays.
pub fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(hex::parse).and_then(|code| u8::try_from(code).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let text = "a b/c,%41+\u{e9}~";
        let mut url = String::from("?");
        encode(text, &mut url);
        assert_eq!(url, "?a%20b/c,%2541%2B%C3%A9~");
        assert_eq!(decode(url.strip_prefix('?').unwrap()), text.as_bytes());
    }

    #[test]
    fn what_is_no_code_stays() {
        for text in ["%", "%4", "%zz", "%+1", "%4\u{e9}", "100%"] {
            assert_eq!(decode(text), text.as_bytes(), "{text}");
        }
        assert_eq!(decode("%%41%4a"), b"%AJ");
    }
}
