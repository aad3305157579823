//! One database as this process knows it: who reads at which position, who writes, under which lease.
//!
//! A file names those of floors below its own, and no file that names it.
//!
//! | floor | file | what |
//! | --- | --- | --- |
//! | plain data | `settings` | what the pragmas set |
//! | | `counters` | how many pages came from where |
//! | | `view` | what a reader is pinned to; where a database is, and since when that is known |
//! | | `lease` | who may write, and under which lease |
//! | | `made` | a transaction as it is pushed |
//! | | `refetches` | pages that a query fetches again and again, as the cache is too small for them |
//! | | `announcement` | what SQLite's announcement of a commit means: the table |
//! | | `shown` | what SQLite saw of page 1, and what it is shown next |
//! | the database | `state` | what its connections share, under one lock |
//! | | `polled` | what the server's answers about its position change in that |
//! | | `database` | the databases of one server, cluster and token, and what each is made of |
//! | asking for it | `fetch` | pages, by the list |
//! | | `incoming` | an answer with pages, read as it comes |
//! | | `rest` | what a thread reads of it, when the page that was missing has come |
//! | | `read_ahead` | what a query has asked for beyond its needs |
//! | | `old_pages` | pages of a view that the cache has moved on from |
//! | | `poll` | newer positions, for all open databases at once |
//! | | `newest` | the newest view |
//! | its lease | `prolong` | what the server is told of a lease, and tells |
//! | | `keeper` | the thread that prolongs leases, and gives back those that are not used |
//! | | `acquire` | who gets it, and when it is given back |
//! | its transactions | `push` | an LTX file gets to the server, once or not at all |
//! | | `round` | commits of several databases, held back |
//! | | `push_group` | their LTX files get to the server, all or none |
//! | | `publish` | what was acknowledged becomes what this process reads |
//! | | `decide` | what is held back is pushed |
//! | a connection | `transaction` | what is written on top of a view, and how far its commit has come |
//! | | `group` | the databases of one SQLite connection |
//! | | `group_view` | what they may read together |
//! | | `connection` | one opening of a database |
//! | reading with it | `query` | what the running query may ask for |
//! | | `missing` | pages that are not cached, with what will be wanted next |
//! | | `hydrate` | every page of the database |
//! | writing with it | `diff` | how the open transaction differs from what is committed |
//! | | `make` | the open transaction becomes an LTX file |
//! | | `group_commit` | its part in a commit over several databases |
//! | | `commit` | what SQLite announces, and finishes |
//! | what SQLite calls | `locks` | its locks |
//! | | `read`, `write` | its reads and writes |
//! | | `report` | what there is to tell of all that |
//! | the way in | `connect` | a connection to a database, which is opened where it is not |
//! | | `origins` | the servers that the process knows, each made when it is first needed |
//!
//! The lock of [`state::State`] is held for memory and file work only, never during a request: no
//! reader waits for a reader's network.
//!
//! Locks are taken in this order: the turn for the lease ([`database::Database::lease_turn`]), the read barrier
//! ([`database::Origin::read_barrier`]), a group's, a database's state. The first alone is held during requests.

mod acquire;
mod announcement;
mod commit;
mod connect;
mod connection;
mod counters;
mod database;
mod decide;
mod diff;
mod fetch;
mod group;
mod group_commit;
mod group_view;
mod hydrate;
mod incoming;
mod keeper;
mod lease;
mod locks;
mod made;
mod make;
mod missing;
mod newest;
mod old_pages;
mod origins;
mod poll;
mod polled;
mod prolong;
mod publish;
mod push;
mod push_group;
mod query;
mod read;
mod read_ahead;
mod refetches;
mod report;
mod rest;
mod round;
mod settings;
mod shown;
mod state;
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
