//! What a store means: the names, the files and the small objects in it, and what follows from them. Plain
//! data and decisions; nothing here asks the store for anything.
//!
//! Each stands above those that it names:
//!
//! | file | what | above |
//! | --- | --- | --- |
//! | `rules` | what may be created, removed and acknowledged | `files`, `head`, `mutant` |
//! | `schedule` | what is to be merged, and what may go | `files` |
//! | `head` | which incarnation of a name lives, and its floor | `error`, `kept`, `layout`, `moment` |
//! | `decision` | what a group of transactions came to | `file_index` |
//! | `file_index` | which pages a file has, and where | `layout` |
//! | `files` | which files make up a position | `layout` |
//! | `layout` | where things lie, and what a stored file's header says | `ltx_file`, `incarnation` |
//! | `ltx_file` | one file, as a listing tells it | `moment` |
//! | `page1` | what page 1 of an upload must say | |
//! | `incarnation` | which life of a name | |
//! | `kept` | a small object that changes | |
//! | `moment` | what time it is, and how long ago something was known | |
//! | `mutant` | the rules that tests break on purpose | |
//! | `error` | what is refused, and what can fail | |

pub(in crate::store) mod decision;
pub(in crate::store) mod error;
pub(in crate::store) mod file_index;
pub(in crate::store) mod files;
pub(in crate::store) mod head;
pub(in crate::store) mod incarnation;
pub(in crate::store) mod kept;
pub(in crate::store) mod layout;
pub(in crate::store) mod ltx_file;
pub(in crate::store) mod moment;
pub(in crate::store) mod mutant;
pub(in crate::store) mod page1;
pub(in crate::store) mod rules;
pub(in crate::store) mod schedule;
