//! `litevfs-cloud import`: a local SQLite file becomes the content of a database on the server.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use futures_util::stream;
use litevfs::types::DbName;
use parking_lot::Mutex;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, Method};
use serde_json::{Value, json};

use super::check::Finding;
use super::client::{Client, Done, ServerArgs};
use super::lease::{self, under_lease};
use super::output::{self, text_of};
use super::progress::Progress;
use super::source::Source;
use super::stop::Stop;
use super::table::bytes;

/// The arguments of `import`.
#[derive(Args)]
pub(super) struct ImportArgs {
    /// A SQLite file; others may be using it. - is standard input.
    file: PathBuf,
    /// The database, which may be new.
    name: DbName,
    /// Leave out PRAGMA quick_check on the file.
    #[arg(long)]
    no_check: bool,
    /// Print the progress in lines when there is no terminal for a bar.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the verb.
pub(super) async fn run(args: ImportArgs) -> Done {
    let client = Client::new(&args.server)?;
    let db = args.name.as_str();
    let (path, is_checked) = (args.file.clone(), !args.no_check);
    let mut stop = Stop::listen();
    let source = stop.during(move |flag| Source::open(&path, is_checked, flag)).await?;
    let answer = under_lease(&client, db, &mut stop, async |lease| {
        upload(&client, db, &source, lease, args.verbose).await
    });
    let txid = text_of(&answer.await?, "txID")?;
    let file = args.file.to_string_lossy();
    let problem = match &source.finding {
        Finding::Sound => None,
        Finding::Damaged(problem) => {
            output::warn(&format!(
                "{file} is damaged ({problem}), and {db} is what it is: PRAGMA integrity_check shows \
                 more, and the sqlite3 shell's .recover saves what can be read"
            ));
            Some(problem)
        }
        Finding::Unknown(why) => {
            output::warn(&format!(
                "{file} could not be checked ({why}): --no-check leaves that out"
            ));
            None
        }
    };
    let len = source.len();
    let report = json!({ "name": db, "txID": txid, "bytes": len, "damage": problem });
    output::print(args.server.json, &report, || {
        format!("imported {file} as {db}: {}, transaction {txid}\n", bytes(len))
    })
}

async fn upload(
    client: &Client,
    db: &str,
    source: &Source,
    lease: &str,
    verbose: bool,
) -> Done<Value> {
    let len = source.len();
    let progress = Progress::new(&format!("importing {db}"), Some(len), verbose);
    // Also held here, because the body is dropped long before the answer comes.
    let progress = Arc::new(Mutex::new(progress));
    let shown = Arc::clone(&progress);
    let mut sent = 0_u64;
    let pieces = source.pieces()?.inspect(move |piece| {
        let count = piece.as_ref().map_or(0, |piece| piece.len());
        sent = sent.saturating_add(count as u64);
        shown.lock().add(count);
        if sent == len {
            shown.lock().wait_for(&format!("the server takes {} in", bytes(len)));
        }
    });
    let request = client
        .call(Method::POST, "/db/upload", &[("db", db)])
        .header(lease::HEADER, lease)
        // The server can refuse what is too long before it is sent.
        .header(CONTENT_LENGTH, len)
        .body(Body::wrap_stream(stream::iter(pieces)));
    let answer = client.json(request).await;
    drop(progress);
    answer
}
