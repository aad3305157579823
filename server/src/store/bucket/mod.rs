//! What a store means: the names, the files and the small objects in it, and what follows from them. Plain
//! data and decisions; nothing here asks the store for anything. `schedule`, `files`, `ltx_file`, `file_index`,
//! `marks` and `page1` know no clock and no crate but `litevfs` either.
//!
//! Each stands above those that it names:
//!
//! | file | what | above |
//! | --- | --- | --- |
//! | `rules` | what may be created, removed and acknowledged | `files`, `head`, `mutant` |
//! | `schedule` | what is to be merged, and what may go | `files` |
//! | `head` | which incarnation of a name lives, and its floor | `error`, `kept`, `layout`, `moment` |
//! | `decision` | what a group of transactions came to | `file_index` |
//! | `layout` | where things lie | `ltx_file`, `incarnation`, `marks` |
//! | `file_index` | which pages a file has, and where | `marks` |
//! | `marks` | what a stored file's header says beside, and its seal | |
//! | `files` | which files make up a position | `ltx_file` |
//! | `ltx_file` | one file, as a listing tells it | |
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
pub(in crate::store) mod marks;
pub(in crate::store) mod moment;
pub(in crate::store) mod mutant;
pub(in crate::store) mod page1;
pub(in crate::store) mod rules;
pub(in crate::store) mod schedule;
