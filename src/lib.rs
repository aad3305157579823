//! LiteVFS: a SQLite VFS whose database lives behind the LiteFS Cloud HTTP API.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod ltx;
pub mod types;
