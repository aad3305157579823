//! Where a database's server is and how to talk to it: from the environment, and from the parameters
//! of the database's URI, which go before it.
//!
//! The environment is read once, when the extension is loaded; a mistake makes loading fail. The
//! parameters are read when a database is opened; a mistake makes that fail. Either way the text names
//! the variable or the parameter, and never holds a token.

pub use crate::peer::BaseUrl;

use crate::error::{Error, ErrorKind, Result};
use crate::peer::field;
use crate::types::ClusterName;
use crate::units::{parse_bound_ms, parse_size};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use litevfs_hot::Xxh32;

const HOST_VARIABLE: &str = "LITEFS_CLOUD_HOST";
/// The vendor's host, as in upstream. It was switched off; an own server is named with
/// `LITEFS_CLOUD_HOST`.
const DEFAULT_HOST: &str = "https://litefs.fly.io";

const TOKEN_VARIABLE: &str = "LITEFS_CLOUD_TOKEN";
const MAX_STALENESS_VARIABLE: &str = "LITEVFS_MAX_STALENESS";
const MAX_BULK_BYTES_VARIABLE: &str = "LITEVFS_MAX_BULK_BYTES";

/// Bytes of pages that one query may fetch in bulk, unless somebody says otherwise.
pub const DEFAULT_MAX_BULK_BYTES: u64 = 256 << 20;

/// A token that can't be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    fn parse(text: &str, place: &str) -> Result<Token> {
        field::token(text).map(|text| Token(text.to_owned())).map_err(|why| refused(place, why))
    }

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

/// Everything that decides which databases there are, and where their pages are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Server address.
    pub base_url: BaseUrl,
    /// Whether nobody named a server, so that it is the vendor's.
    pub is_default_host: bool,
    /// Secret that the server knows us by.
    pub token: Token,
    /// Cluster, where the token does not decide it.
    pub cluster: Option<ClusterName>,
    /// Directory for cached pages that outlives the process; `None` for a private temporary one.
    pub cache_dir: Option<String>,
    /// How old, in ms, what a transaction begins at may be, unless its connection says otherwise; 0 for
    /// any age.
    pub max_staleness_ms: u64,
    /// Bytes of pages that one query may fetch in bulk, unless a pragma says otherwise; 0 for never.
    pub max_bulk_bytes: u64,
}

impl Config {
    /// A text that two configurations have in common when the same name means the same database to
    /// both. It may be shown: where the token decides the cluster it holds a hash of it, too short to
    /// tell anything of the token.
    pub fn identity(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!("{}\n{cluster}", self.base_url),
            None => format!("{}\n\n{:08x}", self.base_url, Xxh32::of(self.token.0.as_bytes())),
        }
    }
}

/// What the URI of a database says; `None` for what it leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parameters<'a> {
    /// `host`
    pub host: Option<&'a str>,
    /// `token`
    pub token: Option<&'a str>,
    /// `cluster`, empty for none.
    pub cluster: Option<&'a str>,
    /// `cache_dir`, empty for a private temporary one.
    pub cache_dir: Option<&'a str>,
}

/// What the environment says, but for logging.
#[derive(Debug, Clone)]
pub struct Environment {
    base_url: BaseUrl,
    is_default_host: bool,
    /// `None` when the variable is there but empty: every database brings its own.
    token: Option<Token>,
    cluster: Option<ClusterName>,
    cache_dir: Option<String>,
    max_staleness_ms: u64,
    max_bulk_bytes: u64,
    auto_lease: bool,
}

