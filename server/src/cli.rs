//! The command line.

mod token;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, LogFormat, ServeArgs};
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
    Serve(Box<ServeArgs>),
    /// Make, list and revoke the tokens of a tokens file.
    Token(token::TokenArgs),
}

/// The program.
pub fn main() -> ExitCode {
    // Whatever speaks TLS here uses this; it fails only when that is settled already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match Cli::parse().command {
        Command::Serve(args) => serve(*args),
        Command::Token(args) => token::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when not even this can be written.
            let _ = writeln!(std::io::stderr(), "litevfs-cloud: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: ServeArgs) -> Result<(), Box<dyn std::error::Error>> {
    start_log(args.net.log_format)?;
    serve::run(Config::from_args(args)?)
}

/// Logs to stderr what `RUST_LOG` asks for: a level, or a list of `module=level`.
fn start_log(format: LogFormat) -> Result<(), Box<dyn std::error::Error>> {
    let filter: Targets = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => {
            filter.parse().map_err(|error| format!("RUST_LOG: {error}"))?
        }
        _ => Targets::new().with_default(tracing::Level::INFO),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(lines).with(filter).init();
    Ok(())
}
