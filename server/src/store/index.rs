//! Where every version of every page is stored.
//!
//! Files are numbered like the steps of the history. For each file there is what its page index
//! says; for each page, the numbers of the files that hold a version of it, in ascending order. The
//! version at a step is the last one not after it: when a database shrinks and grows again, the
//! growing file holds the page anew, so a version from before the shrinking is never found.

use std::collections::BTreeMap;

use litevfs::types::{Checksum, Pgno};

/// One stored version of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRef {
    /// The page.
    pub pgno: Pgno,
    /// Where its frame begins in the file, in bytes.
    pub offset: u64,
    /// Bytes of the frame.
    pub len: u32,
    /// Its page checksum; [`Checksum::NONE`] until the page was seen.
    pub checksum: Checksum,
}

/// The page versions of one database.
#[derive(Debug, Default)]
pub struct Index {
    files: Vec<Vec<PageRef>>,
    versions: BTreeMap<Pgno, Vec<u32>>,
}

impl Index {
    /// Takes in the pages of the next file, in ascending order.
    pub fn push(&mut self, pages: Vec<PageRef>) {
        // A file number past 32 bits would need more memory than its page lists could have.
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        for page in &pages {
            self.versions.entry(page.pgno).or_default().push(number);
        }
        self.files.push(pages);
    }

    /// The pages in a file, ascending.
    pub fn pages_of(&self, number: usize) -> &[PageRef] {
        self.files.get(number).map_or(&[], Vec::as_slice)
    }

    /// The version of a page at a step, with the number of its file.
    pub fn at(&self, pgno: Pgno, step: usize) -> Option<(usize, PageRef)> {
        let versions = self.versions.get(&pgno)?;
        let count = versions.partition_point(|&number| number as usize <= step);
        let number = *versions.get(count.checked_sub(1)?)? as usize;
        let pages = self.files.get(number)?;
        let page = pages.get(find(pages, pgno)?)?;
        Some((number, *page))
    }

    /// The pages that changed after a step, ascending; `None` when there are more than `limit`.
    pub fn changed_since(&self, step: usize, limit: usize) -> Option<Vec<Pgno>> {
        let mut changed = Vec::new();
        for pages in self.files.get(step.saturating_add(1)..).unwrap_or_default() {
            changed.extend(pages.iter().map(|page| page.pgno));
            if changed.len() > limit {
                changed.sort_unstable();
                changed.dedup();
                if changed.len() > limit {
                    return None;
                }
            }
        }
        changed.sort_unstable();
        changed.dedup();
        Some(changed)
    }

    /// Remembers the checksum of a version that was read.
    pub fn remember(&mut self, number: usize, pgno: Pgno, checksum: Checksum) {
        let page = self.files.get_mut(number).and_then(|pages| {
            let at = find(pages, pgno)?;
            pages.get_mut(at)
        });
        if let Some(page) = page {
            page.checksum = checksum;
        }
    }
}

fn find(pages: &[PageRef], pgno: Pgno) -> Option<usize> {
    pages.binary_search_by_key(&pgno, |page| page.pgno).ok()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn index(files: &[&[u32]]) -> Index {
        let mut index = Index::default();
        for (number, pgnos) in files.iter().enumerate() {
            let page = |&pgno: &u32| PageRef {
                pgno: Pgno::new(pgno).unwrap(),
                offset: number as u64 * 1000 + u64::from(pgno),
                len: 10,
                checksum: Checksum::NONE,
            };
            index.push(pgnos.iter().map(page).collect());
        }
        index
    }

    #[test]
    fn a_page_is_its_last_version_not_after_the_step() {
        let index = index(&[&[1, 2, 3], &[2], &[1, 2], &[4]]);
        let at = |pgno, step| {
            index.at(Pgno::new(pgno).unwrap(), step).map(|(number, page)| (number, page.offset))
        };
        assert_eq!(at(2, 0), Some((0, 2)));
        assert_eq!(at(2, 1), Some((1, 1002)));
        assert_eq!(at(2, 3), Some((2, 2002)));
        assert_eq!(at(3, 3), Some((0, 3)));
        assert_eq!(at(4, 2), None);
    }

    #[test]
    fn changed_pages_are_counted_once_and_up_to_the_limit() {
        let index = index(&[&[1, 2, 3], &[2], &[1, 2], &[4]]);
        let changed = |step, limit| {
            let pgnos = index.changed_since(step, limit)?;
            Some(pgnos.into_iter().map(Pgno::get).collect::<Vec<_>>())
        };
        assert_eq!(changed(0, 3), Some(vec![1, 2, 4]));
        assert_eq!(changed(0, 2), None);
        assert_eq!(changed(3, 0), Some(vec![]));
    }

    #[test]
    fn checksums_are_remembered_by_version() {
        let mut index = index(&[&[1], &[1]]);
        index.remember(0, Pgno::ONE, Checksum(7 | Checksum::FLAG));
        assert!(index.at(Pgno::ONE, 0).unwrap().1.checksum.is_set());
        assert!(!index.at(Pgno::ONE, 1).unwrap().1.checksum.is_set());
    }
}
