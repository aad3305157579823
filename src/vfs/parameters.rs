//! What the URI of a database says beside its name, and the name that SQLite knows the database by.
//!
//! Parameters that we do not know are ignored, as SQLite does. SQLite takes two databases with the same
//! VFS and full name for one: with a shared cache it would not even open the second. So where parameters
//! decide which database it is, the full name ends with a tag, `db1@0123456789abcdef`. It is made of
//! what decides, but of a token only as much as [`Config::identity`] holds.

use super::sqlite::Sqlite;
use crate::backend::Moment;
use crate::config::{self, Config};
use crate::db::Origins;
use crate::error::{Error, ErrorKind, Result};
use crate::ltx::Crc64;
use crate::sys;
use crate::types::Txid;
use alloc::format;
use alloc::string::String;
use core::ffi::{CStr, c_char};

/// Separates a full name's tag from the database's name, which can't have it.
pub const TAG_MARK: char = '@';

/// Our parameters of a URI.
pub struct Parameters<'a> {
    server: config::Parameters<'a>,
    txid: Option<&'a str>,
    timestamp: Option<&'a str>,
    /// `immutable`: SQLite will ask for no locks, because nobody writes.
    pub is_immutable: bool,
    /// `nolock`: SQLite will ask for no locks, whoever writes.
    pub is_unlocked: bool,
    /// `cache=shared`: connections may share SQLite's cache.
    pub is_shared: bool,
}

impl<'a> Parameters<'a> {
    /// Reads the parameters behind the name of a main database.
    ///
    /// # Safety
    ///
    /// `z_name` must be a string that SQLite gave to `xOpen` of a main database, or to
    /// `xFullPathname`, and live as long as the answer.
    pub unsafe fn read(sqlite: &Sqlite, z_name: *const c_char) -> Result<Parameters<'a>> {
        let functions = &sqlite.connections;
        let text = |parameter: &CStr| {
            // SAFETY: the caller's promise.
            let value = unsafe { functions.uri_parameter(z_name, parameter) }?;
            Some(value.to_str().map_err(|_| {
                let name = parameter.to_string_lossy();
                Error::new(ErrorKind::Config, format!("URI parameter {name}: it is not UTF-8"))
            }))
        };
        let boolean = |parameter: &CStr| {
            // SAFETY: the caller's promise.
            unsafe { functions.uri_boolean(z_name, parameter) }
        };
        Ok(Parameters {
            server: config::Parameters {
                host: text(c"host").transpose()?,
                token: text(c"token").transpose()?,
                cluster: text(c"cluster").transpose()?,
                cache_dir: text(c"cache_dir").transpose()?,
            },
            txid: text(c"txid").transpose()?,
            timestamp: text(c"timestamp").transpose()?,
            is_immutable: boolean(c"immutable"),
            is_unlocked: boolean(c"nolock"),
            is_shared: text(c"cache").transpose()? == Some("shared"),
        })
    }

    /// What server, token, cluster and cache are meant.
    pub fn config(&self, origins: &Origins) -> Result<Config> {
        origins.config(&self.server)
    }

    /// The moment of the past that is meant; `None` for the present.
    ///
    /// A transaction id is 16 hex digits, as we show it, or a decimal number of any other length.
    pub fn moment(&self) -> Result<Option<Moment>> {
        let bad = |text: &str| Err(Error::new(ErrorKind::Config, format!("URI parameter {text}")));
        match (self.txid, self.timestamp) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => bad("txid: there is a timestamp, too; give one of them"),
            (None, Some("")) => bad("timestamp: it is empty"),
            (None, Some(time)) => Ok(Some(Moment::Time(time.trim().into()))),
            (Some(text), None) => {
                let text = text.trim();
                let is_decimal = text.len() != 16 && text.bytes().all(|b| b.is_ascii_digit());
                let decimal = text.parse().ok().filter(|_| is_decimal).map(Txid);
                match decimal.or_else(|| text.parse().ok()) {
                    Some(txid) => Ok(Some(Moment::Txid(txid))),
                    None => bad("txid: a transaction id is 16 hex digits, or a decimal number"),
                }
            }
        }
    }

    /// The tag of a database of that configuration; `None` where its name alone means it.
    fn tag(&self, origins: &Origins, config: &Config) -> Option<String> {
        if origins.is_own(config) && self.txid.is_none() && self.timestamp.is_none() {
            return None;
        }
        // So long ago is another moment each time.
        let is_absolute = |time: &str| {
            time.ends_with(|c: char| c.is_ascii_digit() || c.eq_ignore_ascii_case(&'z'))
        };
        let is_relative = self.timestamp.is_some_and(|time| !is_absolute(time));
        let opened_at = if is_relative { sys::unix_ms() } else { 0 };
        let rest = (&config.cache_dir, self.txid, self.timestamp, opened_at);
        let mut crc = Crc64::new();
        crc.update(config.identity().as_bytes());
        crc.update(format!("\n{rest:?}").as_bytes());
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
