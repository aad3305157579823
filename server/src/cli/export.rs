//! `litevfs-cloud export`: a database, as it is or was, as a SQLite file.
//!
//! A file gets its name when it is complete, checked and synced: [`super::target`] says where else it goes.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use litevfs::types::{DbName, Txid};
use reqwest::{Method, Response};
use serde_json::json;

use super::check::{Finding, check, is_encrypted, open_still};
use super::client::{Client, Done, ServerArgs};
use super::output;
use super::progress::Progress;
use super::stop::Stop;
use super::table;
use super::target::Target;
use super::times::{self, Time};

/// The longest wait for the next bytes.
const STALL_LIMIT: Duration = Duration::from_secs(120);
/// The longest wait for whoever reads from a pipe. The server would wait no longer either.
const READER_LIMIT: Duration = Duration::from_secs(60);

/// The arguments of `export`.
#[derive(Args)]
pub(super) struct ExportArgs {
    /// The database.
    name: DbName,
    /// The file to make; - is standard output.
    file: PathBuf,
    /// As it was after that transaction.
    #[arg(long, value_name = "TXID", conflicts_with = "timestamp")]
    txid: Option<Txid>,
    /// As it was at that time: RFC 3339, or like "5 minutes ago".
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    timestamp: Option<Time>,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
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
pub(super) async fn run(args: ExportArgs) -> Done {
    let client = Client::new(&args.server)?;
    // A FIFO is waited for here, and no signal is listened to yet.
    let target = Target::open(&args.file, args.force)?;
    let is_stdout = matches!(target, Target::Stream { is_stdout: true, .. });
    let done = match target {
        // What a signal does to it is for whoever reads there to see.
        Target::Stream { file, .. } => to_stream(&client, &args, file).await?,
        Target::Place(place) => {
            let mut stop = Stop::listen();
            let mut disk = Disk(place.file());
            let received = tokio::select! {
                received = receive(&client, &args, &mut disk) => received?,
                text = stop.asked() => return Err(text.into()),
            };
            // The place stays here: whatever this comes to, the file goes unless it takes its name.
            let made = (place.file().try_clone()?, place.path().to_owned());
            let is_checked = !args.no_check;
            stop.during(move |_| finish(&made.0, &made.1, is_checked)).await?;
            place.take()?;
            received
        }
    };
    let Received { len, pos } = done;
    let db = args.name.as_str();
    let file = args.file.to_string_lossy();
    let report = json!({ "name": db, "file": file, "bytes": len, "pos": pos });
    let text = || {
        let pos = pos.as_deref().unwrap_or("an unknown position");
        format!("exported {db} to {file}: {}, at {pos}\n", table::bytes(len))
    };
    if is_stdout {
        return output::print_aside(args.server.json, &report, text);
    }
    output::print(args.server.json, &report, text)
}

async fn ask(client: &Client, args: &ExportArgs) -> Done<Response> {
    let txid = args.txid.map(|txid| txid.to_string());
    let mut query = vec![("db", args.name.as_str()), ("format", "sqlite")];
    query.extend(txid.as_deref().map(|txid| ("txid", txid)));
    query.extend(args.timestamp.as_ref().map(|time| ("timestamp", time.0.as_str())));
    client.send(client.call(Method::GET, "/db/snapshot", &query)).await
}

async fn to_stream(client: &Client, args: &ExportArgs, file: File) -> Done<Received> {
    let file = Arc::new(file);
    let received = receive(client, args, &mut Stream(Arc::clone(&file))).await?;
    // A file behind a redirection may turn out to have no room only now; what is no file cannot be synced.
    match file.sync_all() {
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(lost(args, &error).into()),
        _ => Ok(received),
    }
}

/// Sees to it that the file is sound, if that is wanted, and on the disk.
fn finish(file: &File, path: &Path, is_checked: bool) -> Done {
    if is_checked && !is_encrypted(path)? {
        match open_still(path).and_then(|db| check(&db)) {
            Ok(Finding::Sound) => {}
            Ok(Finding::Damaged(problem)) => {
                let text = format!("the database is damaged ({problem})");
                return Err(format!("{text}: --no-check exports it as it is").into());
            }
            Ok(Finding::Unknown(why)) => {
                let text = "the file is whole, but could not be checked";
                output::warn(&format!("{text} ({why}): --no-check leaves that out"));
            }
            Err(error) => {
                let text = format!("the copy cannot be checked ({error})");
                return Err(format!("{text}: --no-check leaves that out").into());
            }
        }
    }
    Ok(file.sync_all()?)
}

/// Takes the bytes of a database.
trait Sink {
    async fn take(&mut self, piece: Bytes) -> io::Result<()>;
}

/// A file on a disk.
struct Disk<'a>(&'a File);

impl Sink for Disk<'_> {
    async fn take(&mut self, piece: Bytes) -> io::Result<()> {
        self.0.write_all(&piece)
    }
}

/// A pipe or a device, which may have no room for as long as it likes.
struct Stream(Arc<File>);

impl Sink for Stream {
    async fn take(&mut self, piece: Bytes) -> io::Result<()> {
        let file = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || file.as_ref().write_all(&piece));
        tokio::time::timeout(READER_LIMIT, written).await??
    }
}

/// What came of a request.
struct Received {
    len: u64,
    pos: Option<String>,
}

/// Asks for the database and writes all of it out.
async fn receive(client: &Client, args: &ExportArgs, out: &mut impl Sink) -> Done<Received> {
    let mut answer = ask(client, args).await?;
    let pos = answer.headers().get("litevfs-pos").and_then(|pos| pos.to_str().ok());
    let pos = pos.map(str::to_owned);
    let announced = answer.content_length();
    let mut progress = Progress::new(&format!("exporting {}", args.name), announced, args.verbose);
    let mut len = 0_u64;
    loop {
        let piece = tokio::time::timeout(STALL_LIMIT, answer.chunk()).await;
        let piece = piece.map_err(|_| "the server stopped sending: try again")?;
        let Some(piece) = piece.map_err(|error| client.broken(&error))? else {
            break;
        };
        let count = piece.len();
        out.take(piece).await.map_err(|error| lost(args, &error))?;
        len = len.saturating_add(count as u64);
        progress.add(count);
    }
    if announced.is_some_and(|announced| announced != len) {
        return Err("the server sent less than it announced: try again".into());
    }
    Ok(Received { len, pos })
}

/// What to say when bytes could not be written.
fn lost(args: &ExportArgs, error: &io::Error) -> String {
    use io::ErrorKind::{BrokenPipe, FileTooLarge, QuotaExceeded, StorageFull, TimedOut};
    let advice = match error.kind() {
        StorageFull | QuotaExceeded => ": make room there, or give a file elsewhere",
        FileTooLarge => ": give a file on another file system",
        BrokenPipe => ": whoever was to read it has gone",
        TimedOut => ": whoever is to read it does not",
        _ => "",
    };
    format!("{}: writing failed: {error}{advice}", args.file.display())
}
