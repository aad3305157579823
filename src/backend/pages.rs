//! Pages on their way from a server: which ones were asked for, and one after the other as they come.

use crate::error::Result;
use crate::types::Pgno;
use alloc::vec::{self, Vec};
use core::fmt;

/// A page with its contents.
pub type Page = (Pgno, Vec<u8>);

/// Page numbers in the order in which they are asked for, as ranges: `7,8-90,2`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageList {
    /// First and last of each.
    ranges: Vec<(Pgno, Pgno)>,
}

impl PageList {
    /// Adds a page that is not in it.
    pub fn push(&mut self, pgno: Pgno) {
        match self.ranges.last_mut() {
            Some((_, last)) if last.get().checked_add(1) == Some(pgno.get()) => *last = pgno,
            _ => self.ranges.push((pgno, pgno)),
        }
    }

    /// Whether a page that is added next needs no range of its own.
    pub fn is_followed_by(&self, pgno: Pgno) -> bool {
        self.last().and_then(|last| last.get().checked_add(1)) == Some(pgno.get())
    }

    /// The first page.
    pub fn first(&self) -> Option<Pgno> {
        self.ranges.first().map(|(first, _)| *first)
    }

    /// The last page.
    pub fn last(&self) -> Option<Pgno> {
        self.ranges.last().map(|(_, last)| *last)
    }

    /// Takes the first page off.
    pub fn pop(&mut self) -> Option<Pgno> {
        let (first, last) = self.ranges.first_mut()?;
        let pgno = *first;
        match pgno.get().checked_add(1).and_then(Pgno::new).filter(|next| next <= last) {
            Some(next) => *first = next,
            None => drop(self.ranges.remove(0)),
        }
        Some(pgno)
    }

    /// How many pages come before this one; `None` when it is not in it.
    pub fn position(&self, pgno: Pgno) -> Option<usize> {
        let mut before = 0_usize;
        for &(first, last) in &self.ranges {
            if (first..=last).contains(&pgno) {
                return Some(before.saturating_add(distance(first, pgno)));
            }
            before = before.saturating_add(distance(first, last)).saturating_add(1);
        }
        None
    }

    /// How many pages.
    pub fn len_pages(&self) -> usize {
        let len = |&(first, last): &(Pgno, Pgno)| distance(first, last).saturating_add(1);
        self.ranges.iter().map(len).sum()
    }

    /// How many ranges that takes.
    pub fn len_ranges(&self) -> usize {
        self.ranges.len()
    }

    /// The pages.
    pub fn iter(&self) -> impl Iterator<Item = Pgno> {
        self.ranges
            .iter()
            .flat_map(|(first, last)| (first.get()..=last.get()).filter_map(Pgno::new))
    }
}

fn distance(first: Pgno, second: Pgno) -> usize {
    second.get().saturating_sub(first.get()) as usize
}

impl FromIterator<Pgno> for PageList {
    fn from_iter<I: IntoIterator<Item = Pgno>>(pgnos: I) -> PageList {
        let mut list = PageList::default();
        pgnos.into_iter().for_each(|pgno| list.push(pgno));
        list
    }
}

impl fmt::Display for PageList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// An answer with pages that is read as it comes. Whoever drops it before its end gives up the rest.
pub trait PageStream: Send {
    /// The pages that are still to come, in that order.
    fn to_come(&self) -> &PageList;

    /// Waits for the next page, fills `page` with it, and takes it off the list; `None` after the last, when
    /// the end of the answer was read, too. The page is the one that was asked for, but may have any length.
    fn next(&mut self, page: &mut Vec<u8>) -> Result<Option<Pgno>>;

    /// Whether [`PageStream::next`] need not wait for what comes next, a page or the end.
    fn has_next(&self) -> bool {
        true
    }

    /// Whether it need not wait at all any more.
    fn has_all(&self) -> bool {
        true
    }
}

/// Pages that came all at once, as a stream.
pub struct WholeAnswer {
    to_come: PageList,
    pages: vec::IntoIter<Page>,
}

impl WholeAnswer {
    /// The stream of these pages.
    pub fn new(pages: Vec<Page>) -> WholeAnswer {
        let to_come = pages.iter().map(|(pgno, _)| *pgno).collect();
        WholeAnswer { to_come, pages: pages.into_iter() }
    }
}

impl PageStream for WholeAnswer {
    fn to_come(&self) -> &PageList {
        &self.to_come
    }

    fn next(&mut self, page: &mut Vec<u8>) -> Result<Option<Pgno>> {
        self.to_come.pop();
        Ok(self.pages.next().map(|(pgno, bytes)| {
            *page = bytes;
            pgno
        }))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn list(pgnos: &[u32]) -> PageList {
        pgnos.iter().filter_map(|&pgno| Pgno::new(pgno)).collect()
    }

    #[test]
    fn a_list_is_written_as_ranges_in_its_order() {
        for (pgnos, text) in [
            (&[][..], ""),
            (&[7], "7"),
            (&[7, 8], "7-8"),
            (&[9, 1, 2, 3, 5, 4, u32::MAX - 1, u32::MAX], "9,1-3,5,4,4294967294-4294967295"),
        ] {
            let mut list = list(pgnos);
            assert_eq!(list.to_string(), text);
            assert_eq!(list.iter().map(Pgno::get).collect::<Vec<_>>(), pgnos);
            assert_eq!(list.len_pages(), pgnos.len());
            for (n, &pgno) in pgnos.iter().enumerate() {
                assert_eq!(list.position(Pgno::new(pgno).unwrap()), Some(0), "{n} are gone");
                assert_eq!(list.position(list.last().unwrap()), Some(pgnos.len() - n - 1));
                assert_eq!(list.first(), list.clone().pop());
                assert_eq!(list.pop().map(Pgno::get), Some(pgno));
                assert_eq!(list.position(Pgno::new(pgno).unwrap()), None);
            }
            assert_eq!((list.pop(), list.len_ranges()), (None, 0));
        }
    }
}
