//! Which databases a token reaches: a name with `*` for any characters and `?` for any one.

use std::fmt;
use std::str::FromStr;

use litevfs::types::DbName;

/// A pattern for database names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Whether the name fits, as a whole.
    pub fn matches(&self, db: &DbName) -> bool {
        matches(self.0.as_bytes(), db.as_str().as_bytes())
    }
}

impl FromStr for Glob {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Glob, &'static str> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-*?".contains(&b);
        if text.is_empty() || text.len() > DbName::MAX_LEN || !text.bytes().all(allowed) {
            return Err("a database pattern is a database name in which * stands for any \
                        characters and ? for any one, up to 255 characters");
        }
        Ok(Glob(text.to_owned()))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Goes back to the last star only, which is enough: what an earlier one took may stay with it. So
/// the time is the product of the two lengths at most.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    // What follows the last star, and where it was last tried.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                star = Some((rest, name));
                pattern = rest;
            }
            (Some((want, pattern_rest)), Some((got, name_rest)))
                if *want == b'?' || want == got =>
            {
                (pattern, name) = (pattern_rest, name_rest);
            }
            (None, None) => return true,
            _ => {
                let Some((rest, [_, tried @ ..])) = star else {
                    return false;
                };
                star = Some((rest, tried));
                (pattern, name) = (rest, tried);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(glob: &str, name: &str) -> bool {
        glob.parse::<Glob>().unwrap().matches(&name.parse().unwrap())
    }

    #[test]
    fn stars_and_question_marks() {
        for (glob, name) in [
            ("*", "a"),
            ("a", "a"),
            ("a*", "a"),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a?c", "abc"),
            ("*b*", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("**", "x"),
            ("?", "x"),
            ("app-*.db", "app-1.db"),
        ] {
            assert!(fits(glob, name), "{glob} {name}");
        }
        for (glob, name) in [
            ("a", "b"),
            ("a", "aa"),
            ("a", "A"),
            ("?", "ab"),
            ("a?", "a"),
            ("a*b", "abc"),
            ("app-*.db", "app-1xdb"),
            ("*a*a*", "ba"),
        ] {
            assert!(!fits(glob, name), "{glob} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let glob = "*a".repeat(100);
        assert!(!fits(&glob, &format!("{}b", "a".repeat(200))));
        assert!(fits(&glob, &"a".repeat(200)));
    }

    #[test]
    fn patterns_are_names_with_stars() {
        for bad in ["", "a/b", "[a]", "a b", "\u{e4}", &"x".repeat(257)] {
            assert!(bad.parse::<Glob>().is_err(), "{bad}");
        }
        assert_eq!("a*?".parse::<Glob>().unwrap().to_string(), "a*?");
    }
}
