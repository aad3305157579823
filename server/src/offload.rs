//! Keeps the threads that serve connections free of long computations.

use std::io;

/// Work on fewer bytes than this is done in place: handing it over would cost more.
const IN_PLACE: usize = 128 << 10;

/// Whether work on so many bytes is done on another thread.
pub const fn is_long(len_bytes: usize) -> bool {
    len_bytes > IN_PLACE
}

/// Does work on about `len_bytes` bytes, on another thread if they are many.
pub async fn offload<T, F>(len_bytes: usize, work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if !is_long(len_bytes) {
        return Ok(work());
    }
    // What it logs belongs to the request that it is for.
    let span = tracing::Span::current();
    let work = move || span.in_scope(work);
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// Does work that may wait for a disk, on another thread; in tests here and now, so that what happens
/// next depends on nothing but them.
pub async fn aside<T, F>(work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if cfg!(test) {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}
