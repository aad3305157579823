//! Files that are read again when they change, without a restart and without a thread.
//!
//! Whoever uses the content looks at the files, at most once a second. A change that cannot be used,
//! half-written or wrong, is logged and leaves the last good content in force.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

type Load<T> = Box<dyn Fn() -> Result<T, String> + Send + Sync>;

/// The content of some files.
pub struct Reloaded<T> {
    /// Names them in the log.
    what: &'static str,
    paths: Vec<PathBuf>,
    load: Load<T>,
    current: RwLock<Arc<T>>,
    look: Mutex<Look>,
}

struct Look {
    next: Instant,
    seen: Vec<Stamp>,
    /// What is wrong with the files as they are now.
    error: Option<String>,
}

/// Differs when a file was replaced or written to.
type Stamp = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

impl<T> Reloaded<T> {
    /// Loads the files for the first time; then an error is the caller's.
    pub fn new(
        what: &'static str,
        paths: Vec<PathBuf>,
        load: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Reloaded<T>, String> {
        // Looked at before they are read, so that no change falls between the two.
        let seen = stamps(&paths);
        let current = RwLock::new(Arc::new(load()?));
        let look = Mutex::new(Look { next: later(Instant::now()), seen, error: None });
        Ok(Reloaded { what, paths, load: Box::new(load), current, look })
    }

    /// The newest good content.
    pub fn get(&self) -> Arc<T> {
        self.get_at(Instant::now())
    }

    fn get_at(&self, now: Instant) -> Arc<T> {
        // When another request is looking just now, this one goes on with what there is.
        if let Some(mut look) = self.look.try_lock()
            && now >= look.next
        {
            look.next = later(now);
            self.refresh(&mut look);
        }
        Arc::clone(&self.current.read())
    }

    fn refresh(&self, look: &mut Look) {
        let stamps = stamps(&self.paths);
        if stamps == look.seen && look.error.is_none() {
            return;
        }
        match (self.load)() {
            Ok(content) => {
                *self.current.write() = Arc::new(content);
                (look.seen, look.error) = (stamps, None);
                tracing::info!("{} changed and is in force", self.what);
            }
            Err(error) if look.error.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::error!(error, "{} cannot be used: the last good one stays", self.what);
                look.error = Some(error);
            }
        }
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    paths.iter().map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Stamp {
    let meta = path.metadata().ok()?;
    let modified = (meta.mtime(), meta.mtime_nsec());
    Some((meta.dev(), meta.ino(), meta.size(), modified, (meta.ctime(), meta.ctime_nsec())))
}

fn later(now: Instant) -> Instant {
    now.checked_add(PAUSE).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_change_is_seen_at_the_next_look_and_a_broken_one_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("number");
        fs::write(&path, "1").unwrap();
        let from = path.clone();
        let load = move || {
            let text = fs::read_to_string(&from).map_err(|error| error.to_string())?;
            text.parse::<u32>().map_err(|error| error.to_string())
        };
        let file = Reloaded::new("the number", vec![path.clone()], load).unwrap();
        let mut now = Instant::now();
        let mut look = || {
            now += PAUSE * 2;
            *file.get_at(now)
        };
        assert_eq!(look(), 1);
        fs::write(&path, "22").unwrap();
        assert_eq!(look(), 22);
        for broken in ["x", ""] {
            fs::write(&path, broken).unwrap();
            assert_eq!(look(), 22);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(look(), 22);
        fs::write(&path, "3").unwrap();
        assert_eq!(look(), 3);
    }

    #[test]
    fn between_two_looks_nothing_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "a").unwrap();
        let from = path.clone();
        let load = move || fs::read_to_string(&from).map_err(|error| error.to_string());
        let file = Reloaded::new("the file", vec![path.clone()], load).unwrap();
        let now = Instant::now() + PAUSE * 2;
        file.get_at(now);
        fs::write(&path, "bb").unwrap();
        assert_eq!(*file.get_at(now + PAUSE / 2), "a");
        assert_eq!(*file.get_at(now + PAUSE), "bb");
    }

    #[test]
    fn what_is_wrong_at_the_start_is_an_error() {
        let failed = Reloaded::<()>::new("it", Vec::new(), || Err("no good".into()));
        assert_eq!(failed.err().unwrap(), "no good");
    }
}
