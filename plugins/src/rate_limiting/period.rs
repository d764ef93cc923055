//! Periods of the UTC calendar and what is left in them.

use super::Readings;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use smallvec::SmallVec;
use tidegate_plugin::counters::Window;

/// A length of time that a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub(super) enum Period {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
}

impl Period {
    /// Every period, shortest first.
    pub(super) const ALL: [Self; 6] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Month,
        Self::Year,
    ];

    /// Nominal length in seconds: a month has 30 days, a year 365. Clients are told of ends by it, as in Kong.
    pub(super) const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Month => 2_592_000,
            Self::Year => 31_536_000,
        }
    }

    /// Start and end, in milliseconds since the Unix epoch, of the calendar's period that holds a moment.
    fn around(self, now_millis: u64) -> (u64, u64) {
        match self {
            Self::Second | Self::Minute | Self::Hour | Self::Day => {
                let length = self.seconds() * 1_000;
                let start = now_millis - now_millis % length;
                (start, start.saturating_add(length))
            }
            Self::Month | Self::Year => {
                let now = utc(now_millis);
                let first = if self == Self::Month {
                    now.first_of_month()
                } else {
                    now.first_of_year()
                };
                let first = first.date().to_datetime(jiff::civil::Time::midnight());
                let length = if self == Self::Month {
                    now.days_in_month().into()
                } else {
                    now.days_in_year()
                };
                let start = millis(first);
                let days = u64::try_from(length).unwrap_or_default();
                (start, start.saturating_add(days * Self::Day.seconds() * 1_000))
            }
        }
    }
}

fn utc(millis: u64) -> DateTime {
    let timestamp = i64::try_from(millis)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok());
    Offset::UTC.to_datetime(timestamp.unwrap_or_default())
}

fn millis(time: DateTime) -> u64 {
    let timestamp = Offset::UTC.to_timestamp(time).unwrap_or_default();
    u64::try_from(timestamp.as_millisecond()).unwrap_or_default()
}

/// A configured limit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limit {
    pub(super) period: Period,
    /// As configured; may have a fraction.
    pub(super) value: f64,
    /// The same as text, for headers.
    pub(super) text: Box<str>,
    /// Requests admitted: a fraction of a request admits one more, as in Kong.
    pub(super) requests: u64,
    /// Parts of `value` before and behind the point.
    whole: u64,
    fraction: f64,
}

impl Limit {
    pub(super) fn new(period: Period, value: f64) -> Self {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive by its schema; saturates"
        )]
        let [requests, whole] = [value.ceil() as u64, value.trunc() as u64];
        Self {
            period,
            value,
            text: value.to_string().into(),
            requests,
            whole,
            fraction: value.fract(),
        }
    }
}

/// What a client is told of one period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    /// Requests left after this one.
    pub(super) remaining: Remaining,
    /// Seconds until the quota is renewed, at least 1.
    pub(super) reset_seconds: u64,
}

/// Requests left. Kept in two parts: nearly all limits are whole, and whole numbers are written faster.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Remaining {
    pub(super) whole: u64,
    pub(super) fraction: f64,
}

impl Remaining {
    pub(super) const NONE: Self = Self {
        whole: 0,
        fraction: 0.0,
    };
}

/// The windows to count in at a moment.
pub(super) fn windows(limits: &[Limit], now_millis: u64) -> SmallVec<[Window; 6]> {
    let window = |limit: &Limit| {
        let (starts_at_millis, ends_at_millis) = limit.period.around(now_millis);
        Window {
            slot: limit.period as u8,
            starts_at_millis,
            ends_at_millis,
            limit: limit.requests,
            used: 0,
        }
    };
    limits.iter().map(window).collect()
}

/// What counted windows mean to the client. This request is taken off only when it was admitted.
pub(super) fn readings(limits: &[Limit], windows: &[Window], is_admitted: bool, now_millis: u64) -> Readings {
    let reading = |(limit, window): (&Limit, &Window)| {
        let used = window.used.saturating_add(u64::from(is_admitted));
        let remaining = match limit.whole.checked_sub(used) {
            Some(whole) => Remaining {
                whole,
                fraction: limit.fraction,
            },
            None => Remaining::NONE,
        };
        let passed_seconds = now_millis.saturating_sub(window.starts_at_millis) / 1_000;
        let reset_seconds = limit.period.seconds().saturating_sub(passed_seconds).max(1);
        Reading {
            remaining,
            reset_seconds,
        }
    };
    limits.iter().zip(windows).map(reading).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    #[test]
    fn windows_begin_and_end_with_the_utc_calendar() {
        let now = at("2028-02-29T23:59:59.999Z");
        for (period, start, end) in [
            (Period::Second, "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z"),
            (Period::Minute, "2028-02-29T23:59:00Z", "2028-03-01T00:00:00Z"),
            (Period::Hour, "2028-02-29T23:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Day, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Month, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Year, "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"),
        ] {
            assert_eq!(period.around(now), (at(start), at(end)), "{period:?}");
        }
        assert_eq!(
            Period::Month.around(at("2026-12-31T12:00:00Z")),
            (at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
        );
    }

    #[test]
    fn reset_counts_whole_seconds_of_a_nominal_period_and_is_never_zero() {
        for (period, now, wanted) in [
            (Period::Second, "2026-11-22T10:00:00.999Z", 1),
            (Period::Minute, "2026-11-22T10:00:00.000Z", 60),
            (Period::Minute, "2026-11-22T10:00:00.999Z", 60),
            (Period::Minute, "2026-11-22T10:00:59.999Z", 1),
            (Period::Month, "2026-11-22T00:00:00Z", 9 * 86_400),
            (Period::Month, "2026-12-31T00:00:01Z", 1),
            (Period::Year, "2026-01-01T00:00:00Z", 31_536_000),
        ] {
            let (limits, now) = ([Limit::new(period, 5.0)], at(now));
            let readings = readings(&limits, &windows(&limits, now), true, now);
            assert_eq!(readings[0].reset_seconds, wanted, "{period:?} at {now}");
        }
    }

    #[test]
    fn fraction_of_a_request_admits_one_more_and_shows_as_it_is() {
        let limits = [Limit::new(Period::Minute, 1.5)];
        assert_eq!(limits[0].requests, 2);
        let windows = windows(&limits, 0);
        assert_eq!(
            readings(&limits, &windows, true, 0)[0].remaining,
            Remaining {
                whole: 0,
                fraction: 0.5
            }
        );
    }
}
