//! Compaction: merges files in the background, so that few make up a position, and removes those that
//! were kept for long enough.
//!
//! Nothing waits for it and nothing depends on it but the number of files. Merged files are made like
//! commits, whole or not at all, and nothing is removed before the file is there that it was merged
//! into: a crash in the middle leaves files that are of use, or are made again. On a shared store one
//! server at a time compacts a database, by a claim; should two do it, they make the same files.

pub(super) mod claim;
mod merge;
mod remove;
mod reshape;

pub use super::bucket::schedule::{Level, Schedule};
