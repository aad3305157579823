//! The cache and its files.

mod files;
mod model;

use super::{Cache, CacheLimits, CachePlace};
use crate::fuzzing::Target;
use crate::ltx::Crc64;
use crate::sys;

/// Whatever becomes of a cache's files, what is read is what it was at the position that the cache says.
pub const CACHE_MODEL: Target =
    Target { name: "cache_model", check: model::check, seeds: model::seeds };

/// Any bytes as the files of a cache.
pub const CACHE_FILES: Target =
    Target { name: "cache_files", check: files::check, seeds: files::seeds };

/// A cache in a folder of its own, which goes with it.
struct Files {
    dir: sys::PrivateDir,
    index: String,
    pages: String,
    /// What marks the log as this database's.
    identity: u64,
}

impl Files {
    fn new() -> Files {
        let dir = sys::PrivateDir::create().unwrap();
        let mut crc = Crc64::new();
        crc.update(b"x");
        let identity = crc.finish();
        let base = format!("{}/{identity:016x}-0", dir.path().unwrap());
        Files { dir, index: format!("{base}.index"), pages: format!("{base}.pages"), identity }
    }

    fn open(&self, max_pages: u32) -> Cache {
        let dir = self.dir.path().unwrap().to_string();
        let place = CachePlace { dir, identity: "x".into(), keep: true };
        Cache::open(Some(&place), limits(max_pages))
    }

    /// What is in the files: the index, and the pages.
    fn read(&self) -> [Vec<u8>; 2] {
        [&self.index, &self.pages].map(|path| std::fs::read(path).unwrap_or_default())
    }

    fn write(&self, [index, pages]: &[Vec<u8>; 2]) {
        std::fs::write(&self.index, index).unwrap();
        std::fs::write(&self.pages, pages).unwrap();
    }
}

fn limits(max_pages: u32) -> CacheLimits {
    CacheLimits { max_pages, min_available_space: 0 }
}
