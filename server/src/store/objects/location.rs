//! Where the databases are: a directory, or a bucket.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut, S3CopyIfNotExists};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::blocks::Blocks;
use super::dates::Connector;
use super::local::{LocalDir, LocalError};
use super::reads::Objects;
use crate::metrics::Metrics;
use crate::store::bucket::layout::Shape;
use crate::store::bucket::schedule::Schedule;

/// The longest wait for one answer of a bucket.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request that a bucket did not do is repeated.
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the databases are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory that is this server's alone.
    Directory(PathBuf),
    /// A bucket, by its URL.
    Bucket(String),
}

/// How the server uses its store.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the databases are.
    pub location: Location,
    /// Where temp files and the disk cache of a bucket go; the system's temp folder by default.
    pub scratch: Option<PathBuf>,
    /// The most bytes of a bucket's files to keep on the local disk; 0 for none.
    pub disk_cache: u64,
    /// The most bytes of memory for page indexes, about.
    pub index_memory: u64,
    /// The most bytes of memory for what is known of open databases, about.
    pub database_memory: u64,
    /// When files are merged, and for how long they stay.
    pub schedule: Schedule,
}

/// Why a location cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// The directory.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The URL or what the environment says about it.
    #[error("--store {url}: {what}")]
    Bad {
        /// As given.
        url: String,
        /// What is wrong, and what to give.
        what: String,
    },
    /// The folder for temp files.
    #[error("the folder for temp files: {0}; give another with --scratch")]
    Scratch(#[from] io::Error),
}

/// A location that this process uses; whatever it holds on to goes with it.
#[derive(Debug)]
pub struct Taken {
    /// The store.
    pub objects: Objects,
    dir: Option<LocalDir>,
    _scratch: Option<Scratch>,
}

impl Taken {
    /// Ends its use, as far as that can be done while threads that wait for a disk go on.
    pub async fn stop(&self) {
        if let Some(dir) = &self.dir {
            dir.stop().await;
        }
    }

    /// Gives it back when the process ends, and no sooner: threads that wait for a disk may go on until
    /// then, and must not write to a directory that another process has.
    pub fn keep_until_exit(self) {
        std::mem::forget(self.dir);
    }
}

impl Location {
    /// Reads `--store`: a URL, or the path of a directory.
    pub fn parse(text: &str) -> Location {
        match text.split_once("://") {
            Some(("file", path)) => Location::Directory(path.into()),
            Some(_) => Location::Bucket(text.to_owned()),
            None => Location::Directory(text.into()),
        }
    }

    /// Takes it into use.
    pub fn take(&self, settings: &Settings, metrics: &Metrics) -> Result<Taken, LocationError> {
        match self {
            Location::Directory(dir) => {
                let dir = LocalDir::take(dir, metrics)?;
                Ok(Taken { objects: dir.objects.clone(), dir: Some(dir), _scratch: None })
            }
            Location::Bucket(url) => {
                let (store, shape) = bucket(url)?;
                let scratch = Scratch::new(settings.scratch.as_deref())?;
                let blocks = (settings.disk_cache > 0)
                    .then(|| {
                        Blocks::new(
                            &scratch.dir.path().join("cache"),
                            settings.disk_cache,
                            metrics.clone(),
                        )
                    })
                    .transpose()?;
                let name = url.trim_end_matches('/');
                let objects = Objects::shared(
                    store,
                    shape,
                    name,
                    scratch.dir.path(),
                    blocks,
                    metrics.clone(),
                );
                Ok(Taken { objects, dir: None, _scratch: Some(scratch) })
            }
        }
    }
}

/// A folder for temp files that goes with the process.
#[derive(Debug)]
struct Scratch {
    dir: tempfile::TempDir,
    /// The lock is the operating system's: by it others see that the folder is in use.
    _lock: File,
}

/// How the names of such folders begin.
const SCRATCH_PREFIX: &str = "litevfs-cloud-";

