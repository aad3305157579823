//! What is said to the other side and by it, for the extension and for the verbs of `litevfs-cloud`: both
//! read the same URLs, send the same texts, and show an answer in the same way. `core` and `alloc` only.

pub mod field;
pub mod said;
mod url;

pub use url::{BaseUrl, split_authority};
