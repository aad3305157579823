//! `litevfs-cloud export`: a database, as it is or was, as a SQLite file.
//!
//! The file gets its name when it is complete, checked and synced; until then it is `FILE.partial`.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use litevfs::page1;
use litevfs::types::{DbName, Txid};
use reqwest::{Method, Response};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::client::{Client, Done, ServerArgs};
use super::output;
use super::progress::Progress;
use super::source::beside;
use super::table::bytes;
use super::times::{self, Time};

/// The longest wait for the next bytes.
const STALL_LIMIT: Duration = Duration::from_secs(120);

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
    let to_stdout = args.file.as_os_str() == "-";
    if to_stdout && io::stdout().is_terminal() {
        return Err("a SQLite file is not for a terminal: give a file, or pipe it".into());
    }
    if !to_stdout && !args.force {
        refuse_existing(&args.file)?;
    }
    let answer = ask(&client, &args).await?;
    let pos = answer.headers().get("litevfs-pos").and_then(|pos| pos.to_str().ok());
    let pos = pos.map(str::to_owned);
    let db = args.name.as_str();
    let progress = Progress::new(&format!("exporting {db}"), answer.content_length(), args.verbose);
    let len = if to_stdout {
        receive(&client, answer, &mut io::stdout().lock(), progress).await?
    } else {
        to_file(&client, answer, &args, progress).await?
    };
    let report = json!({ "name": db, "file": args.file, "bytes": len, "pos": pos });
    let text = || {
        let pos = pos.as_deref().unwrap_or("an unknown position");
        format!("exported {db} to {}: {}, at {pos}\n", args.file.display(), bytes(len))
    };
    if to_stdout {
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

/// A WAL or journal that is there would be taken for the new file's.
fn refuse_existing(file: &Path) -> Done {
    for (path, what) in [
        (file.to_owned(), "is there already"),
        (beside(file, "-wal"), "is of a database that was there"),
        (beside(file, "-journal"), "is of a database that was there"),
    ] {
        if path.symlink_metadata().is_ok() {
            let text = format!("{} {what}: give another name, or --force", path.display());
            return Err(text.into());
        }
    }
    Ok(())
}

async fn to_file(
    client: &Client,
    answer: Response,
    args: &ExportArgs,
    progress: Progress,
) -> Done<u64> {
    let partial = beside(&args.file, ".partial");
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", partial.display());
    let mut file = File::create(&partial).map_err(|error| failed(&error))?;
    let done = async {
        let len = receive(client, answer, &mut file, progress).await?;
        file.sync_all().map_err(|error| failed(&error))?;
        if !args.no_check {
            check(&partial)?;
        }
        for suffix in ["-wal", "-shm", "-journal"] {
            match fs::remove_file(beside(&args.file, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        fs::rename(&partial, &args.file)?;
        let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(len)
    };
    let done: Done<u64> = done.await;
    if done.is_err() {
        // Of no use to anybody.
        let _ = fs::remove_file(&partial);
    }
    done
}

/// Writes a body out, all of it, and says how long it was.
async fn receive(
    client: &Client,
    mut answer: Response,
    out: &mut dyn Write,
    mut progress: Progress,
) -> Done<u64> {
    let announced = answer.content_length();
    let mut len = 0_u64;
    loop {
        let piece = tokio::time::timeout(STALL_LIMIT, answer.chunk()).await;
        let piece = piece.map_err(|_| "the server stopped sending: try again")?;
        let Some(piece) = piece.map_err(|error| client.broken(&error))? else {
            break;
        };
        out.write_all(&piece).map_err(|error| format!("writing failed: {error}"))?;
        len = len.saturating_add(piece.len() as u64);
        progress.add(piece.len());
    }
    out.flush()?;
    if announced.is_some_and(|announced| announced != len) {
        return Err("the server sent less than it announced: try again".into());
    }
    Ok(len)
}

/// Asks SQLite whether the file is sound, without leaving files of its own beside it. One that is encrypted
/// only who has the key can check.
fn check(path: &Path) -> Done {
    let mut start = Vec::new();
    File::open(path)?.take(page1::MAGIC.len() as u64).read_to_end(&mut start)?;
    if page1::is_encrypted(&start) {
        return Ok(());
    }
    let mut uri = String::from("file:");
    uri.extend(form_urlencoded::byte_serialize(path.as_os_str().as_encoded_bytes()));
    // What a form writes as a plus sign, a URI's path does not.
    let uri = uri.replace('+', "%20") + "?immutable=1";
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let checked = Connection::open_with_flags(uri, flags)
        .and_then(|db| db.query_row("PRAGMA quick_check(1)", (), |row| row.get::<_, String>(0)));
    match checked.as_deref() {
        Ok("ok") => Ok(()),
        Ok(problem) => {
            let problem = problem.replace('\n', " ");
            Err(format!("the database is damaged ({problem}): --no-check exports it as it is")
                .into())
        }
        Err(error) => {
            Err(format!("the copy cannot be checked ({error}): --no-check leaves that out").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_takes_any_path_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b+c%41?d#e&f");
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x)").unwrap();
        db.close().unwrap();
        check(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut bytes = fs::read(&path).unwrap();
        bytes[4096..].fill(0xff);
        fs::write(&path, &bytes).unwrap();
        let error = check(&path).unwrap_err().to_string();
        assert!(error.contains("--no-check"), "{error}");
        bytes[..16].fill(0xff);
        fs::write(&path, &bytes).unwrap();
        check(&path).unwrap();
    }

    #[test]
    fn nothing_is_replaced_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("db");
        refuse_existing(&file).unwrap();
        for name in ["db-wal", "db-journal", "db"] {
            fs::write(dir.path().join(name), "").unwrap();
            let error = refuse_existing(&file).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("--force"), "{error}");
            fs::remove_file(dir.path().join(name)).unwrap();
        }
    }
}
