//! Databases as this server knows them: how one is opened from its files, what is known of it, and what can
//! be read of its present and its past.
//!
//! Each stands above those that it names:
//!
//! | file | what | above |
//! | --- | --- | --- |
//! | `gauges` | what there is at the moment, for the metrics | `shelf` |
//! | `shelf` | `Shelf`: what is known of all databases, for the rooms above | `open`, `slots`, `queue` |
//! | `open` | opens a database from its files | `look` |
//! | `opening`, `snapshot` | what an opening client needs; whole databases | `frames`, `learned` |
//! | `frames`, `points`, `kind` | pages as they are stored; restore points; encrypted or not | `read` |
//! | `read` | a position, its pages, what changed since another one | `look` |
//! | `look` | sees what other servers did | `database`, `span`, `standing` |
//! | `slots` | the names, what is kept of each, and **the order of the locks** | `database`, `granted` |
//! | `database` | `Database`: what is known of one | `state`, `floors`, `pins`, `learned` |
//! | `state` | its files, its last transaction, its last groups | `view`, `taken` |
//! | `span` | the second file of an upload that spans several transactions | `rewrite` |
//! | `rewrite` | writes the pages of a view as one file | `view`, `writer` |
//! | `view` | a position: its files, and where each page is in them | `indexes` |
//! | `indexes` | page indexes of files, kept in memory | |
//! | `writer` | a file in the form in which it is stored | |
//! | `standing`, `taken` | whether a group's file counts; the groups taken in last | |
//! | `floors`, `pins`, `learned`, `granted`, `queue` | floors seen; files being read; pages asked for; a lease; what is to be compacted | |

pub(in crate::store) mod database;
pub(in crate::store) mod floors;
pub(in crate::store) mod frames;
pub(in crate::store) mod gauges;
pub(in crate::store) mod granted;
pub(in crate::store) mod indexes;
pub(in crate::store) mod kind;
pub(in crate::store) mod learned;
pub(in crate::store) mod look;
pub(in crate::store) mod open;
pub(in crate::store) mod opening;
pub(in crate::store) mod pins;
pub(in crate::store) mod points;
pub(in crate::store) mod queue;
pub(in crate::store) mod read;
pub(in crate::store) mod rewrite;
pub(in crate::store) mod shelf;
pub(in crate::store) mod slots;
pub(in crate::store) mod snapshot;
pub(in crate::store) mod span;
pub(in crate::store) mod standing;
pub(in crate::store) mod state;
pub(in crate::store) mod taken;
pub(in crate::store) mod view;
pub(in crate::store) mod writer;
