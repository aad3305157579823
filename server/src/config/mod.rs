//! The arguments of `serve`, and what they mean: checked, and ready to run.

mod auth;
mod net;
mod store;

use std::net::{SocketAddr, ToSocketAddrs};

use clap::Args;

pub use auth::AuthArgs;
pub use net::{LogFormat, NetArgs, NetConfig};
pub use store::StoreArgs;

use crate::auth::Auth;
use crate::routes::Origins;
use crate::store::Settings;

/// The arguments of `serve`, as they are given.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where the databases are, and how they are kept.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Listen on this address; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:20202")]
    pub listen: String,
    /// Who may use the server.
    #[command(flatten)]
    pub auth: AuthArgs,
    /// How it may be reached.
    #[command(flatten)]
    pub net: NetArgs,
    /// The longest upload, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    pub max_body: u64,
    /// The longest SQLite file to import, in bytes; 0 for no limit.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 30)]
    pub max_import: u64,
}

/// What `serve` runs with.
pub struct Config {
    /// Where the databases are, and how they are kept.
    pub store: Settings,
    /// The addresses to try, in order.
    pub listen: Vec<SocketAddr>,
    /// Who may use the server.
    pub auth: Auth,
    /// How it may be reached.
    pub net: NetConfig,
    /// The longest upload, in bytes.
    pub max_body: u64,
    /// The longest SQLite file to import, in bytes.
    pub max_import: u64,
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
        "{0} can be reached from other machines: give --token or --tokens-file, or listen on a loopback address such as 127.0.0.1"
    )]
    OpenToAll(SocketAddr),
    /// A token cannot be used.
    #[error("--token or --cluster-token: {0}")]
    Token(&'static str),
    /// The cluster of a token is not a cluster name.
    #[error("--cluster-token: {0}")]
    Cluster(litevfs::types::ParseError),
    /// A time in the compaction schedule makes no sense.
    #[error("--{option} {given}: {what}")]
    Schedule {
        /// The option.
        option: &'static str,
        /// As given.
        given: String,
        /// What is wrong, and what to give.
        what: &'static str,
    },
    /// The tokens file cannot be used.
    #[error("--tokens-file: {0}")]
    TokensFile(String),
    /// The certificate or its key cannot be used.
    #[error("{0}")]
    Tls(String),
    /// Browsers send no such origin.
    #[error(
        "--cors-origin {0}: give scheme://host or scheme://host:port, with nothing behind, or *"
    )]
    Origin(String),
    /// Any page that somebody on this machine opens could use the databases.
    #[error(
        "--cors-origin '*' lets every web page in: give --token or --tokens-file with it, or list the pages' origins"
    )]
    OpenToPages,
}

impl Config {
    /// Checks arguments.
    pub fn from_args(args: ServeArgs) -> Result<Config, ConfigError> {
        let mut auth = args.auth.into_auth()?;
        let net = args.net.into_config()?;
        match &net.origins {
            Origins::Any if auth.is_open() => return Err(ConfigError::OpenToPages),
            Origins::Any => {}
            Origins::Listed(origins) => auth = auth.with_origins(origins.clone()),
        }
        let listen = resolve(&args.listen)?;
        if auth.is_open()
            && let Some(&open) = listen.iter().find(|address| !address.ip().is_loopback())
        {
            return Err(ConfigError::OpenToAll(open));
        }
        let max_import = if args.max_import == 0 { u64::MAX } else { args.max_import };
        let store = args.store.into_settings()?;
        Ok(Config { store, listen, auth, net, max_body: args.max_body, max_import })
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
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Whole {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn args(listen: &str, more: &[&str]) -> ServeArgs {
        let always = ["serve", "--listen", listen];
        Whole::try_parse_from(always.iter().chain(more)).unwrap().serve
    }

    fn refusal(listen: &str, more: &[&str]) -> String {
        Config::from_args(args(listen, more)).err().unwrap().to_string()
    }

    #[test]
    fn without_a_token_only_loopback_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        std::fs::write(&file, "").unwrap();
        let file = file.to_str().unwrap();
        for listen in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:0"] {
            assert!(Config::from_args(args(listen, &[])).is_ok(), "{listen}");
        }
        for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:1"] {
            let error = refusal(listen, &[]);
            assert!(error.contains("give --token"), "{error}");
            for closed in
                [&["--token", "t"][..], &["--cluster-token", "c", "t"], &["--tokens-file", file]]
            {
                assert!(Config::from_args(args(listen, closed)).is_ok(), "{listen} {closed:?}");
            }
        }
    }

    #[test]
    fn a_tokens_file_must_be_there_and_sound() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        let refused = || refusal("127.0.0.1:0", &["--tokens-file", file.to_str().unwrap()]);
        assert!(refused().contains("token create"));
        std::fs::write(&file, "secret").unwrap();
        assert!(refused().contains("line 1") && !refused().contains("secret"));
    }

    #[test]
    fn errors_never_show_a_token() {
        let secret = "secret\u{1}";
        for bad in [&["--token", secret][..], &["--cluster-token", "c", secret]] {
            assert!(!refusal("127.0.0.1:0", bad).contains("secret"));
        }
        let good = args("127.0.0.1:0", &["--token", "secret", "--cluster-token", "c", "secret"]);
        assert!(!format!("{good:?}").contains("secret"));
    }

    #[test]
    fn an_address_needs_a_port() {
        let error = refusal("127.0.0.1", &[]);
        assert!(error.contains("HOST:PORT"), "{error}");
    }
}
