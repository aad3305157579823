//! What a name's history must have been, as it comes to light. Of what was asked for and is not answered yet
//! it is guessed what took effect, in which order. All guesses are kept that explain what was seen; when
//! none is left, something is wrong.

use std::collections::BTreeSet;

use super::explore::history::{Deed, Life, Outcome, Point, Record, happen};

/// Something that was asked for.
pub type Number = usize;

/// How many transactions that change nothing servers make before another one, at most.
const SEALS: u64 = 2;
/// How much that is not answered took effect since somebody looked last, at most.
const UNANSWERED: usize = 2;
/// How many guesses are kept.
const MOST: usize = 200;

/// One history that explains all that was seen.
#[derive(Debug, Clone, Default)]
struct History {
    life: Life,
    happened: BTreeSet<Number>,
}

#[derive(Debug)]
pub struct Guess {
    histories: Vec<History>,
    asked: Vec<Record>,
}

impl Default for Guess {
    fn default() -> Guess {
        Guess { histories: vec![History::default()], asked: Vec::new() }
    }
}

impl Guess {
    /// The newest point, if there is a database.
    pub fn tip(&self) -> Option<Point> {
        self.histories[0].life.points.as_ref().and_then(|points| points.last()).cloned()
    }

    /// Something is asked for.
    pub fn begin(&mut self, deed: Deed) -> Number {
        let (who, lease, outcome) = (String::new(), None, Outcome::InDoubt);
        self.asked.push(Record {
            who,
            deed,
            outcome,
            lease,
            from: 0,
            until: u64::MAX,
            until_ms: 0,
        });
        self.asked.len() - 1
    }

    /// It was answered.
    pub fn told(&mut self, number: Number, outcome: Outcome) {
        self.asked[number].outcome = outcome;
        if outcome == Outcome::Refused {
            let all = self.all();
            self.histories.retain(|history| !history.happened.contains(&number));
            assert!(!self.histories.is_empty(), "{number} was refused, and is there: {all}");
        }
    }

    /// A reader sees that now.
    pub fn seen(&mut self, now: Option<&Point>) {
        let mut next = Vec::new();
        for history in &self.histories {
            let left = (0..self.asked.len()).filter(|number| !history.happened.contains(number));
            let left: Vec<Number> =
                left.filter(|&number| self.asked[number].outcome != Outcome::Refused).collect();
            let must = |number: &&Number| self.asked[**number].outcome == Outcome::Acknowledged;
            let must = left.iter().filter(must).count();
            if must == 0 && self.lead(history, &left, must, 0, now, &mut next) {
                continue;
            }
            for count in must..=left.len().min(must + UNANSWERED) {
                self.lead(history, &left, must, count, now, &mut next);
            }
        }
        let pages = now.map(|point| (point.pos, point.pages.first().map(|page| page[511])));
        assert!(
            !next.is_empty(),
            "nothing explains {pages:?} after {:?}: {}",
            self.tip(),
            self.all()
        );
        next.truncate(MOST);
        self.histories = next;
    }

    /// Finds the histories that lead on to what is seen by so many of what is left, among them so many
    /// that were acknowledged; whether there is one.
    fn lead(
        &self,
        history: &History,
        left: &[Number],
        must: usize,
        count: usize,
        now: Option<&Point>,
        found: &mut Vec<History>,
    ) -> bool {
        if count < must {
            return false;
        }
        if count == 0 {
            let mut history = history.clone();
            let life = &mut history.life;
            let same = match now {
                None => life.points.is_none(),
                Some(now) => life.points.is_some() && life.reach(now.pos) && life.holds(now),
            };
            if same {
                found.push(history);
            }
            return same;
        }
        let mut any = false;
        for &number in left {
            let record = &self.asked[number];
            let rest: Vec<Number> = left.iter().copied().filter(|&other| other != number).collect();
            let must = must - usize::from(record.outcome == Outcome::Acknowledged);
            let anywhere = matches!(record.deed, Deed::Restore(..) | Deed::Import(..));
            for seals in 0..=if anywhere { SEALS } else { 0 } {
                let mut next = history.clone();
                let happens = (seals == 0 || next.life.seal(seals))
                    && happen(record, std::slice::from_mut(&mut next.life));
                if happens {
                    next.happened.insert(number);
                    any |= self.lead(&next, &rest, must, count - 1, now, found);
                }
            }
        }
        any
    }

    /// A server says that this was there once.
    pub fn has_been(&mut self, point: &Point) {
        let all = self.all();
        self.histories.retain(|history| history.life.holds(point));
        assert!(!self.histories.is_empty(), "{} never was: {all}", point.pos);
    }

    /// All that was asked for, for people.
    fn all(&self) -> String {
        let line = |(number, record): (Number, &Record)| {
            let deed = match &record.deed {
                Deed::Commit(members) => {
                    format!("commit {} on {}", members[0].2.pos, members[0].1.pos)
                }
                Deed::Import(..) => "import".to_owned(),
                deed => format!("{deed:?}"),
            };
            let happened = self.histories[0].happened.contains(&number);
            format!("\n  {number} {deed}: {:?}, happened: {happened}", record.outcome)
        };
        self.asked.iter().enumerate().map(line).collect()
    }
}
