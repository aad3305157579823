//! A connection to a database, which is opened where it is not open yet; where its cache lies.

use super::connection::Connection;
use super::database::{Database, Open, Origin};
use super::settings::ReadSettings;
use crate::backend::Moment;
use crate::error::{Error, Result};
use crate::pager::CachePlace;
use crate::sys::{self, log::log};
use crate::types::{DbName, Pos};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::sync::{Arc, Weak};

impl Origin {
    /// Opens a connection to a database. Nothing is asked of the server yet.
    pub fn connect(self: &Arc<Origin>, name: &DbName) -> Connection {
        self.connect_at(name, None)
    }

    /// Opens a connection to a past of a database, which can only be read.
    pub fn connect_past(self: &Arc<Origin>, name: &DbName, moment: &Moment) -> Result<Connection> {
        let error = |e: Error| Error::new(e.kind(), format!("{name}: {moment}: {e}"));
        let (pos, page1) = self.backend().page1_then(name, moment).map_err(error)?;
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
            max_staleness_ms: self.config().max_staleness_ms,
            ..ReadSettings::default()
        };
        Connection::new(database, id, settings)
    }

    /// Where the database's cache lies, and the temporary directory to hold on to meanwhile. The cache of
    /// a past is not kept: nobody would ever remove it.
    fn cache_place(
        &self,
        name: &DbName,
        past: Option<Pos>,
        open: &mut Open,
    ) -> (Option<CachePlace>, Option<Arc<sys::PrivateDir>>) {
        let mut identity = format!("{}\n{name}", self.config().identity());
        if let Some(pos) = past {
            identity = format!("{identity}\n{pos}");
        }
        if let Some(dir) = &self.config().cache_dir {
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
