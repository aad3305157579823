//! What must hold for any bytes, one function a target. The fuzzers of `tests/fuzz` call them with bytes that
//! they make up, the test below with those that are kept: examples, and every input that once found a fault.
//!
//! Each lies, as `fuzzing`, in the module whose private parts it looks at, and only in builds for tests and
//! for fuzzing. It panics where something does not hold.

use std::path::Path;

/// One thing to be fuzzed.
pub struct Target {
    /// Its name, and that of the folder with its seeds.
    pub name: &'static str,
    /// Panics unless the bytes are dealt with as they should be.
    pub check: fn(&[u8]),
    /// Bytes to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

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

/// Bytes as a source of choices; zeros when they are used up.
#[derive(Debug)]
pub struct Source<'a>(pub &'a [u8]);

impl Source<'_> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) << 32 | u64::from(self.u32())
    }

    /// A number, the extremes more often than others.
    pub fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0 => 0,
            1 => 1,
            2 => u64::from(self.byte()),
            3 => u64::MAX - u64::from(self.byte()),
            4 => i64::MAX as u64,
            5 => (1 << 56) - 4 + u64::from(self.byte() & 7),
            6 => u64::from(self.u32()),
            _ => self.u64(),
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Files of a folder of the project, in the order of their names.
pub fn files(folder: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { paths.push(path) }
        }
    }
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// What seeds begin with, and the examples that follow it: most targets take their choices from the first byte.
pub fn with_choices(choices: &[u8], examples: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let with = |choice: &u8| {
        let choice = *choice;
        examples.iter().map(move |example| [&[choice][..], example].concat())
    };
    choices.iter().flat_map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_that_is_kept_is_dealt_with() {
        for target in TARGETS {
            let kept = files(&format!("tests/fuzz/seeds/{}", target.name));
            let made = (target.seeds)();
            assert!(!made.is_empty(), "{}: nothing to begin with", target.name);
            for bytes in kept.iter().chain(&made) {
                (target.check)(bytes);
            }
        }
    }

    #[test]
    fn kept_inputs_are_of_targets_that_there_are() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
        for entry in std::fs::read_dir(seeds).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let is_known = name.starts_with("server_")
                || name == "opening_walk"
                || TARGETS.iter().any(|target| target.name == name);
            assert!(is_known, "{name} is no target");
        }
    }
}
