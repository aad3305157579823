//! `litevfs-cloud list`, `info` and `status`: what is on the server.

use clap::Args;
use litevfs::types::DbName;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, Done, ServerArgs};
use super::output;
use super::table::{bytes, table};

/// The arguments of `list` and `status`.
#[derive(Args)]
pub(super) struct ViewArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// The arguments of `info`.
#[derive(Args)]
pub(super) struct InfoArgs {
    /// The database.
    name: DbName,
    /// Show every restore point, not only the last hundred.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pos {
    txid: String,
    post_apply_checksum: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    version: String,
    store: String,
    databases: Vec<DatabaseStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DatabaseStatus {
    name: String,
    pos: Pos,
    size_bytes: u64,
    stored_bytes: u64,
    files: u64,
    timestamp: Option<String>,
    lease_expires_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    /// Not told by other servers of the protocol.
    folder: Option<String>,
    restorable_paths: Vec<Point>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    max_tx_id: String,
    max_timestamp: String,
    post_apply_checksum: String,
}

/// Runs `list`, which any server of the protocol can answer.
pub(super) async fn list(args: ViewArgs) -> Done {
    let positions = Client::new(&args.server)?.ask(Method::GET, "/pos", &[]).await?;
    let positions: std::collections::BTreeMap<String, Value> = read(positions)?;
    let list = |(name, pos): (&String, &Value)| json!({ "name": name, "pos": pos });
    let shown: Value = positions.iter().map(list).collect();
    let rows = positions.into_iter().map(|(name, pos)| {
        let Pos { txid, post_apply_checksum } = read(pos)?;
        Ok(vec![name, txid, post_apply_checksum])
    });
    let rows: Vec<Vec<String>> = rows.collect::<Done<_>>()?;
    output::print(args.server.json, &shown, || {
        databases(&["NAME", "TRANSACTION", "CHECKSUM"], &rows)
    })
}

/// Runs `status`.
pub(super) async fn status(args: ViewArgs) -> Done {
    let shown = Client::new(&args.server)?.ask(Method::GET, "/status", &[]).await?;
    let status: Status = read(shown.clone())?;
    let rows: Vec<Vec<String>> = status.databases.into_iter().map(row).collect();
    let titles =
        ["NAME", "TRANSACTION", ">SIZE", ">STORED", ">FILES", "LAST COMMIT", "LEASE UNTIL"];
    output::print(args.server.json, &shown, || {
        let head = format!("litevfs-cloud {}, {}\n\n", status.version, status.store);
        head + &databases(&titles, &rows)
    })
}

fn row(database: DatabaseStatus) -> Vec<String> {
    vec![
        database.name,
        database.pos.txid,
        bytes(database.size_bytes),
        bytes(database.stored_bytes),
        database.files.to_string(),
        database.timestamp.unwrap_or_else(|| "-".into()),
        database.lease_expires_at.unwrap_or_else(|| "-".into()),
    ]
}

/// Runs `info`.
pub(super) async fn info(args: InfoArgs) -> Done {
    let all = if args.all { "true" } else { "false" };
    let query = [("db", args.name.as_str()), ("all", all)];
    let shown = Client::new(&args.server)?.ask(Method::GET, "/db/info", &query).await?;
    let info: Info = read(shown.clone())?;
    let rows: Vec<Vec<String>> = info
        .restorable_paths
        .into_iter()
        .map(|point| vec![point.max_tx_id, point.max_timestamp, point.post_apply_checksum])
        .collect();
    output::print(args.server.json, &shown, || {
        let folder = info.folder.map(|folder| format!("its files are in the store's {folder}\n\n"));
        folder.unwrap_or_default()
            + &format!("{} can go back to:\n\n", args.name)
            + &table(&["TRANSACTION", "COMMITTED", "CHECKSUM"], &rows)
    })
}

fn databases(titles: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "there is no database: \"litevfs-cloud import FILE NAME\" makes one\n".into();
    }
    table(titles, rows)
}

fn read<T: serde::de::DeserializeOwned>(json: Value) -> Done<T> {
    let what = |error| format!("the server's answer is not understood: {error}");
    Ok(serde_json::from_value(json).map_err(what)?)
}
