//! What a target is, and where its bytes come from; for this package and the server's.

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

/// The project's folder.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().find(|folder| folder.join("tests/fuzz").is_dir()).unwrap_or(package)
}

/// Files of a folder of the project, in the order of their names.
pub fn files(folder: &str) -> Vec<Vec<u8>> {
    let root = root();
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

/// Puts each target to every input that is kept of it, and to its seeds.
#[cfg(test)]
pub fn check_all(targets: &[Target]) {
    for target in targets {
        let kept = files(&format!("tests/fuzz/seeds/{}", target.name));
        let made = (target.seeds)();
        assert!(!made.is_empty(), "{}: nothing to begin with", target.name);
        for bytes in kept.iter().chain(&made) {
            (target.check)(bytes);
        }
    }
}
