//! What an answer says of coming back: `Retry-After`, in seconds or as a date, and our own server's field.

use super::Response;
use crate::sys;

/// Our server's: the request was refused before anything looked at it, so nothing of it was applied; to be
/// asked again in so many ms.
pub const REFUSED: &str = "Litevfs-Refused";
const RETRY_AFTER: &str = "Retry-After";

/// What an answer says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Whether our server refused the request before it looked at it.
    pub is_refused: bool,
    /// When to come back.
    pub wait_ms: Option<u64>,
}

/// What an answer says of coming back.
pub fn told<B>(response: &Response<B>) -> Told {
    read(response.header(REFUSED), response.header(RETRY_AFTER), response.header("Date"))
}

#[inline(never)]
fn read(refused: Option<&str>, retry_after: Option<&str>, date: Option<&str>) -> Told {
    let told_ms = refused.and_then(|ms| ms.trim().parse().ok());
    let wait_ms = told_ms.or_else(|| {
        let now = date.and_then(date_s).unwrap_or(sys::unix_ms() / 1000);
        retry_after.and_then(|text| retry_after_ms(text.trim(), now))
    });
    Told { is_refused: refused.is_some(), wait_ms }
}

/// The value of `Retry-After`; `now` is in seconds since the Unix epoch.
fn retry_after_ms(text: &str, now: u64) -> Option<u64> {
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => date_s(text)?.saturating_sub(now),
    };
    Some(seconds.saturating_mul(1000))
}

/// A date as HTTP has it, `Sun, 06 Nov 1994 08:49:37 GMT`, in seconds since the Unix epoch. The forms that
/// nobody writes any more are left out.
fn date_s(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = text.trim().split(' ').skip(1);
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next().filter(|name| name.len() == 3)?;
    let month = MONTHS.find(month).filter(|at| at.is_multiple_of(3))? as u64 / 3;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let [hour, minute, second] = [time.next()??, time.next()??, time.next()??];
    if words.next() != Some("GMT")
        || day == 0
        || day > 31
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    // Years that begin in March end with the day that not every one has.
    let (year, month) = match month.checked_sub(2) {
        Some(month) => (year, month),
        None => (year.saturating_sub(1), month.saturating_add(10)),
    };
    let leap_days = (year / 4).saturating_sub(year / 100).saturating_add(year / 400);
    let days = year.saturating_mul(365).saturating_add(leap_days);
    let days = days.saturating_add(month.saturating_mul(153).saturating_add(2) / 5);
    let days = days.saturating_add(day).checked_sub(719_469)?;
    let minutes = days.saturating_mul(1440).saturating_add(hour.saturating_mul(60));
    Some(minutes.saturating_add(minute).saturating_mul(60).saturating_add(second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn dates_are_read() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:60 GMT", 951_868_800),
            ("Sat, 28 Nov 2026 16:24:16 GMT", 1_795_883_056),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(date_s(text), Some(seconds), "{text}");
        }
        for bad in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 ovD 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        ] {
            assert_eq!(date_s(bad), None, "{bad}");
        }
    }

    fn of(fields: &[(&str, &str)]) -> (bool, Option<u64>) {
        let headers = fields.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let told = told(&Response { status: 503, headers: headers.collect(), body: () });
        (told.is_refused, told.wait_ms)
    }

    #[test]
    fn seconds_dates_and_our_own_field() {
        assert_eq!(of(&[]), (false, None));
        assert_eq!(of(&[("retry-after", " 3 ")]), (false, Some(3000)));
        assert_eq!(of(&[("Retry-After", "soon")]), (false, None));
        assert_eq!(of(&[("Retry-After", "1"), ("litevfs-refused", "250")]), (true, Some(250)));
        assert_eq!(of(&[("Retry-After", "1"), ("Litevfs-Refused", "x")]), (true, Some(1000)));
        // By the server's own clock, where it tells.
        let then = ("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(of(&[then, ("Date", "Sun, 06 Nov 1994 08:49:33 GMT")]), (false, Some(4000)));
        assert_eq!(of(&[then]), (false, Some(0)));
    }
}
