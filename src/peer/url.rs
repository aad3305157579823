//! A server's base URL: one parser for the environment, the parameters of a database's URI, and `--host`.

use crate::error::{Error, ErrorKind, Result};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

/// The server's base URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https` instead of `http`.
    pub https: bool,
    /// Host with the port, if one was given, in small letters: `localhost:20202`, `[::1]:20202`.
    pub authority: String,
    /// Path prefix without a slash at its end; empty for none.
    pub prefix: String,
}

impl BaseUrl {
    /// Parses `http[s]://HOST[:PORT][/PREFIX]`. A query or fragment is dropped, a user name refused.
    /// Errors begin with `place`, where the text was given, and show nothing of it: it may hold a password.
    pub fn parse(text: &str, place: &str) -> Result<BaseUrl> {
        parse(text.trim()).map_err(|why| {
            let message = format!("{place}: {why}; give http[s]://HOST[:PORT][/PREFIX]");
            Error::new(ErrorKind::Config, message)
        })
    }

    /// The host without its port; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        split_authority(&self.authority).map_or("", |(host, _)| host)
    }
}

fn parse(text: &str) -> core::result::Result<BaseUrl, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !scheme.eq_ignore_ascii_case("http") {
        return Err("the URL does not start with http:// or https://");
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err("the URL holds a user name, but a server is told a token");
    }
    split_authority(authority)?;
    let usable = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    if !path.bytes().all(usable) {
        return Err("the URL's path has characters that must be percent-encoded");
    }
    let path = path.trim_matches('/');
    let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
    let mut authority = authority.to_owned();
    authority.make_ascii_lowercase();
    Ok(BaseUrl { https, authority, prefix })
}

/// The host of `HOST[:PORT]` or `[IPV6][:PORT]`, without brackets, and the port; or what is wrong with it.
/// A host is a name, or an address in the one form that everybody reads alike.
pub fn split_authority(authority: &str) -> core::result::Result<(&str, Option<u16>), &'static str> {
    const NO_HOST: &str = "the URL has no usable host name";
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(NO_HOST)?;
        if address.parse::<Ipv6Addr>().is_err() || !rest.is_empty() && !rest.starts_with(':') {
            return Err(NO_HOST);
        }
        (address, rest.strip_prefix(':'))
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if port.is_some_and(|port| port.contains(':')) {
            return Err("an IPv6 address goes in brackets, as http://[::1]:20202");
        }
        let host_ok = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        let is_number = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
        if last.is_empty()
            || !host.bytes().all(host_ok)
            || is_number && host.parse::<Ipv4Addr>().is_err()
        {
            return Err(NO_HOST);
        }
        (host, port)
    };
    let Some(port) = port else { return Ok((host, None)) };
    match port.parse() {
        Ok(number) if port.bytes().all(|b| b.is_ascii_digit()) => Ok((host, Some(number))),
        _ => Err("the port is not a number from 0 to 65535"),
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
        assert_eq!(parse(" HTTP://LocalHost:1/Path ").to_string(), "http://localhost:1/Path");
        assert_eq!(parse("http://127.0.0.1?a@b").host(), "127.0.0.1");
    }

    #[test]
    fn what_is_no_url_is_refused_and_not_shown() {
        for bad in [
            "",
            "  ",
            "localhost",
            "ftp://x",
            "http://",
            "http://.",
            "http://a b",
            "http://u:secret@h",
            "http://u:secret@h:1/",
            "http://secret:x",
            "http://h:",
            "http://h:+80",
            "http://h:65536",
            "http://::1:80",
            "http://[::1",
            "http://[::1]80",
            "http://[::1]:x",
            "http://[::1]:\r\nX-Evil: 1\r\n]",
            "http://[::1]:80]",
            "http://a\r\nX-Evil: 1",
            "http://[a.example]",
            "http://1.2.3",
            "http://1.2.3.400",
            "http://gr\u{fc}n.example",
            "http://a/b c",
            "http://a/\r\nX-Evil: 1",
            "http://a\\b",
        ] {
            let error = BaseUrl::parse(bad, "LITEFS_CLOUD_HOST").unwrap_err();
            let text = error.message();
            assert!(text.starts_with("LITEFS_CLOUD_HOST: "), "{bad}: {text}");
            assert!(!text.contains("secret") && !text.contains("Evil"), "{bad}: {text}");
        }
    }
}
