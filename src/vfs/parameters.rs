//! What the URI of a database says beside its name, and the name that SQLite knows the database by.
//!
//! Parameters that we do not know are ignored, as SQLite does. SQLite takes two databases with the same
//! VFS and full name for one: with a shared cache it would not even open the second. So where parameters
//! decide which database it is, the full name ends with a tag, `db1@0123456789abcdef`. It is made of
//! what decides, but of a token only as much as [`Config::identity`] holds.

use super::sqlite::Sqlite;
use crate::config::{self, Config};
use crate::db::Origins;
use crate::error::{Error, ErrorKind, Result};
use crate::ltx::Crc64;
use alloc::format;
use alloc::string::String;
use core::ffi::{CStr, c_char, c_int};
use libsqlite3_sys as ffi;

/// Separates a full name's tag from the database's name, which can't have it.
const TAG_MARK: char = '@';

/// The parameters that are ours alone.
const OURS: [&CStr; 4] = [c"host", c"token", c"cluster", c"cache_dir"];

/// Our parameters of a URI.
pub struct Parameters<'a> {
    server: config::Parameters<'a>,
}

impl<'a> Parameters<'a> {
    /// Reads the parameters behind the name of a main database.
    ///
    /// # Safety
    ///
    /// `z_name` must be a string that SQLite gave to `xOpen` of a main database, with `flags`, or to
    /// `xFullPathname`, and live as long as the answer.
    pub unsafe fn read(
        sqlite: &Sqlite,
        z_name: *const c_char,
        flags: c_int,
    ) -> Result<Parameters<'a>> {
        let is_uri = flags & ffi::SQLITE_OPEN_URI != 0;
        // SAFETY: the caller's promise.
        if sqlite.connections.is_none() && is_uri && unsafe { says_anything(z_name) } {
            let text = "this SQLite is older than 3.8.7: the parameters of a URI can't be read";
            return Err(Error::new(ErrorKind::Config, text));
        }
        let text = |parameter: &CStr| {
            // SAFETY: the caller's promise.
            let value = unsafe { sqlite.connections?.uri_parameter(z_name, parameter) }?;
            Some(value.to_str().map_err(|_| {
                let name = parameter.to_string_lossy();
                Error::new(ErrorKind::Config, format!("URI parameter {name}: it is not UTF-8"))
            }))
        };
        Ok(Parameters {
            server: config::Parameters {
                host: text(c"host").transpose()?,
                token: text(c"token").transpose()?,
                cluster: text(c"cluster").transpose()?,
                cache_dir: text(c"cache_dir").transpose()?,
            },
        })
    }

    /// What server, token, cluster and cache are meant.
    pub fn config(&self, origins: &Origins) -> Result<Config> {
        origins.config(&self.server)
    }

    /// The tag of a database of that configuration; `None` where its name alone means it.
    fn tag(&self, origins: &Origins, config: &Config) -> Option<String> {
        if origins.is_own(config) {
            return None;
        }
        let mut crc = Crc64::new();
        crc.update(config.identity().as_bytes());
        crc.update(format!("\n{:?}", config.cache_dir).as_bytes());
        Some(format!("{TAG_MARK}{:016x}", crc.finish()))
    }

    /// The full name of the database at a path. A mistake in the parameters is left to `xOpen`.
    pub fn full_name(&self, origins: &Origins, path: &str) -> String {
        let config = self.config(origins).ok();
        let tag = config.and_then(|config| self.tag(origins, &config)).unwrap_or_default();
        // `file:///db1` is `file:db1`.
        format!("{}{tag}", path.strip_prefix('/').unwrap_or(path))
    }

    /// The path that a full name was made of.
    pub fn path<'n>(&self, origins: &Origins, config: &Config, full_name: &'n str) -> &'n str {
        match self.tag(origins, config) {
            Some(_) => full_name.rsplit_once(TAG_MARK).map_or(full_name, |(path, _)| path),
            None => full_name,
        }
    }
}

/// Whether one of our parameters is behind a name, for a SQLite too old to be asked. They follow it in
/// memory: keys and values in turn, each with its zero, up to an empty key.
///
/// # Safety
///
/// `z_name` must be a name that SQLite made of a URI.
unsafe fn says_anything(z_name: *const c_char) -> bool {
    let mut rest = z_name;
    // SAFETY: the caller's promise: strings follow each other up to an empty key.
    let mut next = || unsafe {
        let text = CStr::from_ptr(rest).to_bytes_with_nul();
        rest = rest.add(text.len());
        text
    };
    next();
    loop {
        let key = next();
        if key == b"\0" {
            return false;
        }
        if OURS.iter().any(|ours| ours.to_bytes_with_nul() == key) {
            return true;
        }
        next();
    }
}
