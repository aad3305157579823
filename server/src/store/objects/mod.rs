//! The object store: a directory or a bucket. What is made appears whole and durable, and only if there is
//! none; small objects change on condition; reads are repeated.
//!
//! Each stands above those that it names:
//!
//! | file | what | above |
//! | --- | --- | --- |
//! | `location` | takes a directory or a bucket into use | `local`, `blocks`, `dates` |
//! | `proof` | proves at the start that files are made only if there is none | `create` |
//! | `local` | a directory that is this process's alone | `reads`, `marker` |
//! | `heads`, `decisions`, `claim` | reads and moves heads, decisions on groups, claims | `record`, `create`, `dates` |
//! | `clock` | whether this server's clock agrees with the store's | `create` |
//! | `record` | small objects that change on condition | `settle`, `direct` |
//! | `create` | makes a file unless there is one | `settle`, `direct` |
//! | `settle` | makes sure that what a directory shows outlasts a power cut | `reads` |
//! | `reads` | `Objects`; lists, reads and removes | `blocks`, `direct`, `unsynced` |
//! | `blocks` | parts of a bucket's files on the local disk | |
//! | `direct` | files of a directory, without the detour | |
//! | `unsynced` | what of a directory is not durable yet | |
//! | `marker` | the mark of a clean stop | |
//! | `dates` | what time it is for a bucket | |

pub(in crate::store) mod blocks;
pub(in crate::store) mod claim;
pub(in crate::store) mod clock;
pub(in crate::store) mod create;
pub(in crate::store) mod dates;
pub(in crate::store) mod decisions;
pub(in crate::store) mod direct;
pub(in crate::store) mod heads;
pub mod local;
pub mod location;
pub(in crate::store) mod marker;
pub(in crate::store) mod proof;
pub(in crate::store) mod reads;
pub(in crate::store) mod record;
pub(in crate::store) mod settle;
pub(in crate::store) mod unsynced;
