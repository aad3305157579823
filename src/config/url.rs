//! A server's base URL.

use super::refused;
use crate::error::Result;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::Ipv6Addr;

/// The server's base URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https` instead of `http`.
    pub https: bool,
    /// Host with the port, if one was given: `localhost:20202`, `[::1]:20202`.
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
        let host_ok = |b: u8| b.is_ascii_alphanumeric() || b".-_:".contains(&b);
        let is_usable = match authority.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((address, port))) => {
                address.parse::<Ipv6Addr>().is_ok()
                    && (port.is_empty() || port.starts_with(':') && port.bytes().all(host_ok))
            }
            Some(None) => false,
            None => !authority.is_empty() && authority.bytes().all(host_ok),
        };
        if !is_usable {
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

    /// The host without its port; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        let address = self.authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        match (address, self.authority.rsplit_once(':')) {
            (Some((address, _)), _) => address,
            (None, Some((host, _))) => host,
            (None, None) => &self.authority,
        }
    }

    fn port_text(&self) -> Option<&str> {
        let after_address = self.authority.rsplit(']').next()?;
        after_address.rsplit_once(':').map(|(_, port)| port)
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
        assert_eq!(parse("http://[::1]:8080").host(), "::1");
        assert_eq!(parse("http://[fe80::1]").to_string(), "http://[fe80::1]");
        for bad in [
            "",
            "localhost",
            "ftp://x",
            "http://",
            "http://a b",
            "http://u:p@h",
            "http://h:x",
            "http://[::1",
            "http://[::1]80",
            "http://[::1]:x",
            "http://[a.example]",
        ] {
            let error = BaseUrl::parse(bad, "LITEFS_CLOUD_HOST").unwrap_err();
            assert!(error.message().starts_with("LITEFS_CLOUD_HOST: "), "{bad}: {error}");
        }
    }
}
