//! One address of one target, and all that is known of it.

use crate::health::{HealthCell, State};
use crate::latency::PeakEwma;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tidegate_model::address::Address;
use twox_hash::XxHash64;

/// Smallest share of its weight that an address has right after it recovered.
const COLDEST: f64 = 0.1;

/// One address of one target. It lives as long as its target has this address, over changes of everything else.
#[derive(Debug)]
#[repr(align(128))]
pub struct Endpoint {
    host: Arc<str>,
    address: Address,
    id: u64,
    pub(crate) health: HealthCell,
    pub(crate) in_flight: AtomicU32,
    pub(crate) latency: PeakEwma,
    /// Millisecond of the last recovery and of the last fall, plus one; 0: never.
    recovered: AtomicU64,
    fell: AtomicU64,
    pub(crate) schedule: Schedule,
    pub(crate) totals: Totals,
}

/// When it is probed.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// Millisecond of the next probe, plus one; 0: not planned yet.
    pub(crate) next: AtomicU64,
    pub(crate) is_probed: AtomicBool,
}

/// What it did since it is there.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) chosen: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// How often it went out of use.
    pub(crate) falls: AtomicU64,
    /// How often it came back.
    pub(crate) recoveries: AtomicU64,
}

impl Endpoint {
    pub(crate) fn new(host: &Arc<str>, address: Address) -> Self {
        let key = format!("{host}|{address}");
        Self {
            host: Arc::clone(host),
            address,
            id: XxHash64::oneshot(0, key.as_bytes()),
            health: HealthCell::default(),
            in_flight: AtomicU32::new(0),
            latency: PeakEwma::default(),
            recovered: AtomicU64::new(0),
            fell: AtomicU64::new(0),
            schedule: Schedule::default(),
            totals: Totals::default(),
        }
    }

    /// Host of the target as written.
    #[must_use]
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The same on every node and after a restart: names the address in sticky cookies.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its health.
    #[must_use]
    pub fn state(&self) -> State {
        self.health.state()
    }

    /// Exchanges that are on it.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Notes a fall or a recovery at `tick` milliseconds.
    pub(crate) fn turned(&self, is_routable: bool, tick: u64) {
        let (moment, count) = if is_routable {
            (&self.recovered, &self.totals.recoveries)
        } else {
            (&self.fell, &self.totals.falls)
        };
        moment.store(tick + 1, Ordering::Relaxed);
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fell(&self) -> u64 {
        self.fell.load(Ordering::Relaxed)
    }

    /// The share of its weight that it has at `tick`, from a tenth to 1: less for a while after it recovered.
    pub(crate) fn warmth(&self, slow_start: Duration, tick: u64) -> f64 {
        if slow_start.is_zero() {
            return 1.0;
        }
        match self.recovered.load(Ordering::Relaxed) {
            0 => 1.0,
            moment => {
                let age = Duration::from_millis((tick + 1).saturating_sub(moment));
                (age.as_secs_f64() / slow_start.as_secs_f64()).clamp(COLDEST, 1.0)
            }
        }
    }
}
