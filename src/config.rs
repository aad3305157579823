//! Where the server is and how to talk to it, from the environment.
//!
//! Read once when the extension is loaded; a mistake makes loading fail with a text that names the
//! variable.

use crate::error::{Error, ErrorKind, Result};
use crate::types::ClusterName;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

/// The vendor's host, as in upstream. It was switched off; an own server is named with
/// `LITEFS_CLOUD_HOST`.
const DEFAULT_HOST: &str = "https://litefs.fly.io";

/// A token that can't be printed by accident.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token as it goes into the `Authorization` header.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

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
    pub fn parse(text: &str) -> Result<BaseUrl> {
        let bad = |why: &str| {
            let message = format!("LITEFS_CLOUD_HOST: {why}; give http[s]://HOST[:PORT][/PREFIX]");
            Err(Error::new(ErrorKind::Config, message))
        };
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
            return bad("the URL holds a user name; credentials go into LITEFS_CLOUD_TOKEN");
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

/// Everything the extension is told by its environment but for logging.
#[derive(Debug, Clone)]
pub struct Config {
    /// Server address.
    pub base_url: BaseUrl,
    /// Secret that the server knows us by.
    pub token: Token,
    /// Cluster, where the token does not decide it.
    pub cluster: Option<ClusterName>,
    /// Directory for cached pages that outlives the process; `None` for a private temporary one.
    pub cache_dir: Option<String>,
}

impl Config {
    /// Reads the configuration through `var`, which answers for an environment variable.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Config> {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let token = var("LITEFS_CLOUD_TOKEN").ok_or_else(|| {
            let message = "LITEFS_CLOUD_TOKEN is not set: \
                           set it to the token of your LiteFS Cloud server before loading litevfs";
            Error::new(ErrorKind::Config, message)
        })?;
        let token = token.trim().to_owned();
        if token.is_empty() || token.bytes().any(|b| !(b' '..=b'~').contains(&b)) {
            let message = "LITEFS_CLOUD_TOKEN: a token is printable ASCII without line breaks";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let cluster = match var("LITEFS_CLOUD_CLUSTER") {
            Some(text) => Some(text.parse::<ClusterName>().map_err(|e| {
                Error::new(ErrorKind::Config, format!("LITEFS_CLOUD_CLUSTER: {e}"))
            })?),
            None => None,
        };
        let host = var("LITEFS_CLOUD_HOST").unwrap_or_else(|| DEFAULT_HOST.to_string());
        let base_url = BaseUrl::parse(host.trim())?;
        Ok(Config { base_url, token: Token(token), cluster, cache_dir: var("LITEVFS_CACHE_DIR") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(vars: &[(&str, &str)]) -> Result<Config> {
        Config::from_vars(|name| {
            vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn the_token_is_mandatory_and_named() {
        let error = config(&[]).unwrap_err();
        assert!(error.message().contains("LITEFS_CLOUD_TOKEN is not set"), "{error}");
        assert!(config(&[("LITEFS_CLOUD_TOKEN", "a\r\nb")]).is_err());
    }

    #[test]
    fn defaults() {
        let config = config(&[("LITEFS_CLOUD_TOKEN", "FlyV1 secret")]).unwrap();
        assert_eq!(config.base_url.to_string(), DEFAULT_HOST);
        assert_eq!(config.token.reveal(), "FlyV1 secret");
        assert!(config.cluster.is_none() && config.cache_dir.is_none());
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn urls_are_taken_apart() {
        let url = BaseUrl::parse("http://localhost:20202").unwrap();
        assert_eq!((url.https, url.host(), url.prefix.as_str()), (false, "localhost", ""));
        let url = BaseUrl::parse("https://a.example:8443/some/prefix/?q=1#f").unwrap();
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
            let error = BaseUrl::parse(bad).unwrap_err();
            assert!(error.message().contains("LITEFS_CLOUD_HOST"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_bad_cluster_is_named() {
        let error = config(&[("LITEFS_CLOUD_TOKEN", "t"), ("LITEFS_CLOUD_CLUSTER", "a/b")]);
        assert!(error.unwrap_err().message().contains("LITEFS_CLOUD_CLUSTER"));
    }
}
