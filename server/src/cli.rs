//! The command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;
use crate::serve;

/// The open LiteFS Cloud: keeps SQLite databases as LTX files and serves them over HTTP.
#[derive(Debug, Parser)]
#[command(name = "litevfs-cloud", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the databases in a directory.
    Serve(ServeArgs),
}

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
    #[arg(
        long = "token",
        value_name = "T",
        env = "LITEVFS_CLOUD_TOKEN",
        hide_env_values = true
    )]
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

/// The program.
pub fn main() -> ExitCode {
    let Command::Serve(args) = Cli::parse().command;
    let done = start_log().and_then(|()| {
        let config = Config::from_args(args)?;
        serve::run(config)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when not even this can be written.
            let _ = writeln!(std::io::stderr(), "litevfs-cloud: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to stderr what `RUST_LOG` asks for: a level, or a list of `module=level`.
fn start_log() -> Result<(), Box<dyn std::error::Error>> {
    let filter: Targets = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => filter
            .parse()
            .map_err(|error| format!("RUST_LOG: {error}"))?,
        _ => Targets::new().with_default(tracing::Level::INFO),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
    Ok(())
}
