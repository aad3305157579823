//! The arguments of `serve` that say where the databases are, and how they are kept.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::ConfigError;
use crate::store::Settings;
use crate::store::compact::{Level, Schedule};
use crate::store::location::Location;

/// Where the databases are, as it is given.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// Keep the databases in this directory; it is made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "./litevfs-data", conflicts_with = "store")]
    pub data: PathBuf,
    /// Keep the databases in a bucket: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX.
    /// Keys and endpoint come from the usual variables, such as AWS_ACCESS_KEY_ID and
    /// AWS_ENDPOINT_URL. Several servers may share a bucket.
    #[arg(long, value_name = "URL", env = "LITEVFS_CLOUD_STORE")]
    pub store: Option<String>,
    /// Temp files, and the disk cache of a bucket, go into this folder.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Keep up to so many bytes of a bucket's files on the local disk; 0 for none.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    pub disk_cache: u64,
    /// Keep about so many bytes of page indexes in memory; a database of 10 GB takes 11 MB.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub index_memory: u64,
    /// Keep about so many bytes of what is known of databases in memory; one takes 6 KB and 100 bytes a
    /// file.
    #[arg(long, value_name = "BYTES", default_value_t = 128 << 20)]
    pub database_memory: u64,
    /// How often files are merged into a level, 1 to 3, and how long they stay; may be repeated.
    /// By default 1=10s:1h 2=5m:30d 3=1h:30d.
    #[arg(long, value_name = "LEVEL=EVERY:KEEP")]
    pub compact: Vec<String>,
    /// How often a snapshot is made of a database that changes, and how long it stays.
    #[arg(long, value_name = "EVERY:KEEP", default_value = "1d:30d")]
    pub snapshot: String,
    /// How long a commit's own file stays after it was merged.
    #[arg(long, value_name = "KEEP", default_value = "5m")]
    pub level0_keep: String,
}

impl Default for StoreArgs {
    fn default() -> StoreArgs {
        StoreArgs {
            data: PathBuf::from("./litevfs-data"),
            store: None,
            scratch: None,
            disk_cache: 0,
            index_memory: 64 << 20,
            database_memory: 128 << 20,
            compact: Vec::new(),
            snapshot: "1d:30d".to_owned(),
            level0_keep: "5m".to_owned(),
        }
    }
}

impl StoreArgs {
    /// Checks the arguments.
    pub(super) fn into_settings(self) -> Result<Settings, ConfigError> {
        let mut schedule = Schedule::default();
        for given in &self.compact {
            let bad = || bad("compact", given, "give LEVEL=EVERY:KEEP, as 1=10s:1h");
            let (number, times) = given.split_once('=').ok_or_else(bad)?;
            let number: usize = number.parse().map_err(|_| bad())?;
            let place = number.checked_sub(1).and_then(|place| schedule.levels.get_mut(place));
            *place.ok_or_else(bad)? = level("compact", given, times)?;
        }
        schedule.snapshots = level("snapshot", &self.snapshot, &self.snapshot)?;
        schedule.level0_keep = humantime::parse_duration(&self.level0_keep)
            .map_err(|_| bad("level0-keep", &self.level0_keep, "give a time, as 5m"))?;
        let location = match &self.store {
            Some(store) => Location::parse(store),
            None => Location::Directory(self.data),
        };
        Ok(Settings {
            location,
            scratch: self.scratch,
            disk_cache: self.disk_cache,
            index_memory: self.index_memory,
            database_memory: self.database_memory,
            schedule,
        })
    }
}

fn bad(option: &'static str, given: &str, what: &'static str) -> ConfigError {
    ConfigError::Schedule { option, given: given.to_owned(), what }
}

/// Reads `EVERY:KEEP`.
fn level(option: &'static str, given: &str, times: &str) -> Result<Level, ConfigError> {
    let parse = |text: &str| humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    let (every, keep) = times.split_once(':').unwrap_or_default();
    match (parse(every), parse(keep)) {
        (Some(every), Some(keep)) if every >= Duration::from_millis(100) => {
            Ok(Level { every, keep })
        }
        _ => Err(bad(option, given, "give two times from 100ms on, as 10s:1h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(compact: &[&str], snapshot: &str) -> Result<Settings, String> {
        let compact = compact.iter().map(|&text| text.to_owned()).collect();
        let args = StoreArgs { compact, snapshot: snapshot.to_owned(), ..StoreArgs::default() };
        args.into_settings().map_err(|error| error.to_string())
    }

    #[test]
    fn a_schedule_is_read_and_the_rest_stays() {
        assert_eq!(settings(&[], "1d:30d").unwrap().schedule, Schedule::default());
        let schedule = settings(&["2=1s:10s"], "20s:1h").unwrap().schedule;
        assert_eq!(schedule.levels[1].every, Duration::from_secs(1));
        assert_eq!(schedule.levels[0], Schedule::default().levels[0]);
        assert_eq!(schedule.snapshots.keep, Duration::from_secs(3600));
    }

    #[test]
    fn what_makes_no_sense_is_told_with_an_example() {
        for bad in ["", "1", "4=1s:1s", "0=1s:1s", "1=1s", "1=x:1s", "1=0s:1s", "1=10ms:1h"] {
            let error = settings(&[bad], "1d:30d").unwrap_err();
            assert!(error.starts_with(&format!("--compact {bad}: give ")), "{error}");
        }
        assert!(settings(&[], "1d").unwrap_err().contains("--snapshot 1d"));
    }
}
