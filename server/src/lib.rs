//! `litevfs-cloud`, the open LiteFS Cloud: SQLite databases as LTX files, over HTTP.
//!
//! Top to bottom as a request travels: [`cli`] and [`config`] set up what [`serve`] runs; [`routes`]
//! names the calls, one handler each answers, [`app`] is what handlers work with and [`auth`] lets
//! requests in, [`store`] keeps the databases in an object store. Imports go down that list only.
#![forbid(unsafe_code)]

pub mod cli;

pub mod serve;

pub mod net;

pub mod config;
pub mod routes;

mod handlers;

pub mod app;

pub mod auth;

mod error;
// The door of `tests/fuzz`, in builds for tests and for fuzzing only.
#[cfg(any(test, fuzzing))]
#[allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#[path = "../../tests/fuzz/server/mod.rs"]
pub mod fuzzing;
pub mod health;
pub mod limits;
mod wire;

pub mod store;

pub mod btree;
pub mod key;
pub mod lease;
pub mod metrics;
mod offload;
pub mod pace;
pub mod page_list;
pub mod places;
pub mod random;
pub mod rate;
pub mod regrant;
mod reload;
pub mod shares;
pub mod spool;
pub mod sqlite_file;
mod times;
pub mod turns;
pub mod waiters;
