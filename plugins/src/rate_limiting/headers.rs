//! The headers that tell clients of their limits.

use super::Decision;
use super::period::{Limit, Period, Reading, Remaining};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;
use std::fmt::Write;
use std::ops::Range;
use tidegate_plugin::AccessCx;

/// `X-RateLimit-Limit-*` and `X-RateLimit-Remaining-*` of a period.
fn names(period: Period) -> &'static [HeaderName; 2] {
    macro_rules! names {
        ($($variant:ident = $name:literal),+) => {
            match period {
                $(Period::$variant => {
                    static NAMES: [HeaderName; 2] = [
                        HeaderName::from_static(concat!("x-ratelimit-limit-", $name)),
                        HeaderName::from_static(concat!("x-ratelimit-remaining-", $name)),
                    ];
                    &NAMES
                })+
            }
        };
    }
    names!(
        Second = "second",
        Minute = "minute",
        Hour = "hour",
        Day = "day",
        Month = "month",
        Year = "year"
    )
}

static LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// All numbers of one response, in one piece of memory: each header value is a slice of it.
#[derive(Default)]
struct Numbers(SmallVec<[u8; 256]>);

impl Write for Numbers {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Numbers {
    fn text(&mut self, text: &str) -> Range<usize> {
        let start = self.0.len();
        self.0.extend_from_slice(text.as_bytes());
        start..self.0.len()
    }

    fn remaining(&mut self, remaining: Remaining) -> Range<usize> {
        if remaining.fraction == 0.0 {
            return self.whole(remaining.whole);
        }
        let start = self.0.len();
        #[allow(
            clippy::cast_precision_loss,
            reason = "a number with a fraction is far below 2^53"
        )]
        let number = remaining.whole as f64 + remaining.fraction;
        // Writing to memory cannot fail.
        let _ = write!(self, "{number}");
        start..self.0.len()
    }

    fn whole(&mut self, number: u64) -> Range<usize> {
        let mut digits = [0; 20];
        let mut rest = number;
        let mut first = digits.len();
        for (position, digit) in digits.iter_mut().enumerate().rev() {
            #[allow(clippy::cast_possible_truncation, reason = "a digit")]
            let value = (rest % 10) as u8;
            *digit = b'0' + value;
            rest /= 10;
            first = position;
            if rest == 0 {
                break;
            }
        }
        let start = self.0.len();
        self.0.extend_from_slice(digits.get(first..).unwrap_or_default());
        start..self.0.len()
    }
}

/// Puts the headers on the client's response, whoever will make it. Of the limits, the first so many were looked at as
/// there are readings.
pub(super) fn tell(x: &mut AccessCx<'_>, limits: &[Limit], decision: &Decision) {
    let Some((tightest, reading)) = tightest(&decision.readings) else {
        return;
    };
    let mut numbers = Numbers::default();
    let told = limits.iter().zip(&decision.readings);
    let parts: SmallVec<[_; 6]> = told
        .map(|(limit, reading)| (numbers.text(&limit.text), numbers.remaining(reading.remaining)))
        .collect();
    let reset = numbers.whole(reading.reset_seconds);

    let text = Bytes::copy_from_slice(&numbers.0);
    let value = |range: &Range<usize>| {
        let number = text.slice(range.clone());
        HeaderValue::from_maybe_shared(number).unwrap_or_else(|_| HeaderValue::from_static("0"))
    };
    let is_first = x.response_headers.is_empty();
    let mut put = |name: &HeaderName, value: HeaderValue| {
        if is_first {
            // Nothing to replace: no need to look.
            x.response_headers.push((name.clone(), value));
        } else {
            x.set_response_header(name.clone(), value);
        }
    };
    for (position, (limit, (limit_text, remaining))) in limits.iter().zip(&parts).enumerate() {
        let [limit_name, remaining_name] = names(limit.period);
        put(limit_name, value(limit_text));
        put(remaining_name, value(remaining));
        if position == tightest {
            put(&LIMIT, value(limit_text));
            put(&REMAINING, value(remaining));
        }
    }
    put(&RESET, value(&reset));
    if !decision.is_admitted {
        put(&RETRY_AFTER, value(&reset));
    }
}

/// The period with the least left; of equals the longest.
fn tightest(readings: &[Reading]) -> Option<(usize, Reading)> {
    let least = |best: (usize, Reading), next: (usize, Reading)| {
        if next.1.remaining <= best.1.remaining {
            next
        } else {
            best
        }
    };
    readings.iter().copied().enumerate().reduce(least)
}
