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
//! wire.rs      the JSON bodies
//! named.rs     objects in them whose names are data
//! base64.rs    page contents inside JSON
//! ```

mod base64;
mod client;
mod dialect;
mod exchange;
mod named;
mod opening;
mod pages;
mod receive;
mod snapshot;
mod wire;

pub use client::LfscClient;