impl Environment {
    /// Reads the environment through `var`, which answers for a variable.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Environment> {
        let token = match var(TOKEN_VARIABLE).as_deref() {
            Some("") => None,
            Some(text) => Some(Token::parse(text, TOKEN_VARIABLE)?),
            None => {
                let message = "LITEFS_CLOUD_TOKEN is not set: set it to the token of your LiteFS \
                               Cloud server before loading litevfs, or to an empty text when every \
                               database is opened with token= in its URI";
                return Err(Error::new(ErrorKind::Config, message));
            }
        };
        let host = var(HOST_VARIABLE);
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let cluster = var("LITEFS_CLOUD_CLUSTER");
        let auto_lease = var("LITEVFS_AUTO_LEASE").map_or(Ok(false), |text| {
            let why = || {
                refused("LITEVFS_AUTO_LEASE", &format!("'{text}' is neither on (1) nor off (0)"))
            };
            parse_switch(&text).ok_or_else(why)
        })?;
        Ok(Environment {
            base_url: BaseUrl::parse(host.as_deref().unwrap_or(DEFAULT_HOST), HOST_VARIABLE)?,
            is_default_host: host.is_none(),
            token,
            cluster: parse_cluster(cluster.as_deref(), "LITEFS_CLOUD_CLUSTER")?,
            cache_dir: var("LITEVFS_CACHE_DIR"),
            max_staleness_ms: var(MAX_STALENESS_VARIABLE).map_or(Ok(0), |text| {
                let why = "give off, or a time as 500ms, 5s, 1m, or a number of seconds";
                parse_bound_ms(&text).ok_or_else(|| refused(MAX_STALENESS_VARIABLE, why))
            })?,
            max_bulk_bytes: var(MAX_BULK_BYTES_VARIABLE).map_or(
                Ok(DEFAULT_MAX_BULK_BYTES),
                |text| {
                    let why = "give a size from 0 on, as 10MB or 1 GiB";
                    parse_size(&text).ok_or_else(|| refused(MAX_BULK_BYTES_VARIABLE, why))
                },
            )?,
            auto_lease,
        })
    }

    /// Whether connections take the write lease by themselves unless they are told otherwise.
    pub fn auto_lease(&self) -> bool {
        self.auto_lease
    }

    /// Whether there is a token for databases that do not bring one.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The configuration of a database with these parameters. The environment's token and cluster are
    /// its host's, and no other host gets to know them.
    pub fn config(&self, parameters: &Parameters) -> Result<Config> {
        let base_url = match parameters.host {
            Some(text) => BaseUrl::parse(text, "URI parameter host")?,
            None => self.base_url.clone(),
        };
        let is_own_host = base_url == self.base_url;
        let token = match (parameters.token, &self.token) {
            (Some(text), _) => Token::parse(text, "URI parameter token")?,
            (None, Some(token)) if is_own_host => token.clone(),
            (None, Some(_)) => {
                let why = "another host than LITEFS_CLOUD_HOST needs token= beside it; \
                           LITEFS_CLOUD_TOKEN is not sent there";
                return Err(refused("URI parameter host", why));
            }
            (None, None) => {
                let why = "LITEFS_CLOUD_TOKEN is empty, so the URI must say token=";
                return Err(refused("URI parameter token", why));
            }
        };
        let cluster = match parameters.cluster {
            Some("") => None,
            Some(text) => parse_cluster(Some(text), "URI parameter cluster")?,
            None => self.cluster.clone().filter(|_| is_own_host),
        };
        let cache_dir = match parameters.cache_dir {
            Some("") => None,
            Some(dir) => Some(dir.to_owned()),
            None => self.cache_dir.clone(),
        };
        Ok(Config {
            base_url,
            is_default_host: is_own_host && self.is_default_host,
            token,
            cluster,
            cache_dir,
            max_staleness_ms: self.max_staleness_ms,
            max_bulk_bytes: self.max_bulk_bytes,
        })
    }
}

fn parse_cluster(text: Option<&str>, place: &str) -> Result<Option<ClusterName>> {
    let parse = |text: &str| text.parse().map_err(|e| refused(place, &format!("{e}")));
    text.map(parse).transpose()
}

/// Whether a text says on or off, in the words that SQLite takes for it.
pub fn parse_switch(text: &str) -> Option<bool> {
    let text = text.trim();
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_one_of(["1", "on", "true", "yes"]) {
        Some(true)
    } else {
        is_one_of(["0", "off", "false", "no"]).then_some(false)
    }
}

/// The error for a setting that can't be used.
fn refused(place: &str, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{place}: {why}"))
}

#[cfg(test)]
mod tests;
