//! Asking again: a server that restarts, is overloaded or cut a connection is asked a few times, with
//! growing pauses, within a bound. Only for requests that may be repeated.

use super::{Request, Response, TransportError};
use crate::sys;

/// How often a request is sent at the most.
const MAX_TRIES: u32 = 4;
/// Pause before the second try; doubled for each one after.
const FIRST_PAUSE_MS: u64 = 50;

/// Sends a request that may be repeated, until it is answered with anything but "come back later", or
/// `request.timeout_ms` have passed in all. `before_retry` may mend the request after a failure.
pub fn repeat<B>(
    mut request: Request,
    send: impl Fn(&Request) -> Result<Response<B>, TransportError>,
    mut before_retry: impl FnMut(&mut Request),
) -> Result<Response<B>, TransportError> {
    let started = sys::Tick::now();
    let budget_ms = request.timeout_ms;
    let mut pause_ms = FIRST_PAUSE_MS;
    let mut tries_left = MAX_TRIES;
    loop {
        tries_left = tries_left.saturating_sub(1);
        let outcome = send(&request);
        let left_ms = budget_ms.saturating_sub(started.age_ms());
        if !wants_retry(&outcome) || tries_left == 0 || left_ms <= pause_ms {
            return outcome;
        }
        sys::sleep_ms(pause_ms);
        pause_ms = pause_ms.saturating_mul(2);
        request.timeout_ms = left_ms;
        before_retry(&mut request);
    }
}

fn wants_retry<B>(outcome: &Result<Response<B>, TransportError>) -> bool {
    match outcome {
        Ok(response) => is_overloaded(response.status),
        Err(error) => error.retryable,
    }
}

/// Whether a status says that the same request may succeed in a moment.
pub fn is_overloaded(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Body, Method, Transport};
    use alloc::boxed::Box;
    use alloc::string::String;
    use alloc::vec::Vec;

    /// Answers from a list, last first.
    struct Script(sys::Mutex<Vec<Result<u16, bool>>>);

    impl Transport for Script {
        fn open(&self, _: &Request) -> Result<Response<Box<dyn Body>>, TransportError> {
            match self.0.lock().pop().expect("an unexpected request") {
                Ok(status) => Ok(Response { status, headers: Vec::new(), body: Box::new(Empty) }),
                Err(retryable) => {
                    Err(TransportError { maybe_sent: true, retryable, reason: String::new() })
                }
            }
        }
    }

    struct Empty;

    impl Body for Empty {
        fn read(&mut self, _: &mut [u8], _: u64) -> Result<usize, TransportError> {
            Ok(0)
        }
    }

    fn outcome(script: &[Result<u16, bool>], timeout_ms: u64) -> (Option<u16>, usize) {
        let script = Script(sys::Mutex::new(script.iter().rev().copied().collect()));
        let request = Request {
            method: Method::Get,
            url: String::new(),
            headers: Vec::new(),
            body: &[],
            timeout_ms,
            max_answer_len: 0,
        };
        let sent = repeat(request, |request| script.send(request), |_| ());
        let status = sent.ok().map(|response| response.status);
        let unsent = script.0.lock().len();
        (status, unsent)
    }

    #[test]
    fn overload_and_cut_connections_are_tried_again() {
        assert_eq!(outcome(&[Ok(503), Err(true), Ok(200)], 10_000), (Some(200), 0));
    }

    #[test]
    fn refusals_are_final() {
        assert_eq!(outcome(&[Ok(409), Ok(200)], 10_000), (Some(409), 1));
        assert_eq!(outcome(&[Err(false), Ok(200)], 10_000), (None, 1));
    }

    #[test]
    fn tries_and_time_are_bounded() {
        assert_eq!(outcome(&[Ok(503); 5], 10_000), (Some(503), 1));
        assert_eq!(outcome(&[Ok(503); 5], 0), (Some(503), 4));
    }
}
