//! Asking again: for as long as the call has time, not so many times. What waits is what helps: a server that
//! is away for a few seconds, or one that says when to come back.
//!
//! | what happened | asked again |
//! | --- | --- |
//! | our server refused it before it looked at it | as soon as it says, also what is not to be repeated |
//! | 429 of another make | as soon as it says |
//! | 502, 503, 504, no answer | while the server is away for a moment only, see [`Away`] |
//!
//! What is not to be repeated is asked again only where nothing of it can have been applied.

use super::retry_after::{self, Told};
use super::{Request, Response, TransportError};
use crate::sys;

/// Pause before the second try; doubled for each one after, up to the longest.
const FIRST_PAUSE_MS: u64 = 50;
const MAX_PAUSE_MS: u64 = 500;
/// How often is asked at least where repeating helps, however long the server has been away.
const MIN_TRIES: u32 = 2;
/// How long a server may be away until calls fail at once: as long as it takes to start again, and some more.
pub const AWAY_MS: u64 = 7_000;
/// Failures that lie further apart are not of one absence.
const MAX_GAP_MS: u64 = 10_000;

/// Since when a server is away.
#[derive(Debug, Default)]
pub struct Away(sys::Mutex<Option<Absence>>);

#[derive(Debug, Clone, Copy)]
struct Absence {
    since: sys::Tick,
    last: sys::Tick,
}

impl Away {
    /// It is away; answers for how long.
    fn note(&self) -> u64 {
        let now = sys::Tick::now();
        let mut absence = self.0.lock();
        let known = absence.filter(|absence| absence.last.age_ms() <= MAX_GAP_MS);
        let since = known.map_or(now, |absence| absence.since);
        *absence = Some(Absence { since, last: now });
        since.age_ms()
    }

    /// It has answered.
    fn end(&self) {
        *self.0.lock() = None;
    }
}

/// How a call may be asked again.
#[derive(Debug, Clone, Copy)]
pub struct Patience<'a> {
    /// Whether sending it twice does no harm.
    pub repeatable: bool,
    /// For how long at the most the server may be away.
    pub away_ms: u64,
    /// Since when it is.
    pub away: &'a Away,
}

/// Sends a request until there is an answer that no waiting changes, or `request.timeout_ms` have passed in
/// all. `before_retry` may mend the request after a failure.
pub fn repeat<B>(
    mut request: Request,
    patience: Patience<'_>,
    send: impl Fn(&Request) -> Result<Response<B>, TransportError>,
    mut before_retry: impl FnMut(&mut Request),
) -> Result<Response<B>, TransportError> {
    let started = sys::Tick::now();
    let budget_ms = request.timeout_ms;
    let mut pause_ms = FIRST_PAUSE_MS;
    let mut tries = 0_u32;
    loop {
        let outcome = send(&request);
        tries = tries.saturating_add(1);
        let Some(told) = what_to_do(&outcome, patience) else { return outcome };
        let mut wait_ms = told.wait_ms.map_or(pause_ms, |told_ms| told_ms.max(FIRST_PAUSE_MS));
        let is_there = told.is_refused || is_too_many(&outcome);
        if is_there {
            patience.away.end();
            wait_ms = wait_ms.saturating_add(spread_ms(wait_ms));
        } else if patience.away.note() >= patience.away_ms && tries >= MIN_TRIES {
            return outcome;
        }
        let left_ms = budget_ms.saturating_sub(started.age_ms());
        if left_ms <= wait_ms {
            return outcome;
        }
        sys::pause_ms(wait_ms);
        if sys::is_interrupted() {
            return outcome;
        }
        pause_ms = pause_ms.saturating_mul(2).min(MAX_PAUSE_MS);
        request.timeout_ms = budget_ms.saturating_sub(started.age_ms());
        before_retry(&mut request);
    }
}

/// What the answer tells of asking again; `None` where that does not help, or may do harm.
fn what_to_do<B>(
    outcome: &Result<Response<B>, TransportError>,
    patience: Patience<'_>,
) -> Option<Told> {
    match outcome {
        Ok(response) if is_overloaded(response.status) => {
            let told = retry_after::told(response);
            (patience.repeatable || told.is_refused).then_some(told)
        }
        Ok(_) => {
            patience.away.end();
            None
        }
        Err(error) => {
            let is_harmless = patience.repeatable || !error.maybe_sent;
            (error.retryable && is_harmless).then(Told::default)
        }
    }
}

/// So that those who were told the same do not all come back at the same moment: up to a quarter more.
fn spread_ms(wait_ms: u64) -> u64 {
    let mut byte = [0];
    sys::random_bytes(&mut byte);
    let [byte] = byte;
    wait_ms.saturating_mul(byte.into()) / 1024
}

fn is_too_many<B>(outcome: &Result<Response<B>, TransportError>) -> bool {
    outcome.as_ref().is_ok_and(|response| response.status == 429)
}

/// Whether a status says that the same request may succeed in a moment.
pub fn is_overloaded(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
#[path = "retry_tests.rs"]
mod tests;
