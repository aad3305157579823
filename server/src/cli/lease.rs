//! Keeps a database's write lease while a verb replaces its content, so that nobody's commits are
//! overwritten unseen, and nobody's lease stops a long upload at its very end.

use std::time::Duration;

use litevfs::peer::field;
use reqwest::Method;
use serde_json::Value;

use super::client::{Client, Done, Refused};
use super::stop::Stop;

/// How long the lease outlasts the last request for it.
const DURATION_MS: &str = "30000";
/// The pause between two requests.
const REFRESH: Duration = Duration::from_secs(8);

/// The header that shows the lease to the server.
pub(super) const HEADER: &str = "Lfsc-Lease-Id";

/// Does work under the lease, whose id it gets, and gives the lease back.
pub(super) async fn under_lease<T>(
    client: &Client,
    db: &str,
    stop: &mut Stop,
    work: impl AsyncFnOnce(&str) -> Done<T>,
) -> Done<T> {
    let query = [("db", db), ("duration", DURATION_MS)];
    let lease = tokio::select! {
        lease = client.ask(Method::POST, "/lease", &query) => lease?,
        text = stop.asked() => return Err(text.into()),
    };
    let id = lease.get("id").and_then(Value::as_str).filter(|id| field::is_id(id));
    let id = id.ok_or("the server granted no usable lease")?;
    let done = tokio::select! {
        done = work(id) => done,
        lost = keep(client, db, id) => Err(lost),
        text = stop.asked() => Err(text.into()),
    };
    // Otherwise it ends by itself, soon.
    let _ = client.ask(Method::DELETE, "/lease", &[("db", db), ("id", id)]).await;
    done
}

/// Prolongs the lease until the server says that it is over.
async fn keep(client: &Client, db: &str, id: &str) -> Box<dyn std::error::Error> {
    loop {
        tokio::time::sleep(REFRESH).await;
        let query = [("db", db), ("duration", DURATION_MS), ("id", id)];
        match client.ask(Method::POST, "/lease", &query).await {
            // A network that fails now may be back before the lease is over.
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|r| r.code == "ELEASE") => {
                return error;
            }
            _ => {}
        }
    }
}
