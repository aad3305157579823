//! Compaction: merges files in the background, so that few make up a position, and removes those that
//! were kept for long enough.
//!
//! Nothing waits for it and nothing depends on it but the number of files. Merged files are made like
//! commits, whole or not at all, and nothing is removed before the file is there that it was merged
//! into: a crash in the middle leaves files that are of use, or are made again. On a shared store one
//! server at a time compacts a database, by a claim; should two do it, they make the same files.
//!
//! When each database is looked at is decided above: see [`crate::store::rounds`].
//!
//! | file | what |
//! | --- | --- |
//! | `reshape` | takes merged files in; a snapshot after the page size changed; above `merge` |
//! | `merge` | merges files into one |
//! | `remove` | removes what was kept for long enough |
//! | `sweep`, `decisions` | removes what dropped databases left, and decisions that nothing asks for |
//! | `claim` | the right to compact a database |

pub(in crate::store) mod claim;
pub(in crate::store) mod decisions;
pub(in crate::store) mod merge;
pub(in crate::store) mod remove;
pub(in crate::store) mod reshape;
pub(in crate::store) mod sweep;

pub use crate::store::bucket::schedule::{Level, Schedule};
