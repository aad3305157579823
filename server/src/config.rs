//! The arguments of `serve`, and what they mean: checked, and ready to run.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::Args;

use crate::auth::{Auth, Token};

/// The arguments of `serve`, as they are given.
#[derive(Args)]
pub struct ServeArgs {
    /// Keep the databases in this directory; it is made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "./litevfs-data")]
    pub data: PathBuf,
    /// Listen on this address; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:20202")]
    pub listen: String,
    /// A token that reaches every cluster; may be repeated. Without any token, only loopback
    /// addresses are served.
    #[arg(long = "token", value_name = "T", env = "LITEVFS_CLOUD_TOKEN", hide_env_values = true)]
    pub tokens: Vec<String>,
    /// A token that reaches one cluster only; may be repeated.
    #[arg(long = "cluster-token", num_args = 2, value_names = ["CLUSTER", "TOKEN"])]
    pub cluster_tokens: Vec<String>,
    /// The longest upload, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    pub max_body: u64,
}

// Written out so that tokens cannot get into a log by way of a debug print.
impl std::fmt::Debug for ServeArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeArgs")
            .field("data", &self.data)
            .field("listen", &self.listen)
            .field("max_body", &self.max_body)
            .finish_non_exhaustive()
    }
}

/// What `serve` runs with.
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// The addresses to try, in order.
    pub listen: Vec<SocketAddr>,
    /// Who may use the server.
    pub auth: Auth,
    /// The longest upload, in bytes.
    pub max_body: u64,
}

/// Arguments that cannot be followed; says what to give instead, and never a token.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The address does not parse or resolve.
    #[error("--listen {address}: {source}; give HOST:PORT")]
    Listen {
        /// As given.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Other machines could connect, and nothing would keep them out.
    #[error(
        "{0} can be reached from other machines: give --token, or listen on a loopback address such as 127.0.0.1"
    )]
    OpenToAll(SocketAddr),
    /// A token cannot be used.
    #[error("--token or --cluster-token: {0}")]
    Token(&'static str),
    /// The cluster of a token is not a cluster name.
    #[error("--cluster-token: {0}")]
    Cluster(#[from] litevfs::types::ParseError),
}

impl Config {
    /// Checks arguments.
    pub fn from_args(args: ServeArgs) -> Result<Config, ConfigError> {
        let mut tokens = Vec::new();
        for secret in args.tokens {
            tokens.push(Token::new(secret, None).map_err(ConfigError::Token)?);
        }
        for pair in args.cluster_tokens.chunks_exact(2) {
            if let [cluster, secret] = pair {
                let scope = Some(cluster.parse()?);
                tokens.push(Token::new(secret.clone(), scope).map_err(ConfigError::Token)?);
            }
        }
        let auth = Auth::new(tokens).map_err(ConfigError::Token)?;
        let listen = resolve(&args.listen)?;
        if auth.is_open()
            && let Some(&open) = listen.iter().find(|address| !address.ip().is_loopback())
        {
            return Err(ConfigError::OpenToAll(open));
        }
        Ok(Config { data: args.data, listen, auth, max_body: args.max_body })
    }
}

fn resolve(address: &str) -> Result<Vec<SocketAddr>, ConfigError> {
    let failed = |source| ConfigError::Listen { address: address.to_owned(), source };
    let addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(failed)?.collect();
    if addresses.is_empty() {
        return Err(failed(std::io::Error::other("the name has no address")));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(listen: &str, tokens: &[&str], cluster_tokens: &[&str]) -> ServeArgs {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        ServeArgs {
            data: PathBuf::from("data"),
            listen: listen.to_owned(),
            tokens: owned(tokens),
            cluster_tokens: owned(cluster_tokens),
            max_body: 1,
        }
    }

    #[test]
    fn without_a_token_only_loopback_is_served() {
        for listen in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:0"] {
            assert!(Config::from_args(args(listen, &[], &[])).is_ok(), "{listen}");
        }
        for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:1"] {
            let error = Config::from_args(args(listen, &[], &[])).err().unwrap().to_string();
            assert!(error.contains("give --token"), "{error}");
            assert!(Config::from_args(args(listen, &["t"], &[])).is_ok(), "{listen}");
            assert!(Config::from_args(args(listen, &[], &["c", "t"])).is_ok(), "{listen}");
        }
    }

    #[test]
    fn errors_never_show_a_token() {
        let secret = "secret\u{1}";
        for bad in [args("127.0.0.1:0", &[secret], &[]), args("127.0.0.1:0", &[], &["c", secret])] {
            assert!(!Config::from_args(bad).err().unwrap().to_string().contains("secret"));
        }
        let text = format!("{:?}", args("127.0.0.1:0", &["secret"], &["c", "secret"]));
        assert!(!text.contains("secret"));
    }

    #[test]
    fn an_address_needs_a_port() {
        let error = Config::from_args(args("127.0.0.1", &[], &[])).err().unwrap().to_string();
        assert!(error.contains("HOST:PORT"), "{error}");
    }
}
