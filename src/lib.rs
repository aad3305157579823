//! LiteVFS: a SQLite VFS whose database lives behind the LiteFS Cloud HTTP API.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

#[cfg(feature = "vfs")]
pub mod backend;
#[cfg(feature = "certificate")]
pub mod certificate;
#[cfg(feature = "vfs")]
pub mod config;
#[cfg(feature = "vfs")]
pub mod db;
#[cfg(any(feature = "native", feature = "emscripten"))]
pub mod entry;
pub mod error;
// The door of `tests/fuzz`: oracles that lie, each under this name, in the module whose private parts they look at.
// Not in any build but those for tests and for fuzzing.
#[cfg(all(any(test, fuzzing), feature = "native"))]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#[path = "../tests/fuzz/oracles/mod.rs"]
pub mod fuzzing;
#[cfg(feature = "vfs")]
pub mod http;
pub mod ltx;
pub mod page1;
#[cfg(feature = "vfs")]
pub mod pager;
pub mod peer;
#[cfg(feature = "vfs")]
pub mod sys;
pub mod text;
pub mod types;
#[cfg(feature = "vfs")]
pub mod units;
#[cfg(feature = "vfs")]
pub mod vfs;
