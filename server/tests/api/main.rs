//! The server as its clients see it: the real program on a loopback address, over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod access;
mod client;
mod commit;
mod control;
mod cors;
mod files;
mod frames;
mod group;
mod lease;
mod limits;
mod lives;
mod load;
mod model;
mod open;
mod page1;
mod page_size;
mod paths;
mod process;
mod random;
mod read;
mod secrets;
mod snapshot;
mod status;
mod sync;
mod tls;
mod tokens;
mod txid;
mod watch;
