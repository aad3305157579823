//! The command line: `serve` is the server, the other verbs but `token` are clients of one.

mod again;
mod aside;
mod causes;
mod check;
mod client;
mod clusters;
mod export;
mod import;
mod lease;
mod output;
mod paths;
mod progress;
mod restore;
mod source;
mod stop;
mod table;
mod target;
mod times;
mod token;
mod views;

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
// No `Debug`: arguments have tokens in them.
#[derive(Parser)]
#[command(name = "litevfs-cloud", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the databases in a directory.
    Serve(Box<ServeArgs>),
    /// Make, list and revoke the tokens of a tokens file.
    Token(token::TokenArgs),
    /// Put a local SQLite file on the server.
    Import(import::ImportArgs),
    /// Get a database as a SQLite file, as it is or was.
    Export(export::ExportArgs),
    /// List the databases.
    List(views::ViewArgs),
    /// Show what a database can go back to.
    Info(views::InfoArgs),
    /// Make a database what it was, in a new transaction.
    Restore(restore::RestoreArgs),
    /// Delete a database with its history.
    Delete(restore::DeleteArgs),
    /// List, make and delete clusters.
    #[command(subcommand)]
    Clusters(clusters::ClustersVerb),
    /// Show the databases with sizes, times and leases.
    Status(views::ViewArgs),
}

/// The program.
pub fn main() -> ExitCode {
    // Whatever speaks TLS here uses this; it fails only when that is settled already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match Cli::parse().command {
        Command::Serve(args) => serve(*args),
        Command::Token(args) => token::run(args),
        Command::Import(args) => ask(import::run(args)),
        Command::Export(args) => ask(export::run(args)),
        Command::List(args) => ask(views::list(args)),
        Command::Info(args) => ask(views::info(args)),
        Command::Restore(args) => ask(restore::run(args)),
        Command::Delete(args) => ask(restore::delete(args)),
        Command::Clusters(verb) => ask(clusters::run(verb)),
        Command::Status(args) => ask(views::status(args)),
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

/// Runs a verb that asks a server. One thread will do: it waits for one thing at a time.
fn ask(verb: impl Future<Output = client::Done>) -> client::Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(verb);
    // What still blocks is waited for no longer: the program ends.
    runtime.shutdown_background();
    done
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
