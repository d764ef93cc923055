//! What `/metrics` tells of upstreams and their targets.

use crate::prober::Prober;
use std::sync::Arc;
use std::time::Instant;
use tidegate_telemetry::metrics::{Family, FamilyKind, Metrics};
use tidegate_upstream::{EndpointView, Health, TargetView, Upstream};

/// Addresses that have series of their own. Beyond it only upstreams have, so that a large configuration cannot flood
/// who collects them.
const MAX_ADDRESSES: usize = 2_000;

/// Kong's names of states, in its order.
const STATES: [(&str, Health); 4] = [
    ("healthchecks_off", Health::HealthchecksOff),
    ("healthy", Health::Healthy),
    ("unhealthy", Health::Unhealthy),
    ("dns_error", Health::DnsError),
];

/// Adds the families of upstreams.
pub(crate) fn add(metrics: &Metrics, prober: &Arc<Prober>) {
    let prober = Arc::clone(prober);
    metrics.add_source(move |families| {
        let mut shown = Shown::default();
        for upstream in prober.upstreams().iter() {
            shown.add(upstream);
        }
        families.extend(shown.into_families());
    });
}

/// The families while they are filled.
struct Shown {
    addresses: usize,
    left_out: usize,
    available: Family,
    total: Family,
    health: Family,
    chosen: Family,
    failed: Family,
    events: Family,
    in_flight: Family,
    latency: Family,
}

impl Default for Shown {
    fn default() -> Self {
        let gauge = |name: &'static str, help| Family::new(name, FamilyKind::Gauge, help);
        let counter = |name: &'static str, help| Family::new(name, FamilyKind::Counter, help);
        Self {
            addresses: 0,
            left_out: 0,
            available: gauge(
                "tidegate_upstream_weight_available",
                "Weight of an upstream's addresses that are in use.",
            ),
            total: gauge(
                "tidegate_upstream_weight_total",
                "Weight of all addresses of an upstream.",
            ),
            health: gauge(
                "kong_upstream_target_health",
                "Health of targets: 1 for the state that an address is in.",
            ),
            chosen: counter(
                "tidegate_upstream_target_tries_total",
                "Tries that went to an address.",
            ),
            failed: counter(
                "tidegate_upstream_target_failures_total",
                "Tries at an address that brought no response.",
            ),
            events: counter(
                "tidegate_upstream_target_health_events_total",
                "How often an address went out of use for its health (unhealthy) and came back (healthy).",
            ),
            in_flight: gauge(
                "tidegate_upstream_target_in_flight",
                "Exchanges that an address is busy with.",
            ),
            latency: gauge(
                "tidegate_upstream_target_latency_seconds",
                "Moving average of an address's time to the response's head, quick to rise.",
            ),
        }
    }
}

impl Shown {
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
    fn add(&mut self, upstream: &Upstream) {
        let name = &*upstream.spec().name;
        let (available, total) = upstream.weights();
        self.available.sample(&[("upstream", name)], available as f64);
        self.total.sample(&[("upstream", name)], total as f64);
        for target in upstream.targets(Instant::now()) {
            let room = MAX_ADDRESSES.saturating_sub(self.addresses);
            let count = target.addresses.len().max(1);
            if count > room {
                self.left_out += count;
                continue;
            }
            self.addresses += count;
            self.add_target(name, &target);
            if upstream.spec().has_checks() {
                self.add_events(name, &target);
            }
        }
    }

    fn add_target(&mut self, upstream: &str, view: &TargetView) {
        let target = &*view.target.target;
        if view.addresses.is_empty() {
            self.add_health(upstream, target, "", view.health);
        }
        for address in &view.addresses {
            let text = address.address.to_string();
            self.add_health(upstream, target, &text, address.health);
            self.add_address(
                &[("upstream", upstream), ("target", target), ("address", &text)],
                address,
            );
        }
    }

    /// Both events from the start, so that the first one is a rise.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
    fn add_events(&mut self, upstream: &str, view: &TargetView) {
        for address in &view.addresses {
            let text = address.address.to_string();
            for (event, count) in [("unhealthy", address.falls), ("healthy", address.recoveries)] {
                let labels = [
                    ("upstream", upstream),
                    ("target", &*view.target.target),
                    ("address", &text),
                    ("event", event),
                ];
                self.events.sample(&labels, count as f64);
            }
        }
    }

    fn add_health(&mut self, upstream: &str, target: &str, address: &str, health: Health) {
        for (state, is_in) in STATES {
            let labels = [
                ("upstream", upstream),
                ("target", target),
                ("address", address),
                ("state", state),
                ("subsystem", "http"),
            ];
            let value = if health == is_in { 1.0 } else { 0.0 };
            self.health.sample(&labels, value);
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
    fn add_address(&mut self, labels: &[(&str, &str)], view: &EndpointView) {
        self.chosen.sample(labels, view.chosen as f64);
        self.failed.sample(labels, view.failed as f64);
        self.in_flight.sample(labels, f64::from(view.in_flight));
        if let Some(latency) = view.latency {
            self.latency.sample(labels, latency.as_secs_f64());
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "Prometheus has doubles only")]
    fn into_families(self) -> Vec<Family> {
        let help = "Addresses of targets that have no series, because there are too many.";
        let left_out = Family::new(
            "tidegate_upstream_targets_without_series",
            FamilyKind::Gauge,
            help,
        );
        vec![
            self.available,
            self.total,
            self.health,
            self.chosen,
            self.failed,
            self.events,
            self.in_flight,
            self.latency,
            left_out.with(&[], self.left_out as f64),
        ]
    }
}
