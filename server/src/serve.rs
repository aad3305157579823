//! Runs the server: sets it up, serves, and stops when it is told to.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::Config;
use crate::health::Health;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::net::{self, Net};
use crate::random;
use crate::regrant::Grants;
use crate::routes::{router, turn_away};
use crate::store::location::Taken;
use crate::store::{Error, Store};
use crate::turns::Turns;

/// Serves until SIGTERM or SIGINT.
pub fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        start(config, stop).await
    });
    // Commits that outlasted the wait are cut off between steps; the files stay sound.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done.map(Taken::keep_until_exit)
}

async fn start(
    config: Config,
    stop: impl Future<Output = ()>,
) -> Result<Taken, Box<dyn std::error::Error>> {
    let metrics = Metrics::default();
    let taken = config.store.location.take(&config.store, &metrics)?;
    let store = Store::open_store(taken.objects.clone(), &config.store, metrics.clone())
        .await
        .map_err(|error| match error {
            Error::Unfit { .. } => error.to_string(),
            error => format!("cannot use {}: {error}", taken.objects.name()),
        })?;
    store.start_compaction();
    let open = config.auth.is_open();
    let app = Arc::new(App {
        store,
        auth: config.auth,
        limits: Limits::new(config.net.max_requests, config.net.rate),
        grants: Grants::default(),
        turns: Turns::new(),
        metrics,
        metrics_public: config.net.metrics_public,
        health: Health::default(),
        max_body: config.max_body,
        max_import: config.max_import,
        instance_id: random::hex::<8>()?.try_into()?,
    });
    let listener = TcpListener::bind(config.listen.as_slice())
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", list(&config.listen)))?;
    // Whoever started this may not read, or no longer; the server runs all the same.
    let scheme = if config.net.tls.is_some() { "https" } else { "http" };
    let _ = announce(scheme, listener.local_addr()?, open);
    let net = Net {
        listener,
        tls: config.net.tls,
        max_connections: config.net.max_connections,
        max_from_one: config.net.max_from_one,
        metrics: app.metrics.clone(),
        calls: router(Arc::clone(&app), &config.net.origins),
        turn_away: turn_away(Arc::clone(&app)),
    };
    let drained = async {
        stop.await;
        // Whoever sends requests here is to look elsewhere first.
        app.health.stop();
        tokio::time::sleep(config.net.stop_delay).await;
    };
    net::serve(net, drained).await;
    taken.stop().await;
    Ok(taken)
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn announce(scheme: &str, address: SocketAddr, open: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "litevfs-cloud listening on {scheme}://{address}")?;
    out.flush()?;
    if open {
        let text = "litevfs-cloud: no --token given: serving this machine only, without \
                    authentication";
        writeln!(io::stderr(), "{text}")?;
    }
    Ok(())
}
