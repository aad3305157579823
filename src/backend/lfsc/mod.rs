//! The client of the LiteFS Cloud HTTP API.
//!
//! ```text
//! client.rs    one method of the backend, one call of the API
//! exchange.rs  URL, headers, time limits, retries, and errors with host, status and reason
//! wire.rs      the JSON bodies
//! base64.rs    page contents inside JSON
//! ```

mod base64;
mod client;
mod exchange;
mod wire;

pub use client::LfscClient;
