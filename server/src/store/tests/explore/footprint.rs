//! What a request reads and writes in the store, and whether two of them can be told apart by their
//! order. Requests whose order makes no difference are explored in one order only.

use object_store::path::Path;

/// Part of the store.
#[derive(Debug, Clone)]
pub enum Area {
    /// One object.
    Object(Path),
    /// The objects below a folder that sort after a name.
    Listing { folder: Option<Path>, after: Option<Path> },
}

/// What a request reads and writes.
#[derive(Debug, Clone, Default)]
pub struct Footprint {
    pub reads: Vec<Area>,
    pub writes: Vec<Path>,
}

impl Footprint {
    /// A request that nobody else's can have to do with, like a part of an upload.
    pub fn nothing() -> Footprint {
        Footprint::default()
    }

    pub fn reads(area: Area) -> Footprint {
        Footprint { reads: vec![area], writes: Vec::new() }
    }

    pub fn writes(path: &Path) -> Footprint {
        Footprint { reads: Vec::new(), writes: vec![path.clone()] }
    }

    /// The same with other paths.
    pub fn map(self, path: impl Fn(&Path) -> Path) -> Footprint {
        let area = |area: Area| match area {
            Area::Object(object) => Area::Object(path(&object)),
            Area::Listing { folder, after } => {
                let (folder, after) = (folder.as_ref().map(&path), after.as_ref().map(&path));
                Area::Listing { folder, after }
            }
        };
        let reads = self.reads.into_iter().map(area).collect();
        Footprint { reads, writes: self.writes.iter().map(&path).collect() }
    }

    pub fn is_write(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Whether the order of two requests may matter.
    pub fn conflicts(&self, other: &Footprint) -> bool {
        self.disturbs(other) || other.disturbs(self)
    }

    fn disturbs(&self, other: &Footprint) -> bool {
        self.writes.iter().any(|path| {
            other.writes.contains(path) || other.reads.iter().any(|area| area.holds(path))
        })
    }
}

impl Area {
    fn holds(&self, path: &Path) -> bool {
        match self {
            Area::Object(object) => object == path,
            Area::Listing { folder, after } => {
                let inside = folder.as_ref().is_none_or(|folder| path.prefix_matches(folder));
                inside && after.as_ref().is_none_or(|after| path > after)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_write_to_what_the_other_touches_conflicts() {
        let (a, b) = (Path::from("c/db/0000/1"), Path::from("c/db/0001/1"));
        let listing = |after: Option<&str>| {
            let (folder, after) = (Some(Path::from("c/db/0000")), after.map(Path::from));
            Footprint::reads(Area::Listing { folder, after })
        };
        let get = Footprint::reads(Area::Object(a.clone()));
        assert!(Footprint::writes(&a).conflicts(&get) && get.conflicts(&Footprint::writes(&a)));
        assert!(Footprint::writes(&a).conflicts(&Footprint::writes(&a)));
        assert!(Footprint::writes(&a).conflicts(&listing(None)));
        assert!(Footprint::writes(&a).conflicts(&listing(Some("c/db/0000/0"))));
        assert!(!Footprint::writes(&a).conflicts(&listing(Some("c/db/0000/1"))));
        assert!(!Footprint::writes(&b).conflicts(&listing(None)));
        assert!(!Footprint::writes(&b).conflicts(&get) && !get.conflicts(&listing(None)));
    }
}
