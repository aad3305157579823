//! `litevfs-cloud clusters`: lists, makes and deletes clusters.

use clap::{Args, Subcommand};
use litevfs::types::ClusterName;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Done, ServerArgs};
use super::output::{self, text_of};
use super::table::table;

/// Clusters asked for at once.
const PAGE: usize = 1000;

/// The verbs of `clusters`.
#[derive(Subcommand)]
pub(super) enum ClustersVerb {
    /// List the clusters that the token may know of.
    List(ListArgs),
    /// Make a cluster; one also comes into being with its first database.
    Create(NamedArgs),
    /// Delete a cluster without databases.
    Delete(NamedArgs),
}

/// The arguments of `clusters list`.
#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// The arguments of `clusters create` and `clusters delete`.
#[derive(Args)]
pub(super) struct NamedArgs {
    /// The cluster.
    name: ClusterName,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the verb.
pub(super) async fn run(verb: ClustersVerb) -> Done {
    match verb {
        ClustersVerb::List(args) => list(&args.server).await,
        ClustersVerb::Create(args) => {
            let query = [("cluster", args.name.as_str())];
            let made = Client::new(&args.server)?.ask(Method::POST, "/clusters", &query).await?;
            let id = text_of(&made, "id")?;
            output::print(args.server.json, &made, || {
                format!("there is a cluster {}: {id}\n", args.name)
            })
        }
        ClustersVerb::Delete(args) => {
            let query = [("cluster", args.name.as_str())];
            Client::new(&args.server)?.ask(Method::DELETE, "/clusters", &query).await?;
            let report = json!({ "name": args.name.as_str(), "deleted": true });
            output::print(args.server.json, &report, || format!("deleted cluster {}\n", args.name))
        }
    }
}

async fn list(args: &ServerArgs) -> Done {
    let client = Client::new(args)?;
    let mut clusters: Vec<Value> = Vec::new();
    loop {
        let offset = clusters.len().to_string();
        let query = [("limit", PAGE.to_string()), ("offset", offset)];
        let query: Vec<(&str, &str)> = query.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let mut answer = client.ask(Method::GET, "/clusters", &query).await?;
        let page = answer.get_mut("clusters").and_then(Value::as_array_mut);
        let page = page.map(std::mem::take).unwrap_or_default();
        let is_last = page.len() < PAGE;
        clusters.extend(page);
        if is_last {
            break;
        }
    }
    let row = |cluster: &Value| Ok(vec![text_of(cluster, "name")?, text_of(cluster, "id")?]);
    let rows: Vec<Vec<String>> = clusters.iter().map(row).collect::<Done<_>>()?;
    output::print(args.json, &Value::from(clusters), || table(&["NAME", "ID"], &rows))
}
