//! The databases of one server, cluster and token, as far as they are open in this process.

use super::connection::Connection;
use super::database::Database;
use super::settings::ReadSettings;
use crate::backend::Backend;
use crate::config::Config;
use crate::pager::CachePlace;
use crate::sys::{self, log::log};
use crate::types::DbName;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// Where databases come from, and which of them are open. Lives as long as one of them.
pub struct Origin {
    config: Config,
    backend: Box<dyn Backend>,
    open: sys::Mutex<Open>,
}

#[derive(Default)]
struct Open {
    databases: Vec<(DbName, Weak<Database>)>,
    private_dir: Weak<sys::PrivateDir>,
    connections: u64,
    owner: u32,
}

impl Origin {
    /// The databases of a configuration, whose server `backend` reaches.
    pub fn new(config: Config, backend: Box<dyn Backend>) -> Arc<Origin> {
        Arc::new(Origin { config, backend, open: sys::Mutex::new(Open::default()) })
    }

    /// What decides which databases these are.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The way to the server.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Opens a connection to a database. Nothing is asked of the server yet.
    pub fn connect(self: &Arc<Origin>, name: &DbName) -> Connection {
        let mut open = self.open.lock();
        if open.owner != sys::process_id() {
            // A forked child: the open databases, their caches and leases are its parent's.
            let connections = open.connections;
            *open = Open { owner: sys::process_id(), connections, ..Open::default() };
        }
        open.connections = open.connections.saturating_add(1);
        let id = open.connections;
        open.databases.retain(|(_, database)| database.strong_count() > 0);
        let known = open.databases.iter().find(|(known, _)| known == name);
        let known = known.and_then(|(_, database)| database.upgrade());
        let database = known.unwrap_or_else(|| {
            let (place, private_dir) = self.cache_place(name, &mut open);
            let database = Database::open(Arc::clone(self), name.clone(), place, private_dir);
            let database = Arc::new(database);
            open.databases.push((name.clone(), Arc::downgrade(&database)));
            database
        });
        let settings = ReadSettings {
            max_staleness_ms: self.config.max_staleness_ms,
            ..ReadSettings::default()
        };
        Connection::new(database, id, settings)
    }

    /// Every open database.
    pub fn databases(&self) -> Vec<Arc<Database>> {
        let open = self.open.lock();
        open.databases.iter().filter_map(|(_, database)| database.upgrade()).collect()
    }

    /// Where the database's cache lies, and the temporary directory to hold on to meanwhile.
    fn cache_place(
        &self,
        name: &DbName,
        open: &mut Open,
    ) -> (Option<CachePlace>, Option<Arc<sys::PrivateDir>>) {
        let identity = format!("{}\n{name}", self.config.identity());
        if let Some(dir) = &self.config.cache_dir {
            return (Some(CachePlace { dir: dir.clone(), identity, keep: true }), None);
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
