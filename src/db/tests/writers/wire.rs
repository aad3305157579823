//! A process's way to the server: requests and answers get lost, requests come late, and others act
//! while one is on its way.

use super::world::{self, Weather};
use crate::backend::twins::MemoryBackend;
use crate::backend::{Backend, Change, Granted, Moment, Page, PushError, Pushed};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{DbName, Pgno, Pos};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::sync::Arc;

/// A request that arrives when its sender has given up on it.
pub type LateRequest = Box<dyn FnOnce(&MemoryBackend)>;

/// See the module.
pub struct Wire {
    pub server: Arc<MemoryBackend>,
    pub machine: usize,
}

fn away() -> Error {
    Error::new(ErrorKind::Away, "the connection was cut")
}

impl Wire {
    /// Sends a request on its way. `late` makes the same one for later.
    fn send<T, E>(
        &self,
        lost: fn(Error) -> E,
        apply: impl FnOnce(&MemoryBackend) -> core::result::Result<T, E>,
        late: impl FnOnce() -> Option<LateRequest>,
    ) -> core::result::Result<T, E> {
        world::meanwhile(self.machine);
        let weather = world::weather(self.machine);
        match weather {
            Weather::Lost => return Err(lost(away())),
            Weather::Late => {
                if let Some(request) = late() {
                    world::delay(request);
                }
                return Err(lost(away()));
            }
            Weather::Fine | Weather::AnswerLost => {}
        }
        let answer = apply(&self.server);
        world::observe();
        world::meanwhile(self.machine);
        match weather {
            Weather::AnswerLost => Err(lost(away())),
            _ => answer,
        }
    }
}

impl Backend for Wire {
    fn host(&self) -> &str {
        self.server.host()
    }

    fn has_commit_ids(&self) -> bool {
        self.server.has_commit_ids()
    }

    fn changes(&self, since: &[(DbName, Pos)], hurry: bool) -> Result<alloc::vec::Vec<Change>> {
        self.send(|error| error, |server| server.changes(since, hurry), || None)
    }

    fn pages(&self, db: &DbName, pos: Pos, pgnos: &[Pgno]) -> Result<alloc::vec::Vec<Page>> {
        self.send(|error| error, |server| server.pages(db, pos, pgnos), || None)
    }

    fn page1_then(&self, db: &DbName, moment: &Moment) -> Result<(Pos, alloc::vec::Vec<u8>)> {
        self.send(|error| error, |server| server.page1_then(db, moment), || None)
    }

    fn size_pages(&self, db: &DbName, pos: Pos) -> Result<u32> {
        self.send(|error| error, |server| server.size_pages(db, pos), || None)
    }

    fn push(&self, db: &DbName, file: &[u8], id: &str) -> core::result::Result<Pushed, PushError> {
        let late = || {
            let (db, file, id) = (db.clone(), file.to_owned(), id.to_owned());
            let request = move |server: &MemoryBackend| drop(server.push(&db, &file, &id));
            Some(Box::new(request) as LateRequest)
        };
        self.send(PushError::Unknown, |server| server.push(db, file, id), late)
    }

    fn acquire_lease(
        &self,
        db: &DbName,
        duration_ms: u64,
        waiter: Option<&str>,
    ) -> Result<Granted> {
        self.send(|error| error, |server| server.acquire_lease(db, duration_ms, waiter), || None)
    }

    fn refresh_lease(&self, db: &DbName, id: &str, duration_ms: u64) -> Result<u32> {
        let late = || {
            let (db, id) = (db.clone(), id.to_owned());
            let request =
                move |server: &MemoryBackend| drop(server.refresh_lease(&db, &id, duration_ms));
            Some(Box::new(request) as LateRequest)
        };
        self.send(|error| error, |server| server.refresh_lease(db, id, duration_ms), late)
    }

    fn release_lease(&self, db: &DbName, id: &str) -> Result<()> {
        let late = || {
            let (db, id) = (db.clone(), id.to_owned());
            let request = move |server: &MemoryBackend| drop(server.release_lease(&db, &id));
            Some(Box::new(request) as LateRequest)
        };
        self.send(|error| error, |server| server.release_lease(db, id), late)
    }
}
