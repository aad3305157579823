//! The databases of one server, cluster and token, as far as they are open in this process.

use super::connection::Connection;
use super::database::Database;
use super::settings::ReadSettings;
use crate::backend::{Backend, Moment};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::pager::CachePlace;
use crate::sys::{self, log::log};
use crate::types::{DbName, Pos};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// Where databases come from, and which of them are open. Lives as long as one of them.
pub struct Origin {
    config: Config,
    backend: Box<dyn Backend>,
    /// Tells this program from others that wait for a lease.
    waiter: u64,
    open: sys::Mutex<Open>,
    /// The number of the last poll.
    together: sys::Mutex<u64>,
}

#[derive(Default)]
struct Open {
    databases: Vec<Weak<Database>>,
    private_dir: Weak<sys::PrivateDir>,
    connections: u64,
    owner: u32,
}

impl Origin {
    /// The databases of a configuration, whose server `backend` reaches.
    pub fn new(config: Config, backend: Box<dyn Backend>) -> Arc<Origin> {
        let mut waiter = [0; 8];
        sys::random_bytes(&mut waiter);
        let waiter = u64::from_le_bytes(waiter);
        let open = sys::Mutex::new(Open::default());
        Arc::new(Origin { config, backend, waiter, open, together: sys::Mutex::new(0) })
    }

    /// What decides which databases these are.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The number of the last poll, and with it leave to move the positions of several databases at
    /// once, or to look at them. To be taken before any database's state, and held shortly.
    pub fn together(&self) -> sys::MutexGuard<'_, u64> {
        self.together.lock()
    }

    /// The way to the server.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// As whom this process waits for leases. A forked child is another one.
    pub fn waiter(&self) -> String {
        format!("{:016x}-{}", self.waiter, sys::process_id())
    }

    /// Opens a connection to a database. Nothing is asked of the server yet.
    pub fn connect(self: &Arc<Origin>, name: &DbName) -> Connection {
        self.connect_at(name, None)
    }

    /// Opens a connection to a past of a database, which can only be read.
    pub fn connect_past(self: &Arc<Origin>, name: &DbName, moment: &Moment) -> Result<Connection> {
        let error = |e: Error| Error::new(e.kind(), format!("{name}: {moment}: {e}"));
        let (pos, page1) = self.backend.page1_then(name, moment).map_err(error)?;
        log!(Info, "{name}: {moment} is {pos}");
        let mut connection = self.connect_at(name, Some(pos));
        connection.database.take_page1(pos, &page1)?;
        connection.make_read_only("a past can't be changed (txid= or timestamp= in its URI)");
        Ok(connection)
    }

    fn connect_at(self: &Arc<Origin>, name: &DbName, past: Option<Pos>) -> Connection {
        let mut open = self.open.lock();
        if open.owner != sys::process_id() {
            // A forked child: the open databases, their caches and leases are its parent's.
            let connections = open.connections;
            *open = Open { owner: sys::process_id(), connections, ..Open::default() };
        }
        open.connections = open.connections.saturating_add(1);
        let id = open.connections;
        open.databases.retain(|database| database.strong_count() > 0);
        let is_it = |known: &Arc<Database>| known.name() == name && known.past() == past;
        let known = open.databases.iter().filter_map(Weak::upgrade).find(is_it);
        let database = known.unwrap_or_else(|| {
            let (place, private_dir) = self.cache_place(name, past, &mut open);
            let origin = Arc::clone(self);
            let database = Database::open(origin, name.clone(), past, place, private_dir);
            let database = Arc::new(database);
            open.databases.push(Arc::downgrade(&database));
            database
        });
        let settings = ReadSettings {
            max_staleness_ms: self.config.max_staleness_ms,
            ..ReadSettings::default()
        };
        Connection::new(database, id, settings)
    }

    /// Every open database, without those of the past: they do not move.
    pub fn databases(&self) -> Vec<Arc<Database>> {
        let open = self.open.lock();
        let databases = open.databases.iter().filter_map(Weak::upgrade);
        databases.filter(|database| database.past().is_none()).collect()
    }

    /// Where the database's cache lies, and the temporary directory to hold on to meanwhile. The cache of
    /// a past is not kept: nobody would ever remove it.
    fn cache_place(
        &self,
        name: &DbName,
        past: Option<Pos>,
        open: &mut Open,
    ) -> (Option<CachePlace>, Option<Arc<sys::PrivateDir>>) {
        let mut identity = format!("{}\n{name}", self.config.identity());
        if let Some(pos) = past {
            identity = format!("{identity}\n{pos}");
        }
        if let Some(dir) = &self.config.cache_dir {
            let keep = past.is_none();
            return (Some(CachePlace { dir: dir.clone(), identity, keep }), None);
        }
        let private_dir = match open.private_dir.upgrade() {
            Some(dir) => Some(dir),
            None => match sys::PrivateDir::create() {
                Ok(dir) => Some(Arc::new(dir)),
                Err(e) => {
                    log!(Warn, "no temporary directory for the cache: {e}");
                    None
                }
            },
        };
        open.private_dir = private_dir.as_ref().map(Arc::downgrade).unwrap_or_default();
        let path = private_dir.as_ref().and_then(|dir| dir.path()).map(ToOwned::to_owned);
        (path.map(|dir| CachePlace { dir, identity, keep: false }), private_dir)
    }
}
