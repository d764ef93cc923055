//! The flag `so_keepalive` of a listener.

use std::fmt;
use std::time::Duration;

/// TCP keep-alive of accepted connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpKeepalive {
    /// No probes.
    Off,
    /// Probes as the system has them.
    On,
    /// Probes with times of our own; what is absent is the system's.
    Tuned {
        /// Silence before the first probe.
        idle: Option<Duration>,
        /// Time between probes.
        interval: Option<Duration>,
        /// Unanswered probes that end the connection.
        count: Option<u32>,
    },
}

/// Longest time that the kernel takes, in seconds.
const MAX_SECONDS: u64 = 32_767;
/// Most probes that the kernel takes.
const MAX_COUNT: u32 = 127;

impl TcpKeepalive {
    /// Reads `on`, `off` or `[idle]:[interval]:[count]` with at least one part; times are seconds or have a unit.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "on" => return Some(Self::On),
            "off" => return Some(Self::Off),
            _ => {}
        }
        let mut parts = text.split(':');
        let idle = part(parts.next()?, time)?;
        let interval = part(parts.next()?, time)?;
        let count = part(parts.next()?, |text| {
            text.parse().ok().filter(|n| (1..=MAX_COUNT).contains(n))
        })?;
        let is_empty = idle.is_none() && interval.is_none() && count.is_none();
        if is_empty || parts.next().is_some() {
            None
        } else {
            Some(Self::Tuned {
                idle,
                interval,
                count,
            })
        }
    }
}

/// An absent part is legal, a wrong one is not.
#[allow(
    clippy::option_option,
    reason = "the outer level says legal, the inner one present"
)]
fn part<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() {
        Some(None)
    } else {
        read(text).map(Some)
    }
}

fn time(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.as_bytes().last()? {
        b's' => (text.strip_suffix('s')?, 1),
        b'm' => (text.strip_suffix('m')?, 60),
        b'h' => (text.strip_suffix('h')?, 3_600),
        _ => (text, 1),
    };
    let seconds = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=MAX_SECONDS)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

impl fmt::Display for TcpKeepalive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::On => f.write_str("on"),
            Self::Tuned {
                idle,
                interval,
                count,
            } => {
                let seconds =
                    |time: &Option<Duration>| time.map(|t| t.as_secs().to_string()).unwrap_or_default();
                let count = count.map(|n| n.to_string()).unwrap_or_default();
                write!(f, "{}:{}:{count}", seconds(idle), seconds(interval))
            }
        }
    }
}
