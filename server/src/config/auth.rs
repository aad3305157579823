//! The arguments of `serve` that say who may use it.

use std::path::PathBuf;

use clap::Args;

use super::ConfigError;
use crate::auth::{Auth, Token};

/// Tokens, as they are given.
#[derive(Args)]
pub struct AuthArgs {
    /// A token that may do everything; may be repeated. Without any token, and without a tokens
    /// file, only loopback addresses are served.
    #[arg(long = "token", value_name = "T", env = "LITEVFS_CLOUD_TOKEN", hide_env_values = true)]
    pub tokens: Vec<String>,
    /// A token that may do everything in one cluster; may be repeated.
    #[arg(long = "cluster-token", num_args = 2, value_names = ["CLUSTER", "TOKEN"])]
    pub cluster_tokens: Vec<String>,
    /// Tokens that `litevfs-cloud token` made; changes of this file are seen within a second.
    #[arg(long, value_name = "FILE", env = "LITEVFS_CLOUD_TOKENS_FILE")]
    pub tokens_file: Option<PathBuf>,
}

// Written out so that tokens cannot get into a log by way of a debug print.
impl std::fmt::Debug for AuthArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthArgs").field("tokens_file", &self.tokens_file).finish_non_exhaustive()
    }
}

impl AuthArgs {
    /// Checks the tokens, and reads the file.
    pub(super) fn into_auth(self) -> Result<Auth, ConfigError> {
        let given = self.tokens.into_iter().map(|secret| Ok((None, secret)));
        let scoped = self.cluster_tokens.chunks_exact(2).filter_map(|pair| match pair {
            [cluster, secret] => Some(cluster.parse().map(|name| (Some(name), secret.clone()))),
            _ => None,
        });
        let mut tokens = Vec::new();
        for (number, given) in (1..).zip(given.chain(scoped)) {
            let (cluster, secret) = given.map_err(ConfigError::Cluster)?;
            let id = format!("argument-{number}");
            tokens.push(Token::given(&id, &secret, cluster).map_err(ConfigError::Token)?);
        }
        let auth = Auth::new(tokens).map_err(ConfigError::Token)?;
        match self.tokens_file {
            Some(path) => auth.with_file(path).map_err(ConfigError::TokensFile),
            None => Ok(auth),
        }
    }
}
