//! What the server counts, for operators: one table of counters, shown as Prometheus text.
//!
//! Every layer may hold a [`Metrics`], which is one pointer, and call it where a thing happens; the
//! call `/metrics` shows the sums. Labels are few and fixed, so the table stays small: never a
//! database, a cluster or a client.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the latency buckets, in seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Latencies<L> = Family<L, Histogram, fn() -> Histogram>;

/// A cache that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Page indexes of databases, in memory.
    Index,
    /// Files of the object store, on local disk.
    Disk,
}

impl Cache {
    const fn label(self) -> Labels<1> {
        match self {
            Cache::Index => [("cache", "index")],
            Cache::Disk => [("cache", "disk")],
        }
    }
}

/// The counters of one server.
#[derive(Debug, Clone)]
pub struct Metrics {
    table: Arc<Table>,
}

#[derive(Debug)]
struct Table {
    registry: Registry,
    requests: Family<[(&'static str, String); 2], Counter>,
    latencies: Latencies<[(&'static str, String); 1]>,
    in_flight: Gauge,
    refused: Counters<1>,
    connections: Gauge,
    received: Counter,
    sent: Counter,
    commits: Counter,
    commit_bytes: Counter,
    pages: Counter,
    store_requests: Counters<2>,
    store_latencies: Latencies<Labels<1>>,
    cache_lookups: Counters<2>,
    cache_bytes: Family<Labels<1>, Gauge>,
    compactions: Family<[(&'static str, u8); 1], Counter>,
    compaction_bytes: Family<[(&'static str, u8); 1], Counter>,
    clock_gap: Gauge,
    leases: Counters<1>,
    leases_live: Gauge,
    databases_open: Gauge,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics { table: Arc::new(Table::new()) }
    }
}

impl Metrics {
    /// A request was answered. `call` is the route, never the path as it was sent.
    pub fn request(&self, call: &str, status: u16, elapsed: Duration) {
        let call = ("call", call.to_owned());
        let labels = [call.clone(), ("status", status.to_string())];
        self.table.requests.get_or_create(&labels).inc();
        self.table.latencies.get_or_create(&[call]).observe(elapsed.as_secs_f64());
    }

    /// Counts a request as under way while the answer lives.
    pub fn in_flight(&self) -> Counted {
        Counted::new(&self.table.in_flight)
    }

    /// A request or connection was refused by a limit: `rate`, `requests`, `share`, `connections` or `address`.
    pub fn refused(&self, limit: &'static str) {
        self.table.refused.get_or_create(&[("limit", limit)]).inc();
    }

    /// Counts a connection as open while the answer lives.
    pub fn connection(&self) -> Counted {
        Counted::new(&self.table.connections)
    }

    /// Bytes came in over a connection.
    pub fn received(&self, bytes: u64) {
        self.table.received.inc_by(bytes);
    }

    /// Bytes went out over a connection.
    pub fn sent(&self, bytes: u64) {
        self.table.sent.inc_by(bytes);
    }

    /// A transaction became durable; `bytes` as stored.
    pub fn commit(&self, bytes: u64) {
        self.table.commits.inc();
        self.table.commit_bytes.inc_by(bytes);
    }

    /// Pages were sent to clients, in page answers and snapshots.
    pub fn pages_served(&self, pages: u64) {
        self.table.pages.inc_by(pages);
    }

    /// The object store was asked for something: `get`, `put`, `list`, ...
    pub fn store_request(&self, op: &'static str, ok: bool, elapsed: Duration) {
        let outcome = if ok { "ok" } else { "error" };
        self.table.store_requests.get_or_create(&[("op", op), ("outcome", outcome)]).inc();
        let latency = self.table.store_latencies.get_or_create(&[("op", op)]);
        latency.observe(elapsed.as_secs_f64());
    }

    /// Something was found in a cache.
    pub fn cache_hit(&self, cache: Cache) {
        self.cache_lookup(cache, "hit");
    }

    /// Something was not in a cache.
    pub fn cache_miss(&self, cache: Cache) {
        self.cache_lookup(cache, "miss");
    }

    fn cache_lookup(&self, cache: Cache, result: &'static str) {
        let [cache] = cache.label();
        self.table.cache_lookups.get_or_create(&[cache, ("result", result)]).inc();
    }

    /// A cache holds so many bytes now.
    pub fn cache_bytes(&self, cache: Cache, bytes: u64) {
        self.table.cache_bytes.get_or_create(&cache.label()).set(gauge(bytes));
    }

    /// Files were merged into one of this level; `bytes` is its length.
    pub fn compaction(&self, level: u8, bytes: u64) {
        self.table.compactions.get_or_create(&[("level", level)]).inc();
        self.table.compaction_bytes.get_or_create(&[("level", level)]).inc_by(bytes);
    }

    /// How far this server's clock was from the store's when that was last measured.
    pub fn clock_gap(&self, gap: Duration) {
        self.table.clock_gap.set(gauge(gap.as_secs()));
    }

    /// A lease was granted; prolonging one does not count.
    pub fn lease_granted(&self) {
        self.table.leases.get_or_create(&[("result", "granted")]).inc();
    }

    /// A lease was asked for in vain.
    pub fn lease_refused(&self) {
        self.table.leases.get_or_create(&[("result", "refused")]).inc();
    }

    /// So many leases are live now.
    pub fn leases_live(&self, count: usize) {
        self.table.leases_live.set(gauge(count));
    }

    /// So many databases are open now.
    pub fn databases_open(&self, count: usize) {
        self.table.databases_open.set(gauge(count));
    }

    /// Everything, as [`CONTENT_TYPE`].
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.table.registry);
        text
    }
}

/// Keeps one thing counted in a gauge until it is dropped.
#[derive(Debug)]
pub struct Counted {
    gauge: Gauge,
}

impl Counted {
    fn new(gauge: &Gauge) -> Counted {
        gauge.inc();
        Counted { gauge: gauge.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// The registry with its prefix: each metric is registered as it is made.
struct Register(Registry);

impl Register {
    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn metric<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.add(name, help, M::default())
    }

    fn latencies<L>(&mut self, name: &str, help: &str) -> Latencies<L>
    where
        L: Clone + Hash + Eq,
        Latencies<L>: Metric,
    {
        let buckets: fn() -> Histogram = || Histogram::new(SECONDS);
        self.add(name, help, Family::new_with_constructor(buckets))
    }
}

impl Table {
    /// The names that operators see; the format adds `_total` to those of counters.
    fn new() -> Table {
        let mut add = Register(Registry::with_prefix("litevfs_cloud"));
        Table {
            requests: add.metric("requests", "Requests answered, by call and status"),
            latencies: add.latencies("request_seconds", "Time until an answer began, by call"),
            in_flight: add.metric("requests_in_flight", "Requests under way"),
            refused: add.metric("refused", "Requests and connections refused by a limit"),
            connections: add.metric("connections", "Connections open"),
            received: add.metric("received_bytes", "Bytes received over connections"),
            sent: add.metric("sent_bytes", "Bytes sent over connections"),
            commits: add.metric("commits", "Transactions made durable"),
            commit_bytes: add.metric("commit_bytes", "Bytes of their files"),
            pages: add.metric("pages_served", "Pages sent to clients"),
            store_requests: add.metric("store_requests", "Requests to the object store"),
            store_latencies: add.latencies("store_request_seconds", "Time of those requests"),
            cache_lookups: add.metric("cache_lookups", "Look-ups in a cache, by result"),
            cache_bytes: add.metric("cache_bytes", "Bytes that a cache holds"),
            compactions: add.metric("compactions", "Files made by compaction, by level"),
            compaction_bytes: add.metric("compaction_bytes", "Bytes of those files"),
            clock_gap: add.metric(
                "store_clock_gap_seconds",
                "How far the clock was from the store's; above 60 nothing is removed",
            ),
            leases: add.metric("leases", "Leases asked for, by result"),
            leases_live: add.metric("leases_live", "Leases live"),
            databases_open: add.metric("databases_open", "Databases open"),
            registry: add.0,
        }
    }
}

/// A count as a gauge takes it.
fn gauge(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
