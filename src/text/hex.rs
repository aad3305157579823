//! Hexadecimal digits.

use alloc::string::String;
use core::fmt::{self, Write as _};

/// The number that digits stand for; `None` for anything else, and for one that is too large.
pub fn parse(digits: &str) -> Option<u64> {
    // `from_str_radix` takes a sign, too.
    let are_digits = digits.bytes().all(|b| b.is_ascii_hexdigit());
    if are_digits { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// The number that 16 digits stand for.
pub fn parse16(digits: &str) -> Option<u64> {
    if digits.len() == 16 { parse(digits) } else { None }
}

/// Writes a number with 16 digits.
pub fn write16(number: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{number:016x}")
}

/// Two digits for each byte.
pub fn of_bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_nothing_else() {
        assert_eq!(
            (parse("fF"), parse("0"), parse("ffffffffffffffff")),
            (Some(255), Some(0), Some(u64::MAX))
        );
        for bad in ["", "+1", "-1", " 1", "0x1", "g", "10000000000000000"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!((parse16("00000000000000ff"), parse16("ff")), (Some(255), None));
        assert_eq!(of_bytes(&[0, 0x1f, 0xff]), "001fff");
    }
}
