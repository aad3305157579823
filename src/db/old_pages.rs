//! Pages of a view that the cache has moved on from, kept beside it for as long as the view is read.

use super::database::Database;
use super::view::View;
use crate::pager::{Cache, CachePlace};
use crate::types::Pgno;
use alloc::boxed::Box;
use alloc::format;

/// See the module. Nothing before the first page.
#[derive(Default)]
pub(super) struct OldPages(Option<Box<Cache>>);

impl OldPages {
    /// Whether a page of the view is there.
    pub fn contains(&self, pgno: Pgno, view: View) -> bool {
        self.0.as_ref().is_some_and(|cache| cache.contains(pgno, view.pos.txid))
    }

    /// Fills `page` with one of the view; `false` when it is not there.
    pub fn read(&mut self, pgno: Pgno, view: View, page: &mut [u8]) -> bool {
        self.0.as_mut().is_some_and(|cache| cache.read(pgno, view.pos.txid, page))
    }

    /// Where pages of the view of a connection are to be put.
    pub fn open(&mut self, database: &Database, connection: u64, view: View) -> &mut Cache {
        self.0.get_or_insert_with(|| Box::new(database.cache_beside(connection, view)))
    }

    /// The cache, if there is one.
    pub fn cache(&mut self) -> Option<&mut Cache> {
        self.0.as_deref_mut()
    }
}

impl Database {
    /// An empty cache for a view that the database's has moved on from, of a connection of its own.
    fn cache_beside(&self, connection: u64, view: View) -> Cache {
        let place = self.cache_place.as_ref().map(|place| {
            let identity = format!("{}\n{}\n{connection}", place.identity, view.pos);
            CachePlace { dir: place.dir.clone(), identity, keep: false }
        });
        let mut cache = Cache::open(place.as_ref(), self.state().limits());
        cache.reset(view.pos);
        if let Some(page_size) = view.page_size {
            cache.set_page_size(page_size);
        }
        cache
    }
}
