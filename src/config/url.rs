//! A server's base URL.

use super::refused;
use crate::error::Result;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// The server's base URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https` instead of `http`.
    pub https: bool,
    /// Host with the port, if one was given: `localhost:20202`.
    pub authority: String,
    /// Path prefix without a slash at its end; empty for none.
    pub prefix: String,
}

impl BaseUrl {
    /// Parses `http[s]://HOST[:PORT][/PREFIX]`. A query or fragment is dropped, a user name refused.
    /// Errors begin with `place`, where the text was given.
    pub fn parse(text: &str, place: &str) -> Result<BaseUrl> {
        let bad =
            |why: &str| Err(refused(place, &format!("{why}; give http[s]://HOST[:PORT][/PREFIX]")));
        let (https, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return bad("the URL does not start with http:// or https://");
        };
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return bad("the URL holds a user name, but a server is told a token");
        }
        if authority.starts_with('[') {
            return bad("an IPv6 address can't be used; give a host name");
        }
        let host_ok = |b: u8| b.is_ascii_alphanumeric() || b".-_:".contains(&b);
        if authority.is_empty() || !authority.bytes().all(host_ok) {
            return bad("the URL has no usable host name");
        }
        if path.bytes().any(|b| !b.is_ascii_graphic()) {
            return bad("the URL's path has characters that must be percent-encoded");
        }
        let path = path.trim_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        let base = BaseUrl { https, authority: authority.to_owned(), prefix };
        match base.port_text().map(str::parse::<u16>) {
            Some(Err(_)) => bad("the port is not a number from 0 to 65535"),
            _ => Ok(base),
        }
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        match self.port_text() {
            Some(port) => {
                let len = self.authority.len().saturating_sub(port.len().saturating_add(1));
                self.authority.get(..len).unwrap_or(&self.authority)
            }
            None => &self.authority,
        }
    }

    fn port_text(&self) -> Option<&str> {
        self.authority.rsplit_once(':').map(|(_, port)| port)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn urls_are_taken_apart() {
        let parse = |text| BaseUrl::parse(text, "host").unwrap();
        let url = parse("http://localhost:20202");
        assert_eq!((url.https, url.host(), url.prefix.as_str()), (false, "localhost", ""));
        let url = parse("https://a.example:8443/some/prefix/?q=1#f");
        assert_eq!((url.host(), url.prefix.as_str()), ("a.example", "/some/prefix"));
        assert_eq!(url.to_string(), "https://a.example:8443/some/prefix");
        for bad in [
            "",
            "localhost",
            "ftp://x",
            "http://",
            "http://a b",
            "http://u:p@h",
            "http://h:x",
            "http://[::1]",
        ] {
            let error = BaseUrl::parse(bad, "LITEFS_CLOUD_HOST").unwrap_err();
            assert!(error.message().starts_with("LITEFS_CLOUD_HOST: "), "{bad}: {error}");
        }
    }
}
