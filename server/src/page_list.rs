//! The list of pages in a request: numbers and ranges, `1,5-20,77-90`.

use std::str::FromStr;

use litevfs::types::Pgno;

/// Pages in the order asked for, in as little memory as they were written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageList(Vec<(Pgno, Pgno)>);

impl FromStr for PageList {
    type Err = ();

    fn from_str(text: &str) -> Result<PageList, ()> {
        let number = |text: &str| text.parse().ok().and_then(Pgno::new).ok_or(());
        let range = |text: &str| match text.split_once('-') {
            Some((first, last)) => {
                let range = (number(first)?, number(last)?);
                if range.0 <= range.1 { Ok(range) } else { Err(()) }
            }
            None => number(text).map(|pgno| (pgno, pgno)),
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(PageList)
    }
}

impl PageList {
    /// How many pages it names.
    pub fn count(&self) -> u64 {
        let lens = self.0.iter().map(|(first, last)| u64::from(last.get().abs_diff(first.get())));
        lens.fold(0, |sum, len| sum.saturating_add(len).saturating_add(1))
    }

    /// The page asked for first.
    pub fn first(&self) -> Option<Pgno> {
        self.0.first().map(|&(first, _)| first)
    }

    /// Whether it names a page more than once.
    pub fn repeats(&self) -> bool {
        let mut ranges = self.0.clone();
        ranges.sort_unstable();
        let twice =
            |pair: &[(Pgno, Pgno)]| matches!(pair, [(_, last), (first, _)] if first <= last);
        ranges.windows(2).any(twice)
    }

    /// A page of it that is past the end of a database of so many pages, or is its lock page and was
    /// asked for by itself.
    pub fn missing(&self, commit: u32, lock_pgno: Pgno) -> Option<Pgno> {
        let missing = |&&(first, last): &&(Pgno, Pgno)| {
            last.get() > commit || (first == lock_pgno && last == lock_pgno)
        };
        self.0.iter().find(missing).map(|&(_, last)| last)
    }

    /// The pages, but for the lock page.
    pub fn pgnos(self, lock_pgno: Pgno) -> impl Iterator<Item = Pgno> + Send {
        let all = self.0.into_iter().flat_map(|(first, last)| first.get()..=last.get());
        all.filter_map(Pgno::new).filter(move |&pgno| pgno != lock_pgno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> PageList {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_and_ranges_keep_their_order() {
        let lock_pgno = Pgno::new(6).unwrap();
        let pgnos: Vec<u32> = list("9,5-7,1-1").pgnos(lock_pgno).map(Pgno::get).collect();
        assert_eq!((list("9,5-7,1-1").count(), pgnos), (5, vec![9, 5, 7, 1]));
        assert_eq!(list("1-4294967295,1-4294967295").count(), 2 * u64::from(u32::MAX));
        for bad in ["", "0", "0-1", "2-1", "1-", "-1", "1--2", "1-2-3", "1,", "4294967296", "a"] {
            assert!(bad.parse::<PageList>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_asked_for_twice_or_not_there_is_found() {
        for (text, repeats) in [("1,2,3-5", false), ("3-5,1,4", true), ("7,7", true)] {
            assert_eq!(list(text).repeats(), repeats, "{text}");
        }
        let lock_pgno = Pgno::new(6).unwrap();
        for (text, missing) in
            [("1-9", None), ("6", Some(6)), ("6-6", Some(6)), ("5-6", None), ("1,8-10", Some(10))]
        {
            let found = list(text).missing(9, lock_pgno).map(Pgno::get);
            assert_eq!(found, missing, "{text}");
        }
    }
}
