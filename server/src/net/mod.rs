//! Connections: takes them, one task each, and lets them finish when the server stops.

mod stream;
mod tls;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

pub use tls::Tls;

use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::routes::Peer;
use stream::Paced;

/// The longest wait for a request's header, and so also for the next request of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// The same on a connection that is turned away.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest request line and headers together: room for the longest page list, four times over.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// The longest wait for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take to finish when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How many connections past the limit are told so at a time; more are closed without a word.
const TURNED_AWAY: usize = 64;

/// What connections are taken with.
pub struct Net {
    /// Where they arrive.
    pub listener: TcpListener,
    /// Set if they are to be encrypted.
    pub tls: Option<Tls>,
    /// How many there may be at a time.
    pub max_connections: usize,
    /// Counts them and their bytes.
    pub metrics: Metrics,
    /// What answers their requests.
    pub calls: Router,
    /// What answers on those past the limit.
    pub turn_away: Router,
}

/// Serves connections until `stop`, then lets the requests under way finish.
pub async fn serve(net: Net, stop: impl Future<Output = ()>) {
    let Net { listener, tls, max_connections, metrics, calls, turn_away } = net;
    let served = Door::new(calls, HEADER_TIMEOUT, max_connections);
    let turned_away = Door::new(turn_away, TURN_AWAY_TIMEOUT, TURNED_AWAY);
    let tls = tls.map(Arc::new);
    let connections = GracefulShutdown::new();
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, address.ip()),
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some((door, place)) = served.enter().or_else(|| turned_away.enter()) else {
            metrics.refused("connections");
            continue;
        };
        let connection = Connection {
            http: door.http.clone(),
            router: door.router.clone(),
            peer,
            watcher: connections.watcher(),
            stopped: stopped.clone(),
        };
        let (tls, metrics) = (tls.clone(), metrics.clone());
        tokio::spawn(async move {
            let _counted = (place, metrics.connection());
            if let Err(error) = connection.run(stream, tls.as_deref(), metrics).await {
                tracing::debug!(error, "a connection ended");
            }
        });
    }
    drop((listener, stopped));
    tracing::info!("stopping");
    // Handshakes are given up; connections end after the request that they are in.
    drop(stopping);
    if tokio::time::timeout(STOP_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way after {} s", STOP_TIMEOUT.as_secs());
    }
}

/// How some connections are served, and how many may be at a time.
struct Door {
    http: http1::Builder,
    router: Router,
    places: Arc<Semaphore>,
}

impl Door {
    fn new(router: Router, header_timeout: Duration, places: usize) -> Door {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(MAX_HEADER_BYTES);
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Door { http, router, places }
    }

    fn enter(&self) -> Option<(&Door, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some((self, place))
    }
}

/// A connection that was taken.
struct Connection {
    http: http1::Builder,
    router: Router,
    peer: IpAddr,
    watcher: Watcher,
    /// Ends when the server stops.
    stopped: watch::Receiver<()>,
}

impl Connection {
    async fn run(
        mut self,
        stream: TcpStream,
        tls: Option<&Tls>,
        metrics: Metrics,
    ) -> Result<(), String> {
        // Answers are often smaller than a packet: without this each would wait for the last one's
        // acknowledgement. A socket that cannot do it still works.
        let _ = stream.set_nodelay(true);
        let stream = Paced::new(stream, Pace::default(), metrics);
        let Some(tls) = tls else {
            return self.http(stream).await;
        };
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream));
        let stream = tokio::select! {
            stream = handshake => stream.map_err(|_| "the TLS handshake took too long")?,
            _ = self.stopped.changed() => return Ok(()),
        };
        self.http(stream.map_err(|error: io::Error| format!("TLS: {error}"))?).await
    }

    async fn http<S>(self, stream: S) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, peer) = (self.router, Peer(self.peer));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        self.watcher.watch(connection).await.map_err(|error| error.to_string())
    }
}
