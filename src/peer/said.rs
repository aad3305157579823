//! What the other side said, as it may be shown; and what an answer means that is not the server's.
//!
//! Whatever answers may be anybody: a proxy, a login page, somebody else's server. So nothing of it
//! reaches a terminal, a log or an error message but through [`clean`].

use alloc::string::String;

/// Characters of the longest text of the other side in a message.
pub const MAX_CHARS: usize = 300;

/// A text without escape sequences, control characters and those that change how a line is read, cut to
/// so many characters. It is one line.
pub fn clean(text: &str, max_chars: usize) -> String {
    let mut shown = String::new();
    let mut chars = text.trim_end().chars();
    let mut room = max_chars;
    while let Some(c) = chars.next() {
        let c = match c {
            '\t' | '\n' | '\r' => ' ',
            '\u{1b}' => {
                match chars.next() {
                    Some('[') => skip_to(&mut chars, |c| ('@'..='~').contains(&c)),
                    // Those that hold a text, a window's title for one.
                    Some(']' | 'P' | 'X' | '^' | '_') => skip_to(&mut chars, is_end_of_text),
                    _ => {}
                }
                continue;
            }
            '\u{9b}' => {
                skip_to(&mut chars, |c| ('@'..='~').contains(&c));
                continue;
            }
            c if is_hidden(c) => continue,
            c => c,
        };
        if room == 0 {
            shown.push_str("...");
            break;
        }
        room = room.saturating_sub(1);
        shown.push(c);
    }
    shown
}

fn skip_to(chars: &mut core::str::Chars<'_>, is_end: fn(char) -> bool) {
    let _ = chars.find(|&c| is_end(c));
}

fn is_end_of_text(c: char) -> bool {
    matches!(c, '\x07' | '\\' | '\u{9c}')
}

/// Whether a character shows nothing, or turns the order of others around.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What may be shown of a body that is not the server's JSON: a line of text, never a page of HTML.
pub fn line_of(body: &[u8]) -> String {
    // As far as it is text: it may be cut within a character.
    let end = core::str::from_utf8(body).map_or_else(|bad| bad.valid_up_to(), str::len);
    let text = core::str::from_utf8(body.get(..end).unwrap_or_default()).unwrap_or_default();
    if text.contains('<') { String::new() } else { clean(text, 100) }
}

/// Who gave an answer without an error code, to be read behind its status.
pub const NOT_THE_SERVER: &str =
    " without an error code, so of something in front of litevfs-cloud, or in its place: ";

/// What to say, and to do, about an answer of that status without an error code. The server gives one
/// with every error, so something in front of it answered, or in its place.
pub fn of_a_front(status: u16) -> &'static str {
    match status {
        300..=399 => {
            "it sends clients elsewhere, where the token does not follow; give the URL at which \
             the server answers, often the same with https://"
        }
        401 | 403 => {
            "it has rules of its own about who may ask; the server itself did not refuse the token"
        }
        404 | 405 | 410 => "is a litevfs-cloud behind this URL, at this path?",
        408 | 504 => {
            "it did not wait for the server; raise its time limit (nginx: proxy_read_timeout)"
        }
        413 => {
            "it takes no upload of this size; raise its limit (nginx: client_max_body_size), \
             or make the transaction smaller"
        }
        414 | 431 => {
            "it takes no header of this length; raise its limit (nginx: large_client_header_buffers)"
        }
        429 => "it takes no more requests just now; slow down, or raise its limit",
        502 | 503 => {
            "it does not reach the server; is litevfs-cloud running where it looks for it?"
        }
        _ => "its log says more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_a_terminal() {
        for (said, shown) in [
            ("plain text", "plain text"),
            (" two\r\nlines\t", " two  lines"),
            ("a\x1b[31;1mred\x1b[0m", "ared"),
            ("a\u{9b}2Jb", "ab"),
            ("\x1b]0;a title\x07b", "b"),
            ("\x1b]8;;http://x\x1b\\b", "b"),
            ("\x1b[", ""),
            ("\x1b", ""),
            ("a\0\x08\x7f\u{85}b", "ab"),
            ("a\u{202e}cba\u{200b}\u{feff}", "acba"),
            ("gr\u{fc}n", "gr\u{fc}n"),
        ] {
            assert_eq!(clean(said, 100), shown, "{said:?}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(clean("abc", 3), "abc");
        assert_eq!(clean("abcd", 3), "abc...");
        assert_eq!(clean("abc\x1b[0m", 3), "abc");
    }

    #[test]
    fn no_html_is_shown() {
        assert_eq!(line_of(b"<html>\r\nBad Gateway"), "");
        assert_eq!(line_of(b"no healthy upstream\n"), "no healthy upstream");
        assert_eq!(line_of(&[0xff, 0xfe]), "");
    }

    #[test]
    fn every_status_has_its_advice() {
        assert!(of_a_front(413).contains("client_max_body_size"));
        assert!(of_a_front(403).contains("did not refuse"));
        for status in 300..600 {
            assert!(!of_a_front(status).is_empty());
        }
    }
}
