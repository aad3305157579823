//! How the number that a pragma sets is written, and between what bounds.

use crate::config::parse_switch;
use crate::db::SharedSettings;
use crate::units::{parse_bound_ms, parse_duration_ms, parse_size, show_duration_ms, show_size};
use alloc::format;
use alloc::string::{String, ToString};
use core::ops::RangeInclusive;

/// What a number is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// 1 for on.
    Switch,
    /// From 0 to this.
    Count(u32),
    /// Bytes.
    Size,
    /// Milliseconds; 0 for never.
    Time,
    /// Milliseconds of a lease.
    LeaseTime,
    /// Milliseconds; 0 for no bound.
    Bound,
}

impl Kind {
    /// The number that a value means; `None` when it is out of range.
    pub fn parse(self, text: &str) -> Option<u64> {
        match self {
            Kind::Switch => parse_switch(text).map(u64::from),
            Kind::Count(max) => {
                text.trim().parse::<u32>().ok().filter(|&n| n <= max).map(u64::from)
            }
            Kind::Size => parse_size(text),
            Kind::Time => parse_duration_ms(text),
            Kind::LeaseTime => parse_duration_ms(text).filter(|ms| LEASE_TIMES_MS.contains(ms)),
            Kind::Bound => parse_bound_ms(text),
        }
    }

    /// It as text.
    pub fn show(self, number: u64) -> String {
        match self {
            Kind::Switch | Kind::Count(_) => number.to_string(),
            Kind::Size => show_size(number),
            Kind::Bound if number == 0 => "off".into(),
            Kind::Time | Kind::LeaseTime | Kind::Bound => show_duration_ms(number),
        }
    }

    /// What to give.
    pub fn range(self) -> String {
        match self {
            Kind::Switch => "on or off".into(),
            Kind::Count(max) => format!("a number from 0 to {max}"),
            Kind::Size => "a size from 0 on, as 10MB or 1 GiB".into(),
            Kind::Time => "0 for never, or a time as 500ms, 5s, 1m, or a number of seconds".into(),
            Kind::LeaseTime => "a time from 100ms to 1m, as 500ms or 5s".into(),
            Kind::Bound => "off, or a time as 500ms, 5s, 1m, or a number of seconds".into(),
        }
    }
}

const LEASE_TIMES_MS: RangeInclusive<u64> =
    SharedSettings::MIN_LEASE_DURATION_MS..=SharedSettings::MAX_LEASE_DURATION_MS;
