//! Sizes and durations as people write them, in pragmas and in the environment.

use alloc::format;
use alloc::string::{String, ToString};

const SIZE_UNITS: [(&str, u64); 11] = [
    ("b", 1),
    ("kb", 1_000),
    ("k", 1_000),
    ("kib", 1 << 10),
    ("mb", 1_000_000),
    ("m", 1_000_000),
    ("mib", 1 << 20),
    ("gb", 1_000_000_000),
    ("g", 1_000_000_000),
    ("gib", 1 << 30),
    ("tb", 1_000_000_000_000),
];

const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Bytes of `10MB`, `1 GiB`, `4096`.
pub fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZE_UNITS, 1)
}

/// Milliseconds of `500ms`, `5s`, `1m`, or of a bare number of seconds.
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    parse(text, &DURATION_UNITS, 1_000)
}

/// Milliseconds of a bound that may be left out: `off` and 0 are none.
pub fn parse_bound_ms(text: &str) -> Option<u64> {
    if text.trim().eq_ignore_ascii_case("off") { Some(0) } else { parse_duration_ms(text) }
}

/// A size in its largest whole unit.
pub fn show_size(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("GiB", 1 << 30), ("MB", 1_000_000), ("MiB", 1 << 20)];
    show(bytes, &units).unwrap_or_else(|| bytes.to_string())
}

/// A duration in its largest whole unit.
pub fn show_duration_ms(ms: u64) -> String {
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    show(ms, &units).unwrap_or_else(|| if ms == 0 { "0".into() } else { format!("{ms}ms") })
}

fn show(value: u64, units: &[(&str, u64)]) -> Option<String> {
    let (unit, factor) =
        units.iter().find(|(_, factor)| value != 0 && value.checked_rem(*factor) == Some(0))?;
    Some(format!("{}{unit}", value.checked_div(*factor)?))
}

/// A decimal number, with a fraction if it likes, times its unit, without what is less than one.
fn parse(text: &str, units: &[(&str, u64)], bare: u64) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let unit = unit.trim();
    let factor = match unit {
        "" => bare,
        _ => units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let mut value = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if !fraction.is_empty() {
        let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part = fraction.parse::<u64>().ok()?.checked_mul(factor)?.checked_div(scale)?;
        value = value.checked_add(part)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("4096", 4096),
            ("10MB", 10_000_000),
            ("1 GiB", 1 << 30),
            (" 1.5 kib ", 1536),
            ("0", 0),
            ("7b", 7),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "MB", "-1", "1 XB", "1.2.3", "99999999999 GB", "1e6", "ten", ".5MB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in
            [("500ms", 500), ("5s", 5_000), ("1m", 60_000), ("2", 2_000), ("0", 0), ("0.25", 250)]
        {
            assert_eq!(parse_duration_ms(text), Some(ms), "{text}");
        }
        for bad in ["", "s", "-5s", "5 years", "off"] {
            assert_eq!(parse_duration_ms(bad), None, "{bad}");
        }
        assert_eq!((parse_bound_ms(" OFF "), parse_bound_ms("0.5")), (Some(0), Some(500)));
    }

    #[test]
    fn values_print_as_they_parse() {
        for bytes in [0, 1, 10_000_000, 1 << 30, 3_000_000_000, 4097] {
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
        for ms in [0, 1, 500, 1_000, 60_000, 61_000, 3_600_000] {
            assert_eq!(parse_duration_ms(&show_duration_ms(ms)), Some(ms));
        }
        assert_eq!(show_size(10_000_000), "10MB");
        assert_eq!(show_duration_ms(1_000), "1s");
    }
}
