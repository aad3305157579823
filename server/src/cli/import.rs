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

use super::client::{Client, Done, ServerArgs};
use super::lease::{self, under_lease};
use super::output::{self, text_of};
use super::progress::Progress;
use super::source::Source;
use super::table::bytes;

/// The arguments of `import`.
#[derive(Args)]
pub(super) struct ImportArgs {
    /// A SQLite file; others may be using it.
    file: PathBuf,
    /// The database, which may be new.
    name: DbName,
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
    let source = Source::open(&args.file)?;
    let answer = under_lease(&client, db, async |lease| {
        upload(&client, db, &source, lease, args.verbose).await
    });
    let txid = text_of(&answer.await?, "txID")?;
    let len = source.len();
    output::print(args.server.json, &json!({ "name": db, "txID": txid, "bytes": len }), || {
        format!("imported {} as {db}: {}, transaction {txid}\n", args.file.display(), bytes(len))
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
