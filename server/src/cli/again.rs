//! Asking again: a server that is away for some seconds, or says when to come back, costs waiting. As the
//! extension does it.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};

use super::causes::tls_error_of;

/// For how long a server may be away.
const AWAY: Duration = Duration::from_secs(6);
/// For how long at the most a server that is there has one wait.
const REFUSED: Duration = Duration::from_secs(60);
/// Pause after the first failure; doubled for each one after, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_millis(500);
/// Our server's field: nothing has looked at the request; to be asked again in so many ms.
const NOT_LOOKED_AT: &str = "litevfs-refused";

/// The tries of one request.
pub(super) struct Tries {
    method: Method,
    started: Instant,
    pause: Duration,
}

impl Tries {
    /// Of a request of that method, beginning now.
    pub(super) fn new(method: Method) -> Tries {
        Tries { method, started: Instant::now(), pause: FIRST_PAUSE }
    }

    /// How long to wait before the next one; `None` when this is the outcome.
    pub(super) fn next(&mut self, outcome: &reqwest::Result<Response>) -> Option<Duration> {
        let is_read = self.method == Method::GET;
        let pause = self.pause;
        let (wait, limit) = match outcome {
            Ok(answer) => {
                let refused = number(answer.headers(), NOT_LOOKED_AT).map(Duration::from_millis);
                let told = refused.or_else(|| retry_after(answer.headers()));
                let limit = match answer.status() {
                    _ if refused.is_some() => REFUSED,
                    StatusCode::TOO_MANY_REQUESTS if is_read => REFUSED,
                    StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
                        if is_read =>
                    {
                        AWAY
                    }
                    _ => return None,
                };
                (told.unwrap_or(pause).max(FIRST_PAUSE), limit)
            }
            Err(error) if tls_error_of(error).is_some() || error.is_timeout() => return None,
            Err(error) if error.is_connect() || error.is_request() && is_read => (pause, AWAY),
            Err(_) => return None,
        };
        self.pause = pause.saturating_mul(2).min(MAX_PAUSE);
        (self.started.elapsed().saturating_add(wait) <= limit).then_some(wait)
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// `Retry-After`, in seconds or as a date, by the server's clock where it tells.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    if let Some(seconds) = number(headers, RETRY_AFTER.as_str()) {
        return Some(Duration::from_secs(seconds));
    }
    let date = |name| DateTime::parse_from_rfc2822(headers.get(name)?.to_str().ok()?).ok();
    let until = date(RETRY_AFTER)?.to_utc();
    let now = date(DATE).map_or_else(Utc::now, |now| now.to_utc());
    Some(until.signed_duration_since(now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, fields: &[(&str, &str)]) -> reqwest::Result<Response> {
        let mut answer = axum::http::Response::builder().status(status);
        for (name, value) in fields {
            answer = answer.header(*name, *value);
        }
        Ok(answer.body("").unwrap().into())
    }

    fn wait_ms(method: Method, status: u16, fields: &[(&str, &str)]) -> Option<u128> {
        Tries::new(method).next(&answer(status, fields)).map(|wait| wait.as_millis())
    }

    #[test]
    fn what_the_server_says_is_waited_for() {
        let later = [("Retry-After", "2")];
        assert_eq!(wait_ms(Method::GET, 429, &later), Some(2000));
        assert_eq!(wait_ms(Method::GET, 503, &later), Some(2000));
        assert_eq!(wait_ms(Method::GET, 503, &[("Retry-After", "3600")]), None);
        let date = ("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT");
        let now = ("Date", "Sun, 06 Nov 1994 08:49:34 GMT");
        assert_eq!(wait_ms(Method::GET, 503, &[date, now]), Some(3000));
        assert_eq!(wait_ms(Method::GET, 502, &[]), Some(50));
    }

    #[test]
    fn what_changes_something_is_repeated_only_where_nobody_has_seen_it() {
        assert_eq!(wait_ms(Method::POST, 429, &[("Retry-After", "2")]), None);
        assert_eq!(wait_ms(Method::POST, 503, &[]), None);
        let refused = [("Retry-After", "2"), ("Litevfs-Refused", "1200")];
        assert_eq!(wait_ms(Method::POST, 429, &refused), Some(1200));
        assert_eq!(wait_ms(Method::GET, 404, &[]), None);
    }

    #[test]
    fn pauses_grow_and_the_time_ends() {
        let mut tries = Tries::new(Method::GET);
        let waits = [(); 5].map(|()| tries.next(&answer(502, &[])).unwrap().as_millis());
        assert_eq!(waits, [50, 100, 200, 400, 500]);
        tries.started -= AWAY;
        assert_eq!(tries.next(&answer(502, &[])), None);
    }
}
