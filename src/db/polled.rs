//! What the server's answers about a database's position mean for what is known of it.

use super::state::State;
use crate::backend::{Change, ChangedPages};
use crate::sys;
use crate::types::{Pgno, Pos};

/// The shortest pause between two polls of a server that is away.
const MIN_AWAY_PAUSE_MS: u64 = 1_000;

/// Whether pages may be all that a database has, as after an import of a file.
fn are_all(pgnos: &[Pgno]) -> bool {
    (1..).zip(pgnos).all(|(number, pgno)| pgno.get() == number) && !pgnos.is_empty()
}

/// Where a database was when it was asked about.
pub(super) struct Since {
    pub pos: Pos,
    pub poll: u64,
}

/// Which poll it is that answered.
pub(super) struct Answer {
    pub number: u64,
    pub sent: sys::Tick,
}

impl State {
    /// Whether a transaction can begin with what is cached.
    pub(super) fn has_page1(&self) -> bool {
        self.cache.contains(Pgno::ONE, self.cache.pos().txid)
    }

    pub(super) fn poll_is_due(&self) -> bool {
        let pause_ms = self.settings.cache_sync_period_ms.max(MIN_AWAY_PAUSE_MS);
        let is_pause = self.away_since_poll.is_some_and(|failed| failed.age_ms() < pause_ms);
        if is_pause && !self.in_doubt {
            return false;
        }
        let Some(confirmed) = self.confirmed.filter(|_| !self.distrusted) else {
            return true;
        };
        if self.away_since_poll.is_some() {
            return true;
        }
        // Under our own lease nobody else commits.
        let fenced = self.lease.current.as_ref().is_some_and(|lease| lease.is_live());
        let period_ms = self.settings.cache_sync_period_ms;
        period_ms != 0 && !fenced && confirmed.age_ms() >= period_ms
    }

    /// Takes in that the server, asked at `sent`, named its newest position; `false` when that has to be
    /// polled. So it has before the first poll: databases are of one state by what one poll said of them. And
    /// where it is not told which commit that is.
    pub(super) fn confirm(&mut self, pos: Pos, sent: sys::Tick) -> bool {
        let is_told = pos.commit_id.is_set() || pos.is_empty();
        if self.cache.pos() != pos || !is_told || self.poll == 0 {
            return false;
        }
        self.confirmed = Some(sent);
        self.away_since_poll = None;
        self.distrusted = false;
        self.in_doubt = false;
        true
    }

    /// Takes in what the server said of the changes since a position; `false` when that is not the known
    /// one any more, and what is known instead may be older than the answer.
    pub(super) fn apply(&mut self, since: Since, change: Change, answer: Answer) -> bool {
        if self.cache.pos() != since.pos {
            // Somebody else was faster, but may have been answered earlier. If it was a commit of ours
            // that led on from there, we are where this answer and that commit lead.
            if change.pos == since.pos && self.poll == since.poll || change.pos == self.cache.pos()
            {
                self.poll = answer.number;
            }
            return change.pos == since.pos || change.pos == self.cache.pos();
        }
        let went_back = change.pos != since.pos && change.pos.txid <= since.pos.txid;
        match change.pages {
            ChangedPages::Some(pgnos) if !went_back => {
                self.rewrites = self.rewrites.wrapping_add(u64::from(are_all(&pgnos)));
                self.cache.advance(change.pos, &pgnos);
            }
            pages => {
                let is_known = pages == ChangedPages::ByCommits && !went_back;
                self.breaks = self.breaks.wrapping_add(u64::from(!is_known));
                self.epoch = self.epoch.wrapping_add(u64::from(went_back));
                self.handovers = self.handovers.wrapping_add(1);
                self.cache.reset(change.pos);
            }
        }
        self.cache.flush();
        self.poll = answer.number;
        self.confirmed = Some(answer.sent);
        self.away_since_poll = None;
        self.distrusted = false;
        self.in_doubt = false;
        true
    }
}
