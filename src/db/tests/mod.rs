//! Tests of connections against backends in memory: what SQLite would call, without SQLite.

mod ahead;
mod auto_lease;
mod commits;
mod encrypted;
mod groups;
mod leases;
mod page1;
mod page_size;
mod past;
mod views;
mod writers;

use super::{Connection, Lock, Origin};
use crate::backend::Granted;
use crate::backend::twins::{FaultyBackend, MemoryBackend};
use crate::config::{Config, Environment, Parameters};
use crate::error::Result;
use crate::page1::HEADER_LEN;
use crate::types::{DbName, Pgno};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

const PAGE_LEN: usize = 512;

/// A server and what a process has open there.
struct Fixture {
    server: Arc<MemoryBackend>,
    backend: Arc<FaultyBackend>,
    origin: Arc<Origin>,
    db: DbName,
}

/// Lets the origin own a backend that the test keeps hold of.
struct Shared(Arc<FaultyBackend>);

macro_rules! delegate {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        impl crate::backend::Backend for Shared {
            $(fn $name(&self, $($arg: $type),*) -> $out { self.0.$name($($arg),*) })*
        }
    };
}
delegate! {
    host() -> &str;
    changes(since: &[(DbName, crate::types::Pos)], hurry: bool) -> Result<Vec<crate::backend::Change>>;
    pages(db: &DbName, pos: crate::types::Pos, pgnos: &[Pgno]) -> Result<Vec<crate::backend::Page>>;
    open(
        db: &DbName, since: crate::types::Pos, max_len: u32, hurry: bool
    ) -> Result<Option<crate::backend::Opening>>;
    has_bulk() -> bool;
    has_commit_ids() -> bool;
    stream(
        db: &DbName, pos: crate::types::Pos, page_size: Option<crate::types::PageSize>,
        pages: crate::backend::PageList
    ) -> Result<alloc::boxed::Box<dyn crate::backend::PageStream>>;
    page1_then(db: &DbName, moment: &crate::backend::Moment) -> Result<(crate::types::Pos, Vec<u8>)>;
    size_pages(db: &DbName, pos: crate::types::Pos) -> Result<u32>;
    push(db: &DbName, ltx: &[u8], id: &str)
        -> core::result::Result<crate::backend::Pushed, crate::backend::PushError>;
    push_group(
        id: &str, txs: &[crate::backend::GroupTx<'_>]
    ) -> core::result::Result<(), crate::backend::GroupError>;
    abort_group(id: &str) -> Result<crate::backend::GroupOutcome>;
    acquire_lease(db: &DbName, duration_ms: u64, waiter: Option<&str>) -> Result<Granted>;
    refresh_lease(db: &DbName, id: &str, duration_ms: u64) -> Result<u32>;
    release_lease(db: &DbName, id: &str) -> Result<()>;
}

impl Fixture {
    fn new() -> Fixture {
        let server = Arc::new(MemoryBackend::default());
        let backend = Arc::new(FaultyBackend::new(Arc::clone(&server)));
        let origin = Origin::new(config(), Box::new(Shared(Arc::clone(&backend))));
        Fixture { server, backend, origin, db: "db1".parse().unwrap() }
    }

    /// A server that holds a database of three pages, filled with 1, 2 and 3.
    fn with_database() -> Fixture {
        let fixture = Fixture::new();
        fixture.make_database();
        fixture
    }

    fn make_database(&self) {
        self.server.commit_elsewhere(&self.db, |pages| {
            for n in 1..=3 {
                pages.insert(pgno(n), page(n, n as u8, 1, 3));
            }
        });
    }

    fn connect(&self) -> Connection {
        self.origin.connect(&self.db)
    }

    /// Another client fills a page anew.
    fn commit_elsewhere(&self, n: u32, fill: u8, counter: u32) {
        self.server.commit_elsewhere(&self.db, |pages| {
            let commit = pages.len() as u32;
            pages.insert(pgno(1), page(1, 1, counter, commit));
            pages.insert(pgno(n), page(n, fill, counter, commit));
        });
    }

    /// What is stored of a page: its fill byte.
    fn stored(&self, n: u32) -> Option<u8> {
        self.server.newest(&self.db).1.get(&pgno(n)).map(|page| page[PAGE_LEN - 1])
    }
}

/// As of an environment with a token and nothing else.
fn config() -> Config {
    let var = |name: &str| (name == "LITEFS_CLOUD_TOKEN").then(|| "token".to_string());
    Environment::from_vars(var).unwrap().config(&Parameters::default()).unwrap()
}

fn pgno(n: u32) -> Pgno {
    Pgno::new(n).unwrap()
}

/// A page filled with a byte; page 1 begins with a header of that change counter and size.
fn page(n: u32, fill: u8, counter: u32, commit: u32) -> Vec<u8> {
    let mut page = vec![fill; PAGE_LEN];
    if n == 1 {
        page[..16].copy_from_slice(b"SQLite format 3\0");
        page[16..18].copy_from_slice(&(PAGE_LEN as u16).to_be_bytes());
        page[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
        page[40..60].fill(0);
        page[HEADER_LEN] = 13;
        page[24..28].copy_from_slice(&counter.to_be_bytes());
        page[28..32].copy_from_slice(&commit.to_be_bytes());
        page[92..96].copy_from_slice(&counter.to_be_bytes());
    }
    page
}

fn offset(n: u32) -> u64 {
    u64::from(n - 1) * PAGE_LEN as u64
}

/// The fill byte of a page as a connection sees it.
fn read(connection: &mut Connection, n: u32) -> Result<u8> {
    let mut bytes = [0; PAGE_LEN];
    connection.read_at(offset(n), &mut bytes)?;
    Ok(bytes[PAGE_LEN - 1])
}

/// What SQLite does to write pages and commit them, up to and with the push.
fn write(
    connection: &mut Connection,
    pages: &[(u32, u8)],
    counter: u32,
    commit: u32,
) -> Result<()> {
    change(connection, pages, counter, commit)?;
    connection.commit()
}

/// What SQLite does before it announces a commit.
fn change(
    connection: &mut Connection,
    pages: &[(u32, u8)],
    counter: u32,
    commit: u32,
) -> Result<()> {
    connection.lock(Lock::Shared)?;
    connection.lock(Lock::Reserved)?;
    connection.lock(Lock::Exclusive)?;
    write_pages(connection, pages, counter, commit)
}

fn write_pages(
    connection: &mut Connection,
    pages: &[(u32, u8)],
    counter: u32,
    commit: u32,
) -> Result<()> {
    for &(n, fill) in pages {
        connection.write_at(offset(n), &page(n, fill, counter, commit))?;
    }
    connection.write_at(0, &page(1, 1, counter, commit))
}
