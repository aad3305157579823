//! One database as this process knows it: who reads at which position, who writes, under which lease.
//!
//! ```text
//! origins.rs      the origins that the process knows, each made when it is first needed
//! origin.rs       the databases of one server, cluster and token; where their caches lie
//! database.rs     one of them: its cache and what its connections share
//! poll.rs         asking for newer positions, for all open databases at once
//! lease.rs        the remote right to write
//! keeper.rs       the thread that prolongs leases, and gives back those that are not used
//! connection.rs   one opening of it: locks, read view
//! transaction.rs  what is written on top of a view, and how far its commit has come
//! read.rs         pages for a connection, from its transaction, the cache or the backend
//! ahead.rs        those that are missing, with what will be wanted next
//! incoming.rs     an answer with pages, read as it comes
//! again.rs        those that the cache is too small for
//! old_pages.rs    those of a view that the cache has moved on from
//! hydrate.rs      every page of the database
//! write.rs        what SQLite writes, into the open transaction
//! change.rs       how the open transaction differs from what is committed
//! make.rs         the open transaction becomes an LTX file
//! commit.rs       that is pushed, or held back for those of other databases
//! push.rs         the LTX file gets to the server, once or not at all
//! group.rs        the databases of one SQLite connection: what they may read together
//! together.rs     a connection's part in a commit over several of them
//! round.rs        commits of several databases, held back and decided together
//! push_group.rs   their LTX files get to the server, all or none
//! settings.rs     what the pragmas set
//! counters.rs     how many pages came from where
//! report.rs       what there is to tell of all that
//! ```
//!
//! The lock of [`state::State`] is held for memory and file work only, never during a request: no
//! reader waits for a reader's network.

mod acquire;
mod again;
mod ahead;
mod change;
mod commit;
mod connect;
mod connection;
mod counters;
mod database;
mod fetch;
mod group;
mod hydrate;
mod incoming;
mod keeper;
mod lease;
mod made;
mod make;
mod newest;
mod old_pages;
mod origins;
mod poll;
mod polled;
mod prolong;
mod push;
mod push_group;
mod read;
mod report;
mod rest;
mod round;
mod settings;
mod shown;
mod state;
mod together;
mod transaction;
mod view;
mod write;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;

pub use connection::{Connection, Lock};
pub use counters::PageCounts;
pub use database::Origin;
pub use group::{Group, Groups, Owner};
pub use lease::LeaseStanding;
pub use origins::{Origins, Reach};
pub use report::{Report, Sighting};
pub use round::Round;
pub use settings::{ReadSettings, SharedSettings};
