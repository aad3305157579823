//! Connections: takes them, one task each, and lets them finish when the server stops.

mod stream;
mod tls;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use tokio::sync::oneshot::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

pub use tls::Tls;

use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::places::{Full, Place, Places};
use crate::routes::Peer;
use stream::Paced;

/// The longest wait for a request's header, and so also for the next request of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// The same for the first request of a connection.
const FIRST_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
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
    /// How many of them may be from one address.
    pub max_from_one: usize,
    /// Counts them and their bytes.
    pub metrics: Metrics,
    /// What answers their requests.
    pub calls: Router,
    /// What answers on those past the limit.
    pub turn_away: Router,
}

/// Serves connections until `stop`, then lets the requests under way finish.
pub async fn serve(net: Net, stop: impl Future<Output = ()>) {
    let Net { listener, tls, max_connections, max_from_one, metrics, calls, turn_away } = net;
    let served = Door::new(calls, HEADER_TIMEOUT);
    let places = Places::new(max_connections, max_from_one);
    let turned_away = Door::new(turn_away, TURN_AWAY_TIMEOUT);
    let more = Arc::new(Semaphore::new(TURNED_AWAY));
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
        let (door, guest) = match places.enter(peer) {
            Ok((place, told)) => (&served, Guest::Served(Arc::new(place), Some(told))),
            Err(full) => match Arc::clone(&more).try_acquire_owned() {
                Ok(place) => (&turned_away, Guest::TurnedAway(full, place)),
                Err(_) => {
                    metrics.refused(full.label());
                    continue;
                }
            },
        };
        let connection = Connection {
            http: door.http.clone(),
            router: door.router.clone(),
            peer,
            guest,
            watcher: connections.watcher(),
            stopped: stopped.clone(),
        };
        let (tls, metrics) = (tls.clone(), metrics.clone());
        tokio::spawn(async move {
            let _counted = metrics.connection();
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

/// How some connections are served.
struct Door {
    http: http1::Builder,
    router: Router,
}

/// What a connection is let in with.
enum Guest {
    /// Its place, and what ends when it must give that up.
    Served(Arc<Place>, Option<Receiver<()>>),
    /// Why it has none.
    TurnedAway(Full, #[allow(dead_code, reason = "it is one of few")] OwnedSemaphorePermit),
}

impl Door {
    fn new(router: Router, header_timeout: Duration) -> Door {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(MAX_HEADER_BYTES);
        Door { http, router }
    }
}

/// A connection that was taken.
struct Connection {
    http: http1::Builder,
    router: Router,
    peer: IpAddr,
    guest: Guest,
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
        let (mark, told) = match &mut self.guest {
            Guest::Served(place, told) => (Mark::Place(Arc::clone(place)), told.take()),
            Guest::TurnedAway(full, _) => (Mark::Full(*full), None),
        };
        tokio::select! {
            ended = self.serve(mark, stream, tls, metrics) => ended,
            () = given_up(told) => Err("it did nothing just then, and gave up its place".into()),
        }
    }

    async fn serve(
        mut self,
        mark: Mark,
        stream: TcpStream,
        tls: Option<&Tls>,
        metrics: Metrics,
    ) -> Result<(), String> {
        // Answers are often smaller than a packet: without this each would wait for the last one's
        // acknowledgement. A socket that cannot do it still works.
        let _ = stream.set_nodelay(true);
        let stream = Paced::new(stream, Pace::default(), metrics);
        let Some(tls) = tls else {
            return self.http(mark, stream).await;
        };
        let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream));
        let stream = tokio::select! {
            stream = handshake => stream.map_err(|_| "the TLS handshake took too long")?,
            _ = self.stopped.changed() => return Ok(()),
        };
        self.http(mark, stream.map_err(|error: io::Error| format!("TLS: {error}"))?).await
    }

    async fn http<S>(self, mark: Mark, stream: S) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, peer) = (self.router, Peer(self.peer));
        let begun = Arc::new(AtomicBool::new(false));
        let has_begun = Arc::clone(&begun);
        let service = service_fn(move |mut request: Request<Incoming>| {
            begun.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(peer);
            match &mark {
                Mark::Place(place) => drop(request.extensions_mut().insert(Arc::clone(place))),
                Mark::Full(full) => drop(request.extensions_mut().insert(*full)),
            }
            router.clone().oneshot(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let late = async {
            tokio::time::sleep(FIRST_HEADER_TIMEOUT).await;
            if has_begun.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = self.watcher.watch(connection) => ended.map_err(|error| error.to_string()),
            () = late => Err("its first request took too long to arrive".into()),
        }
    }
}

/// What requests of a connection bear.
enum Mark {
    Place(Arc<Place>),
    Full(Full),
}

/// Ends when a connection must give up its place.
async fn given_up(told: Option<Receiver<()>>) {
    match told {
        Some(told) => drop(told.await),
        None => std::future::pending().await,
    }
}
