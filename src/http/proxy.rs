//! Which proxy a request goes through: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
//!
//! As curl reads them: small letters win over capitals, and for `http://` only `http_proxy` in small
//! letters counts, because a CGI host lets strangers set `HTTP_PROXY`.

use crate::config::BaseUrl;
use crate::error::{Error, ErrorKind, Result};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

/// A proxy, and its address for messages, without the password.
#[derive(Debug, Clone)]
pub struct NamedProxy {
    /// For minreq.
    pub proxy: minreq::Proxy,
    /// `HOST:PORT`.
    pub address: String,
}

/// The proxy for a server, as `[http://][USER[:PASSWORD]@]HOST[:PORT]`; `None` to connect directly.
/// Fails when a proxy is named that can't be used.
pub fn proxy_for(
    base: &BaseUrl,
    var: impl Fn(&str) -> Option<String>,
) -> Result<Option<NamedProxy>> {
    let all_vars = var;
    let var = |name: &str| all_vars(name).filter(|value| !value.is_empty());
    let names: &[&str] = if base.https {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "all_proxy", "ALL_PROXY"]
    };
    let Some((name, proxy)) = names.iter().find_map(|name| Some((name, var(name)?))) else {
        return go_direct(base, &all_vars);
    };
    let exempt = var("no_proxy").or_else(|| var("NO_PROXY")).unwrap_or_default();
    if is_exempt(base.host(), &exempt) {
        return go_direct(base, &all_vars);
    }
    let proxy = proxy.trim_end_matches('/');
    let authority = proxy.rsplit_once("://").map_or(proxy, |(_, authority)| authority);
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let named = |proxy| Some(NamedProxy { proxy, address: address.to_owned() });
    minreq::Proxy::new(proxy).map(named).map_err(|_| {
        let message = format!("{name}: only HTTP proxies, as http://[USER:PASSWORD@]HOST:PORT");
        Error::new(ErrorKind::Config, message)
    })
}

/// No proxy is to be used. minreq can't be told so: where it is given none, it takes what these
/// variables say, without a look at `NO_PROXY`. Going through a proxy against the user's word would be
/// worse than not starting.
fn go_direct(base: &BaseUrl, var: impl Fn(&str) -> Option<String>) -> Result<Option<NamedProxy>> {
    let taken: &[&str] = if base.https { &["https_proxy"] } else { &["http_proxy", "all_proxy"] };
    match taken.iter().find(|name| var(name).is_some()) {
        Some(name) => {
            let text = format!(
                "{name}: in small letters it can't be combined with NO_PROXY or be empty; unset it, \
                 or use HTTPS_PROXY or ALL_PROXY in capitals"
            );
            Err(Error::new(ErrorKind::Config, text))
        }
        None => Ok(None),
    }
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
    fn what_the_http_client_would_do_against_our_word_is_an_error() {
        let base = BaseUrl::parse("https://a.example", "host").unwrap();
        for value in ["", "http://p:1"] {
            let var = |name: &str| match name {
                "https_proxy" => Some(value.to_string()),
                "NO_PROXY" => Some("a.example".to_string()),
                _ => None,
            };
            assert!(proxy_for(&base, var).unwrap_err().message().contains("https_proxy"));
        }
    }

    #[test]
    fn its_address_is_without_the_password() {
        let base = BaseUrl::parse("https://a", "host").unwrap();
        let var = |name: &str| {
            (name == "HTTPS_PROXY").then(|| "http://user:p@ssword@proxy.example:8080/".to_string())
        };
        assert_eq!(proxy_for(&base, var).unwrap().unwrap().address, "proxy.example:8080");
    }

    #[test]
    fn an_unusable_proxy_is_an_error_that_names_the_variable() {
        let base = BaseUrl::parse("https://a", "host").unwrap();
        let var = |name: &str| (name == "HTTPS_PROXY").then(|| "socks5://p:1".to_string());
        assert!(proxy_for(&base, var).unwrap_err().message().contains("HTTPS_PROXY"));
    }
}
