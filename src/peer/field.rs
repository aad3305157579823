//! What may go into a request's line and header. Everything that does is asked for here: texts of users
//! where they are given, so that the error can name the place, and whole requests before they are sent.

/// Bytes of the longest id that a server may give us to repeat.
const MAX_ID_LEN: usize = 128;

/// Whether a text can be the value of a header field.
pub fn is_value(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'))
}

/// Whether a text can be the target of a request, with the path or the authority that it begins with.
pub fn is_target(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether an id that a server gave us, of a lease or of the server itself, can be sent back to it: in a
/// header field, and in JSON without escapes.
pub fn is_id(text: &str) -> bool {
    let usable = |b: u8| b.is_ascii_graphic() && !b"\"\\".contains(&b);
    (1..=MAX_ID_LEN).contains(&text.len()) && text.bytes().all(usable)
}

/// The token in a text, or why it can't be sent. The answer never shows it.
pub fn token(text: &str) -> Result<&str, &'static str> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Err("a token is printable ASCII without line breaks: copy it again");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_line() {
        for bad in ["a\r\nb", "a\nb", "a\0", "\x7f", "\u{e9}", "\x1b[0m"] {
            assert!(!is_value(bad) && !is_target(bad) && !is_id(bad), "{bad:?}");
            assert!(token(bad).is_err_and(|why| !why.contains(bad)), "{bad:?}");
        }
        assert!(is_value("FlyV1 a,b=\"c\"") && is_target("/db/tx?db=a%20b"));
        assert!(!is_target("/a b") && !is_id("") && !is_id("a\"b") && !is_id("a\\"));
        assert!(is_id(&"x".repeat(MAX_ID_LEN)) && !is_id(&"x".repeat(MAX_ID_LEN + 1)));
        assert_eq!(token(" FlyV1 x\n"), Ok("FlyV1 x"));
        assert!(token(" ").is_err());
    }
}
