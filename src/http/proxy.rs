//! Which proxy a request goes through: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
//!
//! As curl reads them: small letters win over capitals, and for `http://` only `http_proxy` in small
//! letters counts, because a CGI host lets strangers set `HTTP_PROXY`.

use crate::config::BaseUrl;
use crate::error::{Error, ErrorKind, Result};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What a proxy's port is where nobody says.
const DEFAULT_PORT: u16 = 8080;

/// A proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `HOST[:PORT]`, for messages too: without the password.
    pub address: String,
    /// The port, if the address has none.
    pub port: u16,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

/// The proxy for a server, as `[http://][USER[:PASSWORD]@]HOST[:PORT]`; `None` to connect directly.
/// Fails when a proxy is named that can't be used.
pub fn proxy_for(base: &BaseUrl, var: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>> {
    let var = |name: &str| var(name).filter(|value| !value.is_empty());
    let names: &[&str] = if base.https {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "all_proxy", "ALL_PROXY"]
    };
    let Some((name, proxy)) = names.iter().find_map(|name| Some((name, var(name)?))) else {
        return Ok(None);
    };
    let exempt = var("no_proxy").or_else(|| var("NO_PROXY")).unwrap_or_default();
    if is_exempt(base.host(), &exempt) {
        return Ok(None);
    }
    parse(&proxy).map(Some).ok_or_else(|| {
        let message = format!("{name}: only HTTP proxies, as http://[USER:PASSWORD@]HOST:PORT");
        Error::new(ErrorKind::Config, message)
    })
}

fn parse(text: &str) -> Option<Proxy> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let authority = rest.split('/').next()?;
    let (user, address) = match rest.rsplit_once('@') {
        Some((user, address)) => (Some(user), address.split('/').next()?),
        None => (None, authority),
    };
    let usable = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    if !scheme.eq_ignore_ascii_case("http") || address.is_empty() || !address.bytes().all(usable) {
        return None;
    }
    let authorization = user.map(|user| {
        let colon = if user.contains(':') { "" } else { ":" };
        format!("Basic {}", base64(&percent_decode(&format!("{user}{colon}"))))
    });
    Some(Proxy { address: address.to_owned(), port: DEFAULT_PORT, authorization })
}

/// Bytes with `%41` for `A`; what is no such code stays.
fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()) {
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

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| DIGITS.get((bits & 63) as usize).map_or('A', |&b| char::from(b));
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

/// Whether `no_proxy` lists the host: `*`, the host itself, or a domain that it is in.
fn is_exempt(host: &str, no_proxy: &str) -> bool {
    no_proxy.split([',', ' ']).filter(|entry| !entry.is_empty()).any(|entry| {
        let domain = entry.trim_start_matches('.');
        entry == "*" || host.eq_ignore_ascii_case(domain) || is_subdomain(host, domain)
    })
}

fn is_subdomain(host: &str, domain: &str) -> bool {
    let cut = host.len().checked_sub(domain.len());
    let (Some(cut), false) = (cut, domain.is_empty()) else {
        return false;
    };
    match (host.get(..cut), host.get(cut..)) {
        (Some(head), Some(tail)) => head.ends_with('.') && tail.eq_ignore_ascii_case(domain),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn chosen(url: &str, vars: &[(&str, &str)]) -> bool {
        let var =
            |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string());
        proxy_for(&BaseUrl::parse(url, "host").unwrap(), var).unwrap().is_some()
    }

    #[test]
    fn the_scheme_chooses_the_variable() {
        assert!(chosen("https://a.example", &[("HTTPS_PROXY", "http://p:8080")]));
        assert!(!chosen("http://a.example", &[("HTTPS_PROXY", "http://p:8080")]));
        assert!(chosen("http://a.example", &[("http_proxy", "p:8080")]));
        assert!(!chosen("http://a.example", &[("HTTP_PROXY", "p:8080")]));
        assert!(chosen("http://a.example", &[("ALL_PROXY", "p:8080")]));
    }

    #[test]
    fn no_proxy_lists_hosts_and_domains() {
        let with = |no_proxy| [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", no_proxy)];
        for exempt in ["*", "a.example.com", "x, example.com", ".example.com"] {
            assert!(!chosen("https://a.example.com:1", &with(exempt)), "{exempt}");
        }
        for through in ["", "b.example.com", "ample.com", "com.", "a.example.com.org"] {
            assert!(chosen("https://a.example.com", &with(through)), "{through}");
        }
    }

    #[test]
    fn its_address_is_without_the_password() {
        let base = BaseUrl::parse("https://a", "host").unwrap();
        let var = |name: &str| {
            (name == "HTTPS_PROXY").then(|| "http://user:p@ssword@proxy.example:8080/".to_string())
        };
        let proxy = proxy_for(&base, var).unwrap().unwrap();
        assert_eq!(proxy.address, "proxy.example:8080");
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dXNlcjpwQHNzd29yZA=="));
    }

    #[test]
    fn user_names_may_be_encoded() {
        for (user, encoded) in [("a:b", "YTpi"), ("a", "YTo="), ("a%40b:%zz", "YUBiOiV6eg==")] {
            let proxy = parse(&format!("{user}@p")).unwrap();
            assert_eq!(proxy.authorization, Some(format!("Basic {encoded}")), "{user}");
        }
    }

    #[test]
    fn an_unusable_proxy_is_an_error_that_names_the_variable() {
        let base = BaseUrl::parse("https://a", "host").unwrap();
        for bad in ["socks5://p:1", "http://", "http://p q", "user@"] {
            let var = |name: &str| (name == "HTTPS_PROXY").then(|| bad.to_string());
            assert!(proxy_for(&base, var).unwrap_err().message().contains("HTTPS_PROXY"), "{bad}");
        }
    }
}
