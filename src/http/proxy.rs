//! Which proxy a request goes through: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
//!
//! As curl reads them: small letters win over capitals, and for `http://` only `http_proxy` in small
//! letters counts, because a CGI host lets strangers set `HTTP_PROXY`.

use crate::error::{Error, ErrorKind, Result};
use crate::peer::{BaseUrl, split_authority};
use crate::text::{base64, percent};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::net::IpAddr;

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
    if !scheme.eq_ignore_ascii_case("http") || split_authority(address).is_err() {
        return None;
    }
    let authorization = user.map(|user| {
        let colon = if user.contains(':') { "" } else { ":" };
        format!("Basic {}", base64::encode(&percent::decode(&format!("{user}{colon}"))))
    });
    Some(Proxy { address: address.to_owned(), port: DEFAULT_PORT, authorization })
}

/// Whether `no_proxy` lists the host: `*`, the host itself, a domain that it is in, or a network as
/// `10.0.0.0/8`.
fn is_exempt(host: &str, no_proxy: &str) -> bool {
    let address = host.parse::<IpAddr>().ok();
    no_proxy.split([',', ' ']).filter(|entry| !entry.is_empty()).any(|entry| {
        if let Some(address) = address {
            return entry == "*" || is_in_network(address, entry);
        }
        let domain = entry.trim_start_matches('.');
        entry == "*" || host.eq_ignore_ascii_case(domain) || is_subdomain(host, domain)
    })
}

/// Whether an address is that of `entry`, or in the network whose number has so many bits.
fn is_in_network(address: IpAddr, entry: &str) -> bool {
    let (network, len) = match entry.split_once('/') {
        Some((network, len)) => (network, len.parse().ok()),
        None => (entry, Some(128)),
    };
    let network = network.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let (bits, of_network, width) = match (address, network) {
        (IpAddr::V4(a), Ok(IpAddr::V4(n))) => (a.to_bits().into(), n.to_bits().into(), 32_u32),
        (IpAddr::V6(a), Ok(IpAddr::V6(n))) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let Some(len): Option<u32> = len else { return false };
    // What is not in the number is shifted out; all of it, where that is empty.
    let different: u128 = bits ^ of_network;
    different.checked_shr(width.saturating_sub(len)).unwrap_or(0) == 0
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
    fn no_proxy_lists_networks() {
        let with = |no_proxy| [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", no_proxy)];
        for (exempt, host) in [
            ("10.0.0.0/8", "10.255.1.2"),
            ("10.1.2.3/8", "10.255.1.2"),
            ("x,192.168.4.0/22", "192.168.7.255:20202"),
            ("1.2.3.4/32", "1.2.3.4"),
            ("1.2.3.4", "1.2.3.4"),
            ("0.0.0.0/0", "1.2.3.4"),
            ("fd00::/8", "[fd12::1]:1"),
            ("2001:db8::/33", "[2001:db8:7fff::1]"),
            ("::1/128", "[::1]"),
            ("0:0::1", "[::1]"),
            ("[::1]", "[::1]"),
            ("::/0", "[::1]"),
        ] {
            assert!(!chosen(&format!("https://{host}"), &with(exempt)), "{exempt} {host}");
        }
        for (through, host) in [
            ("10.0.0.0/8", "11.0.0.1"),
            ("192.168.4.0/22", "192.168.8.0"),
            ("10.0.0.0/8", "10.example"),
            ("10.0.0.0/x", "10.0.0.1"),
            ("10.0.0.0/", "10.0.0.1"),
            ("0.0.0.0/0", "[::1]"),
            ("::/0", "1.2.3.4"),
            ("2001:db8::/33", "[2001:db8:8000::1]"),
            (".4", "1.2.3.4"),
        ] {
            assert!(chosen(&format!("https://{host}"), &with(through)), "{through} {host}");
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
        for bad in ["socks5://p:1", "http://", "http://p q", "user@", "http://[::1]:x:1"] {
            let var = |name: &str| (name == "HTTPS_PROXY").then(|| bad.to_string());
            assert!(proxy_for(&base, var).unwrap_err().message().contains("HTTPS_PROXY"), "{bad}");
        }
    }
}
