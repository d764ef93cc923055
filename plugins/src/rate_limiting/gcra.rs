//! Algorithm `gcra`: quotas that refill continuously.
//!
//! A limit of 60 per minute admits 60 requests at once and then one per second. Periods are asked shortest first; the
//! first one that refuses ends the search, so that a burst that the second refuses does not eat up the day.

use super::period::{Limit, Reading, Remaining};
use super::{Decision, Readings, refused};
use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tidegate_plugin::BuildError;
use tidegate_plugin::counters::{Counters, Subject};
use tidegate_plugin::services::Clock;

const NANOS_PER_MILLI: u64 = 1_000_000;
/// The longest time between two requests of a quota: nanoseconds must fit into 64 bits.
const CENTURY: Duration = Duration::from_secs(100 * 31_536_000);

/// The limits of one instance and their state. The state is the instance's own: it does not outlive a changed
/// configuration.
pub(super) struct Gcra {
    cells: Arc<Counters>,
    clock: GatewayClock,
    limits: Vec<SmoothLimit>,
}

type SmoothLimit = RateLimiter<u128, Cells, GatewayClock, StateInformationMiddleware>;

impl Gcra {
    /// Empty state: every caller starts with full quotas.
    pub(super) fn new(limits: &[Limit], clock: &Arc<dyn Clock>) -> Result<Self, BuildError> {
        let cells = Arc::new(Counters::default());
        let clock = GatewayClock(Arc::clone(clock));
        let smooth = |limit: &Limit| {
            let quota = quota(limit).ok_or_else(|| {
                refused(
                    "config",
                    "algorithm 'gcra' takes limits from one per century to 4294967295 per period",
                )
            })?;
            let epoch = clock.now();
            let cells = Cells {
                cells: Arc::clone(&cells),
                slot: limit.period as u8,
                clock: clock.clone(),
                epoch,
            };
            Ok(RateLimiter::new(quota, cells, clock.clone()))
        };
        let limits = limits.iter().map(smooth).collect::<Result<_, _>>()?;
        Ok(Self { cells, clock, limits })
    }

    /// Takes one request off every quota, up to the first that is used up. Periods behind that one are not told of.
    pub(super) fn take(&self, subject: &Subject<'_>) -> Decision {
        let key = self.cells.key(subject);
        let mut readings = Readings::new();
        for limit in &self.limits {
            match limit.check_key(&key) {
                Ok(state) => readings.push(admission(&state)),
                Err(refusal) => {
                    let reset_seconds = whole_seconds(refusal.wait_time_from(self.clock.now()));
                    readings.push(Reading {
                        remaining: Remaining::NONE,
                        reset_seconds,
                    });
                    return Decision {
                        is_admitted: false,
                        readings,
                    };
                }
            }
        }
        Decision {
            is_admitted: true,
            readings,
        }
    }
}

fn admission(state: &StateSnapshot) -> Reading {
    let quota = state.quota();
    let left = state.remaining_burst_capacity();
    let refill = quota
        .replenish_interval()
        .saturating_mul(quota.burst_size().get().saturating_sub(left));
    let remaining = Remaining {
        whole: left.into(),
        fraction: 0.0,
    };
    Reading {
        remaining,
        reset_seconds: whole_seconds(refill),
    }
}

fn quota(limit: &Limit) -> Option<Quota> {
    let burst = u32::try_from(limit.requests).ok().and_then(NonZeroU32::new)?;
    #[allow(clippy::cast_precision_loss, reason = "lengths of periods are exact")]
    let interval = Duration::try_from_secs_f64(limit.period.seconds() as f64 / limit.value).ok()?;
    if interval > CENTURY {
        return None;
    }
    Some(Quota::with_period(interval)?.allow_burst(burst))
}

/// Rounded up, at least 1.
fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

/// The gateway's clock as the limiter wants it.
#[derive(Clone)]
struct GatewayClock(Arc<dyn Clock>);

impl GovernorClock for GatewayClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.now_millis().saturating_mul(NANOS_PER_MILLI))
    }
}

impl fmt::Debug for GatewayClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayClock")
    }
}

/// Where the limiter keeps its arrival times: the sharded, bounded, sweeping table that counters use.
struct Cells {
    cells: Arc<Counters>,
    slot: u8,
    clock: GatewayClock,
    epoch: Nanos,
}

impl Cells {
    /// An entry is kept a little longer than it matters: the limiter reads the clock just after this table did.
    const MARGIN_MILLIS: u64 = 1_000;
}

impl StateStore for Cells {
    type Key = u128;

    fn measure_and_replace<T, F, E>(&self, key: &u128, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // Arrival times count from the making of the limiter, and so do the ends of entries.
        let now_millis = self.clock.now().duration_since(self.epoch).as_u64() / NANOS_PER_MILLI;
        self.cells.replace(*key, self.slot, now_millis, |arrival| {
            let (answer, next) = f(arrival.map(Nanos::new))?;
            let end = next.as_u64() / NANOS_PER_MILLI + Self::MARGIN_MILLIS;
            Ok((answer, next.as_u64(), end))
        })
    }
}
