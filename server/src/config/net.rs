//! The arguments of `serve` that say how it may be reached, and how much it takes on.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::{HeaderValue, Uri};
use clap::{Args, ValueEnum};

use super::ConfigError;
use crate::net::Tls;
use crate::routes::Origins;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line of text for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Connections and limits, as they are given.
#[derive(Debug, Args)]
pub struct NetArgs {
    /// Speak TLS with this certificate: PEM, followed by those that vouch for it.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate, PEM. A renewal of the two files is seen by itself.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Let web pages of this origin use the server; may be repeated; * for all pages.
    #[arg(long = "cors-origin", value_name = "ORIGIN")]
    pub cors_origins: Vec<String>,
    /// The most connections at a time.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = at_least_one)]
    pub max_connections: usize,
    /// The most connections at a time from one address; half of all if nothing is said, 0 for no limit.
    /// Clients behind a proxy have one address, the proxy's. Loopback addresses have no limit.
    #[arg(long = "max-connections-per-address", value_name = "N")]
    pub max_from_one: Option<usize>,
    /// The most requests at a time.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = at_least_one)]
    pub max_requests: usize,
    /// The most requests a second with one token, or without one from one address; no limit if
    /// nothing is said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit: Option<u32>,
    /// The most requests at once under --rate-limit; twice that if nothing is said.
    #[arg(long, value_name = "N", requires = "rate_limit",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_burst: Option<u32>,
    /// Show /metrics to whoever can connect.
    #[arg(long)]
    pub metrics_public: bool,
    /// How long to go on serving after SIGTERM, with /healthz saying 503.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub stop_delay: Duration,
    /// How to write the log.
    #[arg(long, value_enum, default_value = "text", env = "LITEVFS_CLOUD_LOG_FORMAT")]
    pub log_format: LogFormat,
}

fn at_least_one(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|&number| number > 0).ok_or("give a number from 1")
}

/// Connections and limits, checked.
pub struct NetConfig {
    /// Set if connections are to be encrypted.
    pub tls: Option<Tls>,
    /// Whose web pages may use the server.
    pub origins: Origins,
    /// The most connections at a time.
    pub max_connections: usize,
    /// The most of them from one address.
    pub max_from_one: usize,
    /// The most requests at a time.
    pub max_requests: usize,
    /// The most requests a second and at once, from one caller.
    pub rate: Option<(u32, u32)>,
    /// Whether whoever can connect may see the metrics.
    pub metrics_public: bool,
    /// How long to go on serving when told to stop.
    pub stop_delay: Duration,
}

impl NetArgs {
    /// Checks them, and reads the certificate.
    pub(super) fn into_config(self) -> Result<NetConfig, ConfigError> {
        let tls = match (self.tls_cert, self.tls_key) {
            (Some(cert), Some(key)) => Some(Tls::new(cert, key).map_err(ConfigError::Tls)?),
            _ => None,
        };
        let twice = |rate: u32| rate.saturating_mul(2);
        let burst = self.rate_burst;
        Ok(NetConfig {
            tls,
            origins: origins(self.cors_origins)?,
            max_connections: self.max_connections,
            max_from_one: match self.max_from_one {
                Some(0) => usize::MAX,
                Some(given) => given,
                None => self.max_connections.div_ceil(2),
            },
            max_requests: self.max_requests,
            rate: self.rate_limit.map(|rate| (rate, burst.unwrap_or_else(|| twice(rate)))),
            metrics_public: self.metrics_public,
            stop_delay: self.stop_delay,
        })
    }
}

fn origins(given: Vec<String>) -> Result<Origins, ConfigError> {
    if given.iter().any(|origin| origin == "*") {
        return Ok(Origins::Any);
    }
    let parse = |text: String| origin(&text).ok_or(ConfigError::Origin(text));
    Ok(Origins::Listed(given.into_iter().map(parse).collect::<Result<_, _>>()?))
}

/// An origin as browsers send it: it is compared byte by byte.
fn origin(text: &str) -> Option<HeaderValue> {
    let lower = text.to_ascii_lowercase();
    let uri: Uri = lower.parse().ok()?;
    let whole = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
    let default_port = match uri.scheme_str()? {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    if whole != lower || whole.contains('@') || uri.host()?.is_empty() {
        return None;
    }
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    let whole = match whole.strip_suffix(default_port) {
        Some(short) if port == default_port => short,
        _ => &whole,
    };
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_send_them() {
        for (given, sent) in [
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.Example:443", "https://app.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://a:80", "http://a"),
            ("https://a:80", "https://a:80"),
            ("http://[::1]:5173", "http://[::1]:5173"),
        ] {
            assert_eq!(origin(given).unwrap(), sent, "{given}");
        }
        for bad in
            ["", "null", "app.example", "https://", "https://a/", "https://a/b", "https://u@a"]
        {
            assert!(origin(bad).is_none(), "{bad}");
        }
        assert_eq!(origins(vec!["https://a".into(), "*".into()]).ok(), Some(Origins::Any));
    }
}
