//! The client of the LiteFS Cloud HTTP API.
//!
//! ```text
//! client.rs    one method of the backend, one call of the API
//! opening.rs   what a reader needs first, in one answer
//! pages.rs     pages as they are stored, read as they come, or in JSON
//! snapshot.rs  the size of a database, where page 1 does not say it
//! dialect.rs   what the server understands beyond the plain API
//! exchange.rs  URL, headers, time limits, retries, and errors with host, status and reason
//! receive.rs   one try of a call, counted, and what of its answer is read at once
//! lease_requests.rs  the names that requests for a lease go by
//! wire.rs      the JSON bodies
//! named.rs     objects in them whose names are data
//! ```

mod client;
mod dialect;
mod exchange;
#[cfg(all(any(test, fuzzing), feature = "native"))]
#[allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#[path = "../../../tests/fuzz/oracles/answers.rs"]
pub mod fuzzing;
mod lease_requests;
mod named;
mod opening;
mod pages;
mod receive;
mod snapshot;
mod wire;

pub use client::LfscClient;
