//! Runs the server: sets it up, accepts connections, and stops when it is told to.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::random;
use crate::routes::router;
use crate::store::Store;

/// The longest wait for a request's header, and so also for the next request of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest request line and headers together: room for the longest page list, four times over.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// How long requests under way may take to finish when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    done
}

async fn start(
    config: Config,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let metrics = Metrics::default();
    let taken = config.store.location.take(&config.store, &metrics)?;
    let store = Store::open_store(taken.objects.clone(), &config.store, metrics)
        .await
        .map_err(|error| format!("cannot use {}: {error}", taken.objects.name()))?;
    store.start_compaction();
    let open = config.auth.is_open();
    let app = Arc::new(App {
        store,
        auth: config.auth,
        max_body: config.max_body,
        max_import: config.max_import,
        instance_id: random::hex::<8>()?.try_into()?,
    });
    let listener = TcpListener::bind(config.listen.as_slice())
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", list(&config.listen)))?;
    // Whoever started this may not read, or no longer; the server runs all the same.
    let _ = announce(listener.local_addr()?, open);
    accept(listener, router(app), stop).await;
    Ok(())
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn announce(address: SocketAddr, open: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "litevfs-cloud listening on http://{address}")?;
    out.flush()?;
    if open {
        let text = "litevfs-cloud: no --token given: serving this machine only, without \
                    authentication";
        writeln!(io::stderr(), "{text}")?;
    }
    Ok(())
}

/// Serves connections until `stop`, then lets the requests under way finish.
pub async fn accept(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES);
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(&http, stream, router.clone());
                let watched = connections.watch(connection);
                tokio::spawn(async move {
                    if let Err(error) = watched.await {
                        tracing::debug!(%error, "connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tracing::info!("stopping");
    if tokio::time::timeout(STOP_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way after {} s", STOP_TIMEOUT.as_secs());
    }
}

type Service = TowerToHyperService<Router>;

fn connection(
    http: &http1::Builder,
    stream: TcpStream,
    router: Router,
) -> http1::Connection<TokioIo<TcpStream>, Service> {
    // Answers are often smaller than a packet: without this each would wait for the last one's
    // acknowledgement. A socket that cannot do it still works.
    let _ = stream.set_nodelay(true);
    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}
