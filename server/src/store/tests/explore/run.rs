//! One run of a script, and all of them.
//!
//! A run has a runtime of its own, with one thread and a paused clock. When nothing in it can go on, the
//! thread would park: that is where the next step is chosen. When the step is time's, it parks indeed,
//! and the clock goes on to the next timer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::board::{Board, Bounds, Kind, Known};
use super::client::{Act, Client, DBS, read_all};
use super::history::{Deed, Outcome, Point, Record, explains};
use super::parked::{ACTOR, Memory, Parked, park_late, turn};
use super::search::Search;
use crate::metrics::Metrics;
use crate::spool;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::layout::Shape;
use crate::store::bucket::moment::now_ms;
use crate::store::compact::Schedule;
use crate::store::objects::location::{Location, Settings};
use crate::store::objects::reads::Objects;
use crate::store::tests::{key, newest};
use crate::store::{Error, Store};

const HOUR: Duration = Duration::from_secs(3600);
/// The number of the client that does what is done before.
const BEFORE: usize = 7;
/// When a run that does not come to its end is taken for stuck.
const STUCK: Duration = Duration::from_secs(1_000_000);
/// Uploads of more bytes are sent in parts: some hundred pages of one fill fit.
const LARGE_FROM: usize = 500;

/// What is to be explored.
#[derive(Debug, Clone)]
pub struct Script {
    pub schedule: Schedule,
    /// What is done before, through the first server, with nothing held.
    pub before: Vec<Act>,
    /// What is done at the same time: through which server, and what.
    pub actors: Vec<(usize, Vec<Act>)>,
    pub bounds: Bounds,
}

/// How many schedules there were.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    pub schedules: u64,
    /// Runs that were given up: they lead to schedules that were run, or out of the bounds.
    pub given_up: u64,
    pub steps: u64,
}

/// A schedule that ended wrong.
#[derive(Debug)]
pub struct Violation {
    /// How many schedules were run before.
    pub after: u64,
    pub what: String,
}

/// What the actors of one run share.
pub struct World {
    board: Arc<Mutex<Board>>,
    pub records: Mutex<Vec<Record>>,
    /// What nobody may be told, and somebody was.
    wrong: Mutex<Option<String>>,
    moments: AtomicU64,
}

impl World {
    fn new(board: &Arc<Mutex<Board>>) -> World {
        World {
            board: Arc::clone(board),
            records: Mutex::default(),
            wrong: Mutex::default(),
            moments: AtomicU64::new(0),
        }
    }

    /// Nothing is damaged, so nobody is told that anything is.
    pub fn undamaged<T>(&self, done: &Result<T, Error>) {
        if let Err(error @ Error::Corrupt { .. }) = done {
            *self.wrong.lock() = Some(error.to_string());
        }
    }

