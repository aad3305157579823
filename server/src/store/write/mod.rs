//! Ways to write: all end in one conditional create.
//!
//! Each stands above those that it names:
//!
//! | file | what | above |
//! | --- | --- | --- |
//! | `group` | commits in several databases, all or none; and reads of several that are of one state | `commit` |
//! | `drop` | how databases end | `leases`, `tombstone` |
//! | `clusters` | clusters | `group` |
//! | `leases` | grants leases, and shuts out what may be under way | `seal`, `fence` |
//! | `seal` | takes the next place, so that nothing else can | `commit`, `own`, `tombstone` |
//! | `control` | makes an earlier state, or a SQLite file, the next transaction | `commit`, `own`, `import` |
//! | `commit` | commits an upload | `check`, `fence`, `undecided` |
//! | `check` | the commit rules | `convert`, `same` |
//! | `fence` | whether a client may write, by its lease | |
//! | `undecided` | brings a group's file that is in the way to its end | `own`, `base` |
//! | `tombstone` | says that a database was dropped | `own`, `base` |
//! | `own` | transactions that this server makes itself | `convert` |
//! | `base` | what a commit builds on, and whether it counts | |
//! | `import`, `same` | a SQLite file as a transaction; whether a file is that of an upload | `convert` |
//! | `convert` | an upload in the form in which it is stored | |

pub(in crate::store) mod base;
pub(in crate::store) mod check;
pub(in crate::store) mod clusters;
pub(in crate::store) mod commit;
pub(in crate::store) mod control;
pub(in crate::store) mod convert;
pub(in crate::store) mod drop;
pub(in crate::store) mod fence;
pub(in crate::store) mod group;
pub(in crate::store) mod import;
pub(in crate::store) mod leases;
pub(in crate::store) mod own;
pub(in crate::store) mod same;
pub(in crate::store) mod seal;
pub(in crate::store) mod tombstone;
pub(in crate::store) mod undecided;