impl Scratch {
    fn new(parent: Option<&Path>) -> io::Result<Scratch> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        fs::create_dir_all(&parent)?;
        // Best effort: what a killed process left is in nobody's way but the disk's.
        let _ = clear_leftovers(&parent);
        let dir = tempfile::Builder::new().prefix(SCRATCH_PREFIX).tempdir_in(&parent)?;
        let lock = File::create(dir.path().join("lock"))?;
        lock.lock()?;
        Ok(Scratch { dir, _lock: lock })
    }
}

/// Removes the folders of processes that are gone.
fn clear_leftovers(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(SCRATCH_PREFIX));
        if !ours || !entry.file_type()?.is_dir() {
            continue;
        }
        // A folder without a lock is just being made.
        if File::open(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// A bucket's store, with the URL's path as the prefix of everything.
fn bucket(url: &str) -> Result<(Arc<dyn ObjectStore>, Shape), LocationError> {
    let bad = |what: String| LocationError::Bad { url: url.to_owned(), what };
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() || bucket.contains(['@', '?', '#']) || prefix.contains(['?', '#']) {
        return Err(bad(
            "give s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX".into()
        ));
    }
    let failed = |error: object_store::Error| bad(error.to_string());
    let (store, shape): (Box<dyn ObjectStore>, Shape) = match scheme {
        "s3" | "s3a" => (Box::new(s3(bucket).build().map_err(failed)?), Shape::S3),
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            let builder = builder.with_retry(retry()).with_client_options(client());
            let builder = builder.with_http_connector(Connector::default());
            (Box::new(builder.build().map_err(failed)?), Shape::Folders)
        }
        "az" | "azure" | "abfs" | "abfss" => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket);
            let builder = builder.with_retry(retry()).with_client_options(client());
            let builder = builder.with_http_connector(Connector::default());
            (Box::new(builder.build().map_err(failed)?), Shape::Folders)
        }
        _ => return Err(bad("the scheme must be s3, gs, az or file".into())),
    };
    let prefix = prefix.trim_matches('/');
    let prefix = object_store::path::Path::parse(prefix).map_err(|error| bad(error.to_string()))?;
    let store: Arc<dyn ObjectStore> = if prefix.as_ref().is_empty() {
        Arc::from(store)
    } else {
        Arc::new(PrefixStore::new(store, prefix))
    };
    Ok((store, shape))
}

fn s3(bucket: &str) -> AmazonS3Builder {
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .iter()
        .find_map(|key| builder.get_config_value(key));
    // Who gives an http endpoint means it.
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    builder
        .with_client_options(client().with_allow_http(plain))
        .with_retry(retry())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
        .with_http_connector(Connector::default())
}

fn client() -> ClientOptions {
    ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_pool_idle_timeout(Duration::from_secs(60))
}

fn retry() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(50),
        max_backoff: Duration::from_secs(2),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 6, retry_timeout: RETRY_TIMEOUT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_directory_or_a_bucket() {
        assert_eq!(Location::parse("./x"), Location::Directory("./x".into()));
        assert_eq!(Location::parse("file:///x/y"), Location::Directory("/x/y".into()));
        assert_eq!(Location::parse("s3://b/p"), Location::Bucket("s3://b/p".into()));
    }

    #[test]
    fn scratch_folders_go_with_their_process() {
        let parent = tempfile::tempdir().unwrap();
        let live = Scratch::new(Some(parent.path())).unwrap();
        let dead = parent.path().join("litevfs-cloud-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("lock"), "").unwrap();
        let other = Scratch::new(Some(parent.path())).unwrap();
        assert!(live.dir.path().exists() && other.dir.path().exists() && !dead.exists());
    }

    #[test]
    fn an_unusable_url_says_what_to_give() {
        for url in ["s3://", "ftp://b", "s3://u:p@b/x", "gs://b?x=y"] {
            let error = bucket(url).err().unwrap().to_string();
            assert!(error.starts_with(&format!("--store {url}: ")), "{error}");
        }
    }
}
