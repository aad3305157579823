//! What must hold for any bytes, one function a target. The fuzzers of `tests/fuzz` call them with bytes that
//! they make up, the test below with those that are kept: examples, and every input that once found a fault.
//!
//! Each lies, as `fuzzing`, in the module whose private parts it looks at, and only in builds for tests and
//! for fuzzing. It panics where something does not hold.

mod source;

pub use source::{Source, Target, files};

/// All of this package.
pub const TARGETS: &[Target] = &[
    crate::ltx::fuzzing::DECODE,
    crate::ltx::fuzzing::ROUNDTRIP,
    crate::ltx::fuzzing::INDEX_NAMES,
    crate::ltx::fuzzing::PAGE_FRAMES,
    crate::ltx::fuzzing::INNER_PAGE,
    crate::ltx::fuzzing::LZ4_FRAME,
    crate::ltx::fuzzing::LZ4_BLOCK,
    crate::backend::lfsc::fuzzing::ANSWERS,
    crate::http::fuzzing::HTTP_ANSWER,
    crate::http::fuzzing::CONFIG_URL,
    crate::pager::fuzzing::CACHE_MODEL,
    crate::pager::fuzzing::CACHE_FILES,
];

#[cfg(test)]
mod tests {
    use super::source::{check_all, root};
    use super::*;

    #[test]
    fn every_input_that_is_kept_is_dealt_with() {
        check_all(TARGETS);
    }

    #[test]
    fn kept_inputs_are_of_targets_that_there_are() {
        // The server's are named in its own table, which this package can't see.
        let servers = ["opening_walk", "server_parse", "server_requests"];
        for entry in std::fs::read_dir(root().join("tests/fuzz/seeds")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let is_ours = TARGETS.iter().any(|target| target.name == name);
            assert!(is_ours || servers.contains(&&*name), "{name} is no target");
        }
    }
}
