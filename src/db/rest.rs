//! What is left of an answer when the page that was missing has come: a thread reads it into the cache, so that
//! nobody waits for it but who needs a page of it.
//!
//! The thread holds on to no database while it waits: the last connection closes that. It ends when nobody
//! wants the rest any more, and in any case when the answer does.

use super::database::Database;
use super::incoming::Incoming;
use super::view::View;
use crate::backend::PageList;
use crate::sys::{self, Tick, Watched, log::log};
use crate::types::Pgno;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// For how long a page is waited for that is on its way: by then the thread has given up.
const MAX_WAIT_MS: u64 = 20_000;

/// See the module.
pub(super) struct Rest {
    view: View,
    shared: Arc<Watched<Progress>>,
    stop: Arc<AtomicBool>,
    /// Pages of the whole answer.
    len_pages: usize,
}

#[derive(Default)]
struct Progress {
    to_come: PageList,
    /// How long after it was asked for the answer was over.
    over_ms: Option<u64>,
}

impl Rest {
    /// Has a thread read what is left of an answer to a question asked then; the answer back, where there is
    /// no thread to be had, as in a browser.
    pub fn read(
        database: &Arc<Database>,
        view: View,
        incoming: Incoming,
        (len_pages, asked): (usize, Tick),
    ) -> Result<Rest, Option<Incoming>> {
        let to_come = incoming.to_come().clone();
        let shared = Arc::new(Watched::new(Progress { to_come, over_ms: None }));
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, stopped, weak) =
            (Arc::clone(&shared), Arc::clone(&stop), Arc::downgrade(database));
        let place = Arc::new(sys::Mutex::new(Some(incoming)));
        let taken = Arc::clone(&place);
        let work = move || {
            sys::stop_waits_by(Arc::clone(&stopped));
            let over = Over(theirs, asked);
            let Some(incoming) = taken.lock().take() else { return };
            read_to_end(&weak, incoming, &over.0, &stopped);
        };
        if sys::spawn(Box::new(work)).is_err() {
            return Err(place.lock().take());
        }
        Ok(Rest { view, shared, stop, len_pages })
    }

    /// Whether these are pages of a view.
    pub fn is_of(&self, view: View) -> bool {
        (self.view.pos, self.view.epoch) == (view.pos, view.epoch)
    }

    /// The pages that have not come yet.
    pub fn to_come(&self) -> PageList {
        self.shared.with(|progress| progress.to_come.clone())
    }

    /// Waits for a page that is on its way; `false` when it is not.
    pub fn wait_for(&self, pgno: Pgno) -> bool {
        if self.shared.with(|progress| progress.to_come.position(pgno).is_none()) {
            return false;
        }
        let has_come = |progress: &Progress| progress.to_come.position(pgno).is_none();
        self.shared.wait_until(MAX_WAIT_MS, has_come)
    }

    /// When it is over, how many pages took how many ms.
    pub fn outcome(&self) -> Option<(usize, u64)> {
        let over_ms = self.shared.with(|progress| progress.over_ms)?;
        Some((self.len_pages, over_ms))
    }
}

/// Nobody waits any more when the thread ends, however it does.
struct Over(Arc<Watched<Progress>>, Tick);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.with(|progress| {
            progress.to_come = PageList::default();
            progress.over_ms = Some(self.1.age_ms());
        });
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn read_to_end(
    database: &Weak<Database>,
    mut incoming: Incoming,
    shared: &Watched<Progress>,
    stop: &AtomicBool,
) {
    while !stop.load(Relaxed) {
        let came = incoming.receive();
        let Some(database) = database.upgrade() else { return };
        let outcome = match came {
            Ok(Some(pgno)) => incoming.take_in(&database, pgno).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        match outcome {
            // The database has moved on: nothing of it would be kept.
            Ok(true) if !incoming.is_cached() => return incoming.close(&database),
            Ok(true) => database.counters().count_prefetched(1),
            Ok(false) => return incoming.close(&database),
            Err(error) => {
                log!(Info, "{error}; going on without the rest");
                return incoming.close(&database);
            }
        }
        shared.with(|progress| progress.to_come.pop());
    }
    if let Some(database) = database.upgrade() {
        incoming.close(&database);
    }
}
