use super::*;
use crate::http::{Body, Method, Transport};
use crate::sys::VirtualTime;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What happens to a try.
#[derive(Clone, Copy)]
enum Try {
    Status(u16),
    /// With what stands in the field `Retry-After`.
    Later(u16, &'static str),
    /// Refused by our server, which says for how many ms.
    Refused(u16, &'static str),
    Lost,
    NotSent,
    Final,
}
use Try::{Final, Later, Lost, NotSent, Refused, Status};

/// A server that answers from a list, again and again the last of it.
struct Script(sys::Mutex<(Vec<Try>, usize)>);

impl Transport for Script {
    fn open(&self, _: &Request) -> Result<Response<Box<dyn Body>>, TransportError> {
        let mut script = self.0.lock();
        let at = script.1.min(script.0.len() - 1);
        script.1 += 1;
        let error =
            |maybe_sent, retryable| TransportError { maybe_sent, retryable, reason: String::new() };
        let (status, headers) = match script.0[at] {
            Status(status) => (status, Vec::new()),
            Later(status, when) => (status, [("Retry-After".into(), when.to_string())].into()),
            Refused(status, ms) => {
                (status, [(retry_after::REFUSED.to_string(), ms.to_string())].into())
            }
            Lost => return Err(error(true, true)),
            NotSent => return Err(error(false, true)),
            Final => return Err(error(true, false)),
        };
        Ok(Response { status, headers, body: Box::new(Empty) })
    }
}

struct Empty;

impl Body for Empty {
    fn read(&mut self, _: &mut [u8], _: u64) -> Result<usize, TransportError> {
        Ok(0)
    }

    fn is_over(&self) -> bool {
        true
    }
}

/// The status in the end, how many tries that took, and how much time.
fn asked(script: &[Try], repeatable: bool, timeout_ms: u64, away: &Away) -> (u16, usize, u64) {
    let started = sys::Tick::now();
    let script = Script(sys::Mutex::new((script.to_vec(), 0)));
    let request = Request {
        method: Method::Get,
        url: String::new(),
        headers: Vec::new(),
        body: &[],
        timeout_ms,
        max_answer_len: 0,
        is_streamed: false,
    };
    let patience = Patience { repeatable, away_ms: AWAY_MS, away };
    let sent = repeat(request, patience, |request| script.send(request), |_| ());
    let tries = script.0.lock().1;
    (sent.map_or(0, |response| response.status), tries, started.age_ms())
}

#[test]
fn a_server_that_is_away_for_seconds_costs_waiting() {
    let _time = VirtualTime::start();
    let away = Away::default();
    for fault in [Status(503), Status(502), Lost, NotSent] {
        let mut script = [fault; 12].to_vec();
        script.push(Status(200));
        let (status, tries, took_ms) = asked(&script, true, 15_000, &away);
        assert_eq!((status, tries), (200, 13));
        assert!((4_000..AWAY_MS).contains(&took_ms), "{took_ms}");
    }
}

#[test]
fn one_that_stays_away_is_waited_for_once() {
    let _time = VirtualTime::start();
    let away = Away::default();
    let (status, _, took_ms) = asked(&[NotSent], true, 15_000, &away);
    assert!(status == 0 && (AWAY_MS - 500..AWAY_MS + 500).contains(&took_ms), "{took_ms}");
    for _ in 0..20 {
        VirtualTime::advance(MAX_GAP_MS / 2);
        let (_, tries, took_ms) = asked(&[NotSent], true, 15_000, &away);
        assert_eq!((tries, took_ms), (2, FIRST_PAUSE_MS));
    }
    assert_eq!(asked(&[Status(404)], true, 15_000, &away).0, 404);
    assert!(asked(&[NotSent], true, 15_000, &away).2 > AWAY_MS / 2, "it was there meanwhile");
    VirtualTime::advance(MAX_GAP_MS + 1);
    assert!(asked(&[NotSent], true, 15_000, &away).2 > AWAY_MS / 2, "that is long ago");
    assert!(asked(&[NotSent], true, 300, &away).2 <= 300);
}

#[test]
fn what_a_server_says_is_waited_for_within_the_time() {
    let _time = VirtualTime::start();
    let away = Away::default();
    for late in [Later(429, "2"), Later(503, "2"), Refused(429, "2000"), Refused(503, "2000")] {
        let (status, tries, took_ms) = asked(&[late, late, Status(200)], true, 9_000, &away);
        assert_eq!((status, tries), (200, 3));
        assert!((4_000..=5_000).contains(&took_ms), "{took_ms}");
        // No use in waiting.
        let (status, tries, took_ms) = asked(&[late, Status(200)], true, 1_999, &away);
        assert!(status >= 429 && (tries, took_ms) == (1, 0));
    }
    // Longer than any absence: it is there.
    let refused = Refused(429, "1000");
    assert_eq!(
        asked(&[[refused; 10].as_slice(), &[Status(200)]].concat(), true, 20_000, &away).1,
        11
    );
}

#[test]
fn only_what_was_not_applied_is_sent_twice_where_that_does_harm() {
    let _time = VirtualTime::start();
    let away = Away::default();
    for fault in [Status(503), Later(429, "1"), Lost, Final] {
        assert_eq!(asked(&[fault, Status(200)], false, 10_000, &away).1, 1);
    }
    for fault in [Refused(503, "10"), Refused(429, "10"), NotSent] {
        assert_eq!(asked(&[fault, Status(200)], false, 10_000, &away).0, 200);
    }
}

#[test]
fn refusals_are_final() {
    let _time = VirtualTime::start();
    let away = Away::default();
    for fault in [Status(409), Status(500), Final] {
        assert_eq!(asked(&[fault, Status(200)], true, 10_000, &away).1, 1);
    }
}