    pub fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    pub fn set_waits(&self, actor: usize, waits: Option<Instant>) {
        let mut board = self.board.lock();
        if board.parks {
            board.set_waits(actor, waits);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Nothing,
    /// Nothing happens but what timers do until then.
    Until(Instant),
    Ended,
    GivenUp,
}

/// Chooses the steps of a run whenever nothing else goes on.
struct Chooser {
    board: Arc<Mutex<Board>>,
    search: Arc<Mutex<Search>>,
    bounds: Bounds,
    signal: Mutex<Signal>,
    wake: Notify,
    steps: AtomicU64,
}

impl Chooser {
    fn choose(&self) {
        let mut board = self.board.lock();
        if !board.parks || *self.signal.lock() != Signal::Nothing {
            return;
        }
        let signal = if board.all_done() {
            Signal::Ended
        } else {
            match self.search.lock().choose(board.steps(&self.bounds)) {
                None => Signal::GivenUp,
                Some(step) => {
                    self.steps.fetch_add(1, Ordering::Relaxed);
                    board.take(&step, &self.bounds);
                    match (step.kind, board.waits()) {
                        (Kind::Tick, Some(until)) => Signal::Until(until),
                        (Kind::Tick, None) => return,
                        (Kind::Hour, _) => Signal::Until(Instant::now() + HOUR),
                        _ => Signal::Nothing,
                    }
                }
            }
        };
        *self.signal.lock() = signal;
        // Also when there is nothing to tell: the thread must not park after a step that woke nobody.
        self.wake.notify_one();
    }

    /// Waits until the run ended; false when it was given up.
    async fn ended(&self) -> bool {
        loop {
            self.wake.notified().await;
            let signal = *self.signal.lock();
            match signal {
                Signal::Nothing => {}
                Signal::Until(until) => {
                    tokio::time::sleep_until(until).await;
                    *self.signal.lock() = Signal::Nothing;
                }
                Signal::Ended => return true,
                Signal::GivenUp => return false,
            }
        }
    }
}

/// What all runs of a script begin with.
struct Start {
    memory: Memory,
    known: [Point; DBS.len()],
    /// The history of each database.
    histories: [Option<Vec<Point>>; DBS.len()],
    /// What may take effect yet: what happens then, and the object that appears.
    late: Vec<(Deed, Path, Bytes)>,
    /// When it was, in ms since the Unix epoch.
    at_ms: u64,
}

/// Runs all schedules of a script, up to the first that ends wrong.
pub fn explore(script: &Script) -> Result<Report, Violation> {
    spool::set_memory_limit(LARGE_FROM);
    let start = runtime(|| {}).block_on(prepare(script));
    let mut known = Known::default();
    loop {
        let (report, seen) = explore_known(script, &start, &Arc::new(known.clone()))?;
        if seen.is_empty() {
            return Ok(report);
        }
        known.extend(seen);
    }
}

/// The same, as far as is known what requests there may be; returns those that were not known.
fn explore_known(
    script: &Script,
    start: &Start,
    known: &Arc<Known>,
) -> Result<(Report, Known), Violation> {
    let search = Arc::new(Mutex::new(Search::default()));
    let (mut report, mut seen) = (Report::default(), Known::default());
    loop {
        let chooser = Arc::new(Chooser {
            board: Arc::default(),
            search: Arc::clone(&search),
            bounds: script.bounds,
            signal: Mutex::new(Signal::Nothing),
            wake: Notify::new(),
            steps: AtomicU64::new(0),
        });
        chooser.board.lock().known = Arc::clone(known);
        let parks = Arc::clone(&chooser);
        let runtime = runtime(move || parks.choose());
        let done = runtime.block_on(run(script, start, &chooser));
        drop(runtime);
        report.steps += chooser.steps.load(Ordering::Relaxed);
        seen.extend(std::mem::take(&mut chooser.board.lock().seen));
        match done {
            Ok(true) => report.schedules += 1,
            Ok(false) => report.given_up += 1,
            Err(what) => {
                let what = format!("{what}\nafter these steps:\n{}", search.lock().trace());
                return Err(Violation { after: report.schedules, what });
            }
        }
        if !search.lock().next() {
            return Ok((report, seen));
        }
    }
}

fn runtime(parks: impl Fn() + Send + Sync + 'static) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).on_thread_park(parks).build().unwrap()
}

fn open(memory: &Arc<Memory>, board: &Arc<Mutex<Board>>, server: usize, s: &Script) -> Arc<Store> {
    let (memory, board) = (Arc::clone(memory), Arc::clone(board));
    let store = Arc::new(Parked { memory, board, server });
    let (scratch, metrics) = (std::env::temp_dir(), Metrics::default());
    let objects = Objects::shared(store, Shape::S3, "mem", &scratch, None, metrics.clone());
    let settings = Settings {
        location: Location::Directory(PathBuf::new()),
        scratch: None,
        disk_cache: 0,
        index_memory: 1 << 16,
        database_memory: 1 << 20,
        schedule: s.schedule.clone(),
    };
    Store::proven(objects, &settings, metrics, "a store of tests".into()).unwrap()
}

/// Does what a script does before all else, with nothing held.
async fn prepare(script: &Script) -> Start {
    let (memory, board) = (Arc::<Memory>::default(), Arc::default());
    let world = Arc::new(World::new(&board));
    let server = open(&memory, &board, 0, script);
    let mut client = Client::new(&world, server, BEFORE, Default::default());
    let mut late = Vec::new();
    for &act in &script.before {
        match act {
            Act::CommitLate => late.push(prepare_late(script, &memory, &mut client).await),
            act => client.act(act).await,
        }
    }
    let told = world.told();
    assert!(world.records.lock().iter().all(|r| r.outcome == Outcome::Acknowledged), "{told}");
    Start {
        memory: memory.fork(),
        known: client.known,
        histories: client.made.map(|made| Some(made).filter(|made| !made.is_empty())),
        late,
        at_ms: now_ms(),
    }
}

/// A transaction on top of what a client knows, and the object that its server sends, which died then.
async fn prepare_late(
    script: &Script,
    memory: &Memory,
    client: &mut Client,
) -> (Deed, Path, Bytes) {
    let (memory, board) = (Arc::new(memory.fork()), Arc::default());
    let server = open(&memory, &board, 0, script);
    let (deed, ltx) = client.late();
    let pos = server.commit(&key(DBS[0]), crate::store::tests::spool(&ltx), None).await.unwrap();
    let first = Incarnation::first(key(DBS[0]));
    let path = server.objects.shape.named(&first, 0, pos.txid, pos.txid);
    let bytes = server.objects.get(&path).await.unwrap().unwrap();
    (deed, path, bytes)
}

/// One run; false when it was given up.
async fn run(script: &Script, start: &Start, chooser: &Arc<Chooser>) -> Result<bool, String> {
    let (memory, board) = (Arc::new(start.memory.fork()), &chooser.board);
    tokio::time::advance(Duration::from_millis(start.at_ms.saturating_sub(now_ms()))).await;
    let world = Arc::new(World::new(board));
    let count = script.actors.iter().map(|(server, _)| server + 1).max().unwrap_or(1);
    let servers: Vec<Arc<Store>> =
        (0..count).map(|number| open(&memory, board, number, script)).collect();
    for server in &servers {
        newest(server, &key(DBS[0])).await.map_err(|error| error.to_string())?;
    }
    {
        let mut board = board.lock();
        script.actors.iter().for_each(|(server, _)| board.add_actor(*server));
        board.parks = true;
    }
    for (deed, path, bytes) in &start.late {
        park_late(board, &memory, path, bytes);
        let (from, until_ms) = (world.moment(), now_ms());
        let (who, deed, outcome) = ("before".to_owned(), deed.clone(), Outcome::InDoubt);
        let (lease, until) = (None, u64::MAX);
        world.records.lock().push(Record { who, deed, outcome, lease, from, until, until_ms });
    }
    for (number, (server, acts)) in script.actors.iter().enumerate() {
        let (at, server) = (*server, Arc::clone(&servers[*server]));
        let mut client = Client::new(&world, server, number, start.known.clone());
        let (acts, board) = (acts.clone(), Arc::clone(board));
        tokio::spawn(ACTOR.scope(number, async move {
            for act in acts {
                turn(&board, number, at).await;
                client.act(act).await;
            }
            board.lock().set_done(number);
        }));
    }
    let ended = tokio::time::timeout(STUCK, chooser.ended()).await.map_err(|_| "it is stuck")?;
    board.lock().parks = false;
    if !ended {
        return Ok(false);
    }
    check(script, start, &world, &memory, servers).await.map(|()| true)
}

/// Every server tells the same, and what clients were told; also after all that is late has arrived.
async fn check(
    script: &Script,
    start: &Start,
    world: &World,
    memory: &Arc<Memory>,
    mut servers: Vec<Arc<Store>>,
) -> Result<(), String> {
    if let Some(what) = world.wrong.lock().take() {
        return Err(format!("somebody was told: {what}\n{}", world.told()));
    }
    for late in [false, true] {
        if late && !world.board.lock().take_all() {
            return Ok(());
        }
        tokio::time::sleep(if late { HOUR } else { Duration::ZERO }).await;
        servers.push(open(memory, &world.board, servers.len(), script));
        for (number, server) in servers.iter().enumerate() {
            for (db, name) in DBS.iter().enumerate() {
                let from = world.moment();
                let seen = read_all(server, name).await;
                let seen =
                    seen.map_err(|what| format!("server {number}: {what}\n{}", world.told()))?;
                let until = world.moment();
                world.records.lock().push(Record {
                    who: format!("server {number}"),
                    deed: Deed::Read(db, seen),
                    outcome: Outcome::Acknowledged,
                    lease: None,
                    from,
                    until,
                    until_ms: now_ms(),
                });
            }
        }
        if !explains(&start.histories, &world.records.lock()) {
            return Err(format!("no history explains this:\n{}", world.told()));
        }
    }
    Ok(())
}

impl World {
    /// What everybody was told, for people.
    fn told(&self) -> String {
        let point = |point: &Point| match point.pages.first() {
            Some(page) => format!("{} ({:02x})", point.pos.txid.0, page.last().unwrap_or(&0)),
            None => "nothing".to_owned(),
        };
        let deed = |deed: &Deed| match deed {
            Deed::Commit(members) => members
                .iter()
                .map(|(db, before, after)| {
                    format!("commit {db} {} on {}", point(after), point(before))
                })
                .collect::<Vec<_>>()
                .join(", "),
            Deed::Import(db, pages, led_to) => {
                format!("import {db} of {:02x}, to {led_to:?}", pages[0].last().unwrap_or(&0))
            }
            Deed::Read(db, None) => format!("sees no {db}"),
            Deed::Read(db, Some((now, points))) => {
                let points: Vec<String> = points.iter().map(point).collect();
                format!("sees {db} at {}; before {}", point(now), points.join(", "))
            }
            other => format!("{other:?}"),
        };
        let line = |record: &Record| {
            let Record { who, outcome, from, .. } = record;
            format!("  {from:>3} {who}: {} {outcome:?}\n", deed(&record.deed))
        };
        self.records.lock().iter().map(line).collect()
    }
}
