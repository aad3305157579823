//! What in a directory may be seen and yet not outlast a power cut: entries that are being made, and
//! those whose making failed or was given up before their folder was synced.
//!
//! Whoever builds on what is seen in a folder syncs it first, unless nothing here speaks of it: every
//! creation syncs what it changes before it ends well, and the start syncs what an earlier process left.
//! For the same reason nothing needs to be synced at the next start when all creations have ended well
//! and no other can begin: see [`super::marker`].

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use object_store::path::Path;
use parking_lot::Mutex;

/// The notes of one directory.
#[derive(Debug, Default)]
pub(in crate::store) struct Unsynced(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    /// Creations in folders that are there, which have not ended well.
    folders: HashMap<Path, usize>,
    /// The same of creations that may make folders, anywhere.
    anywhere: usize,
    /// How many of all are under way.
    under_way: usize,
    closed: bool,
}

/// A creation that is under way. It counts as one that failed unless [`Making::done`] is called.
#[derive(Debug)]
#[must_use]
pub(in crate::store) struct Making {
    unsynced: Arc<Unsynced>,
    folder: Option<Path>,
    ended_well: bool,
}

impl Unsynced {
    /// Notes that something is being made in a folder that is there, or anywhere. Fails when the server
    /// is stopping.
    pub(in crate::store) fn begin(self: &Arc<Self>, folder: Option<Path>) -> io::Result<Making> {
        let mut notes = self.0.lock();
        if notes.closed {
            return Err(io::Error::other("this server is stopping: nothing was changed"));
        }
        notes.under_way = notes.under_way.saturating_add(1);
        let count = match &folder {
            Some(folder) => notes.folders.entry(folder.clone()).or_default(),
            None => &mut notes.anywhere,
        };
        *count = count.saturating_add(1);
        drop(notes);
        Ok(Making { unsynced: Arc::clone(self), folder, ended_well: false })
    }

    /// Whether a folder, or one that it is in, may have such an entry.
    pub(in crate::store) fn speaks_of(&self, folder: &Path) -> bool {
        let notes = self.0.lock();
        notes.anywhere > 0 || notes.folders.keys().any(|noted| folder.prefix_matches(noted))
    }

    /// Lets nothing begin any more; returns whether all that was begun has ended well, or `None` while
    /// something is under way.
    pub(in crate::store) fn close(&self) -> Option<bool> {
        let mut notes = self.0.lock();
        notes.closed = true;
        let is_clean = notes.anywhere == 0 && notes.folders.is_empty();
        (notes.under_way == 0).then_some(is_clean)
    }
}

impl Making {
    /// What was made is synced, or nothing was made.
    pub(in crate::store) fn done(mut self) {
        self.ended_well = true;
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let mut notes = self.unsynced.0.lock();
        notes.under_way = notes.under_way.saturating_sub(1);
        if !self.ended_well {
            return;
        }
        let Some(folder) = &self.folder else {
            notes.anywhere = notes.anywhere.saturating_sub(1);
            return;
        };
        let left = notes.folders.get_mut(folder).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            notes.folders.remove(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_spoken_of_until_what_is_made_in_it_has_ended_well() {
        let unsynced = Arc::new(Unsynced::default());
        let (a, b) = (Path::from("c/a/ltx/0"), Path::from("c/b/ltx/0"));
        let made = unsynced.begin(Some(a.clone())).unwrap();
        assert!(unsynced.speaks_of(&a) && !unsynced.speaks_of(&b));
        made.done();
        assert!(!unsynced.speaks_of(&a));
        drop(unsynced.begin(Some(a.clone())).unwrap());
        assert!(unsynced.speaks_of(&a) && !unsynced.speaks_of(&b), "it was given up");
        let anywhere = unsynced.begin(None).unwrap();
        assert!(unsynced.speaks_of(&b));
        anywhere.done();
        assert!(!unsynced.speaks_of(&b));
    }

    #[test]
    fn it_is_clean_when_all_has_ended_well_and_then_nothing_begins() {
        for (ends_well, is_clean) in [(true, true), (false, false)] {
            let unsynced = Arc::new(Unsynced::default());
            let made = unsynced.begin(None).unwrap();
            assert_eq!(unsynced.close(), None);
            assert!(unsynced.begin(None).is_err());
            if ends_well {
                made.done();
            } else {
                drop(made);
            }
            assert_eq!(unsynced.close(), Some(is_clean));
        }
    }
}
