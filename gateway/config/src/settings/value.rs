//! From the text of a setting to its value.

use super::spec::{Kind, Spec, TimeUnit};
use std::path::PathBuf;
use std::time::Duration;

/// A type that settings can have.
pub trait Value: Sized {
    /// Reads `text` as the spec demands.
    ///
    /// # Errors
    /// A message that says what was expected.
    fn read(text: &str, spec: &Spec) -> Result<Self, String>;
}

impl Value for bool {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        match text {
            "on" | "true" => Ok(true),
            "off" | "false" => Ok(false),
            _ => Err(spec.refuse(text)),
        }
    }
}

impl Value for u64 {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        number(text, spec).ok_or_else(|| spec.refuse(text))
    }
}

impl Value for u32 {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        number(text, spec)
            .and_then(|n| n.try_into().ok())
            .ok_or_else(|| spec.refuse(text))
    }
}

impl Value for usize {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        number(text, spec)
            .and_then(|n| n.try_into().ok())
            .ok_or_else(|| spec.refuse(text))
    }
}

impl Value for f64 {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        text.parse::<Self>()
            .ok()
            .filter(|n| (0.0..=1.0).contains(n))
            .ok_or_else(|| spec.refuse(text))
    }
}

impl Value for Duration {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        let Kind::Time(unit, min, max) = spec.kind else {
            return Err(spec.refuse(text));
        };
        let of = |n: u64| match unit {
            TimeUnit::Milliseconds => Self::from_millis(n),
            TimeUnit::Seconds => Self::from_secs(n),
        };
        duration(text, unit)
            .filter(|time| (of(min)..=of(max)).contains(time) || (time.is_zero() && spec.zero.is_some()))
            .ok_or_else(|| spec.refuse(text))
    }
}

impl Value for String {
    fn read(text: &str, _spec: &Spec) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for PathBuf {
    fn read(text: &str, _spec: &Spec) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl Value for uuid::Uuid {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        Self::parse_str(text).map_err(|_| spec.refuse(text))
    }
}

/// An empty text is no value.
impl<T: Value> Value for Option<T> {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        if text.is_empty() {
            Ok(None)
        } else {
            T::read(text, spec).map(Some)
        }
    }
}

/// Items are separated by commas; empty items are skipped.
impl<T: Value> Value for Vec<T> {
    fn read(text: &str, spec: &Spec) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| T::read(item, spec))
            .collect()
    }
}

/// A count or size inside the range of the spec, or the zero that the spec allows beside it.
pub(super) fn number(text: &str, spec: &Spec) -> Option<u64> {
    let (n, min, max) = match spec.kind {
        Kind::Count(min, max) | Kind::AutoOrCount(min, max) => (decimal(text)?, min, max),
        Kind::Size(min, max) => (size(text)?, min, max),
        _ => return None,
    };
    ((min..=max).contains(&n) || (n == 0 && spec.zero.is_some())).then_some(n)
}

/// Digits only: `u64::from_str` would also take `+5`.
fn decimal(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// Bytes, with the suffixes of nginx and with `b` after them: `8k`, `8K`, `10m`, `1g`, `64kb`.
fn size(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    for (suffix, unit) in [('k', 1 << 10), ('m', 1 << 20), ('g', 1_u64 << 30)] {
        if let Some(digits) = text.strip_suffix(suffix) {
            return decimal(digits)?.checked_mul(unit);
        }
    }
    decimal(text)
}

/// One or more numbers with units (`ms s m h d w`), as in `1h30m`, or one bare number in `unit`. Fractions are fine.
fn duration(text: &str, unit: TimeUnit) -> Option<Duration> {
    let bare = match unit {
        TimeUnit::Milliseconds => 0.001,
        TimeUnit::Seconds => 1.0,
    };
    let mut rest = text.trim();
    let mut parts = 0;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (suffix, after) = after.split_at(letters);
        let seconds = match suffix {
            "" if parts == 0 && after.is_empty() => bare,
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        parts += 1;
        rest = after.trim_start();
    }
    if parts == 0 {
        None
    } else {
        Duration::try_from_secs_f64(total).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::spec::{count, millis, seconds, size as size_spec, switch};

    #[test]
    fn switches_take_the_four_words_of_kong() {
        let spec = switch("off");
        for (text, value) in [("on", true), ("true", true), ("off", false), ("false", false)] {
            assert_eq!(bool::read(text, &spec), Ok(value));
        }
        assert_eq!(
            bool::read("yes", &spec),
            Err("expected `on` or `off`, found `yes`".to_owned())
        );
    }

    #[test]
    fn sizes_take_the_suffixes_of_nginx_and_stay_in_their_range() {
        let spec = size_spec("8k", 1_024, 1 << 30).zero("no limit");
        for (text, value) in [
            ("8k", 8_192),
            ("8K", 8_192),
            ("10m", 10 << 20),
            ("1g", 1 << 30),
            ("64kb", 65_536),
            ("0", 0),
        ] {
            assert_eq!(u64::read(text, &spec), Ok(value), "{text}");
        }
        for text in [
            "",
            "1023",
            "2g",
            "+8k",
            "-1",
            "8 k",
            "k",
            "1e3",
            "99999999999999999999g",
        ] {
            assert!(u64::read(text, &spec).is_err(), "{text}");
        }
    }

    #[test]
    fn a_count_at_the_bound_is_legal_and_one_past_it_is_not() {
        let spec = count("1", 1, 100);
        assert_eq!(u32::read("100", &spec), Ok(100));
        assert!(u32::read("101", &spec).is_err());
        assert!(u32::read("0", &spec).is_err());
        assert_eq!(u32::read("0", &spec.zero("off")), Ok(0));
    }

    #[test]
    fn times_take_bare_numbers_in_their_unit_and_suffixes() {
        let s = seconds("60", 1, 86_400);
        let ms = millis("5000", 1, 60_000);
        for (text, spec, millis) in [
            ("60", s, 60_000),
            ("60s", s, 60_000),
            ("1h30m", s, 5_400_000),
            ("1d", s, 86_400_000),
            ("1.5", s, 1_500),
            ("1m 30s", s, 90_000),
            ("5000", ms, 5_000),
            ("5s", ms, 5_000),
            ("1500ms", s, 1_500),
        ] {
            assert_eq!(
                Duration::read(text, &spec),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["", "s", "1x", "1h30", "1..5s", "2d", "500ms", "0", "-1s"] {
            assert!(Duration::read(text, &s).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_separated_by_commas_and_skip_empty_items() {
        let spec = count("", 1, 9);
        assert_eq!(Vec::<u32>::read(" 1, 2,,3 ", &spec), Ok(vec![1, 2, 3]));
        assert_eq!(Vec::<u32>::read("", &spec), Ok(Vec::new()));
        assert!(Vec::<u32>::read("1,10", &spec).is_err());
    }
}
