//! An upstream at work: choice, health, changes of the configuration, names.

mod changes;
mod choices;
mod probing;

use super::*;
use crate::choice::Tried;
use crate::health::Outcome;
use crate::testing;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn spec(fields: &Value, targets: &[(&str, u16)]) -> UpstreamSpec {
    let targets: Vec<_> = targets
        .iter()
        .map(|(address, weight)| testing::target(address, *weight))
        .collect();
    let targets: Vec<_> = targets.iter().collect();
    UpstreamSpec::new(&testing::upstream(fields), &targets)
}

pub(super) fn upstream(fields: &Value, targets: &[(&str, u16)]) -> Arc<Upstream> {
    Upstream::new(spec(fields, targets), Instant::now())
}

/// Passive checks: one connection failure, or two bad statuses, and it is out; one success, and it is back.
pub(super) fn passive() -> Value {
    json!({ "passive": {
        "healthy": { "successes": 1 },
        "unhealthy": { "tcp_failures": 1, "http_failures": 2, "timeouts": 1 },
    }})
}

/// Chooses again and again with a fixed seed.
pub(super) struct Client<'a> {
    upstream: &'a Arc<Upstream>,
    random: fastrand::Rng,
    now: Instant,
}

impl<'a> Client<'a> {
    pub(super) fn of(upstream: &'a Arc<Upstream>) -> Self {
        Self {
            upstream,
            random: fastrand::Rng::with_seed(42),
            now: Instant::now(),
        }
    }

    pub(super) fn at(mut self, now: Instant) -> Self {
        self.now = now;
        self
    }

    pub(super) fn choose(&mut self, value: Option<&[u8]>, tried: &Tried) -> Result<Pick, NoPeer> {
        self.upstream.choose(&Asked {
            value,
            tried,
            random: self.random.u64(..),
            now: self.now,
        })
    }

    pub(super) fn pick(&mut self) -> Pick {
        self.choose(None, &Tried::default()).unwrap()
    }

    /// How often each address comes in `count` choices that end at once.
    pub(super) fn counts(&mut self, count: usize) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for _ in 0..count {
            *counts.entry(self.pick().address().to_string()).or_default() += 1;
        }
        counts
    }

    /// Reports an outcome on the first pick of an address.
    pub(super) fn report(&mut self, address: &str, outcome: Outcome) -> Option<HealthEvent> {
        for number in 0..1_000 {
            let value = format!("{number}");
            let pick = self.choose(Some(value.as_bytes()), &Tried::default()).unwrap();
            if pick.address().to_string() == address {
                return pick.report(outcome, self.now);
            }
        }
        panic!("{address} is never chosen")
    }
}

/// Whether counts are as likely as 999 of 1,000 draws from equal shares.
pub(super) fn is_even(counts: &BTreeMap<String, usize>, of: usize) -> bool {
    // Critical values of chi-square at 0.001 for 1 to 9 degrees of freedom.
    const CRITICAL: [f64; 9] = [10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32, 26.12, 27.88];
    let total: usize = counts.values().sum();
    let due = total as f64 / of as f64;
    let seen: f64 = counts
        .values()
        .map(|count| (*count as f64 - due).powi(2) / due)
        .sum();
    let unseen = (of - counts.len()) as f64 * due;
    seen + unseen <= CRITICAL[of - 2]
}
