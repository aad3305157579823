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
#[cfg(feature = "vfs")]
pub mod http;
pub mod ltx;
pub mod page1;
#[cfg(feature = "vfs")]
pub mod pager;
pub mod peer;
#[cfg(feature = "vfs")]
pub mod sys;
pub mod types;
#[cfg(feature = "vfs")]
pub mod units;
#[cfg(feature = "vfs")]
pub mod vfs;
