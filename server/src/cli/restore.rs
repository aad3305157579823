//! `litevfs-cloud restore` and `delete`: a database made what it was, or ended.

use clap::Args;
use litevfs::types::{DbName, Txid};
use reqwest::Method;
use serde_json::json;

use super::client::{Client, Done, ServerArgs};
use super::lease::{self, under_lease};
use super::output::{self, text_of};
use super::stop::Stop;
use super::times::{self, Time};

/// The arguments of `restore`.
#[derive(Args)]
#[group(id = "when", required = true, args = ["txid", "timestamp"])]
pub(super) struct RestoreArgs {
    /// The database.
    name: DbName,
    /// What it was after that transaction.
    #[arg(long, value_name = "TXID")]
    txid: Option<Txid>,
    /// What it was at that time: RFC 3339, or like "5 minutes ago".
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    timestamp: Option<Time>,
    /// Only say which transaction that is.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// The arguments of `delete`.
#[derive(Args)]
pub(super) struct DeleteArgs {
    /// The database, which goes with its history.
    name: DbName,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs `restore`.
pub(super) async fn run(args: RestoreArgs) -> Done {
    let client = Client::new(&args.server)?;
    let (db, as_json) = (args.name.as_str(), args.server.json);
    let txid = args.txid.map(|txid| txid.to_string());
    let mut query = vec![("db", db)];
    query.extend(txid.as_deref().map(|txid| ("txid", txid)));
    query.extend(args.timestamp.as_ref().map(|time| ("timestamp", time.0.as_str())));
    // First, so that what is done is what is said, whatever is committed meanwhile.
    let point = client.ask(Method::GET, "/db/restore/check", &query).await?;
    let (from, time) = (text_of(&point, "txID")?, text_of(&point, "timestamp")?);
    if args.check {
        return output::print(as_json, &point, || {
            format!("{db} can go back to transaction {from} of {time}\n")
        });
    }
    let mut stop = Stop::listen();
    let answer = under_lease(&client, db, &mut stop, async |lease| {
        let request = client.call(Method::POST, "/db/restore", &[("db", db), ("txid", &from)]);
        client.json(request.header(lease::HEADER, lease)).await
    });
    let made = text_of(&answer.await?, "txID")?;
    let report =
        json!({ "name": db, "txID": made, "restored": { "txID": from, "timestamp": time } });
    output::print(as_json, &report, || {
        format!(
            "{db} is again what it was after transaction {from} of {time}: transaction {made}\n"
        )
    })
}

/// Runs `delete`.
pub(super) async fn delete(args: DeleteArgs) -> Done {
    let client = Client::new(&args.server)?;
    let db = args.name.as_str();
    output::confirm(&format!("delete {db} with all its history?"), args.yes)?;
    let mut stop = Stop::listen();
    under_lease(&client, db, &mut stop, async |lease| {
        let request = client.call(Method::DELETE, "/db", &[("db", db)]);
        client.json(request.header(lease::HEADER, lease)).await
    })
    .await?;
    output::print(args.server.json, &json!({ "name": db, "deleted": true }), || {
        format!("deleted {db}\n")
    })
}
