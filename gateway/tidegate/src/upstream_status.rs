//! What `/status/upstreams` tells: the health of every target, in Kong's words, and why a target gets no traffic.

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tidegate_upstream::{DnsState, EndpointView, Health, TargetView, Upstream, WhyOut};

/// Every upstream.
pub(crate) fn all(upstreams: &[Arc<Upstream>]) -> Value {
    let data: Vec<Value> = upstreams.iter().map(|upstream| shown(upstream)).collect();
    json!({ "data": data })
}

/// The upstream of a name or an id.
pub(crate) fn one(upstreams: &[Arc<Upstream>], name_or_id: &str) -> Option<Value> {
    let mut known = upstreams.iter();
    let found = known.find(|upstream| {
        *upstream.spec().name == *name_or_id || upstream.spec().id().to_string() == name_or_id
    });
    found.map(|upstream| shown(upstream))
}

pub(crate) fn shown(upstream: &Upstream) -> Value {
    let spec = upstream.spec();
    let (available, total) = upstream.weights();
    let targets: Vec<Value> = upstream.targets(Instant::now()).iter().map(target).collect();
    json!({
        "id": spec.id().to_string(),
        "name": &*spec.name,
        "algorithm": spec.entity.algorithm,
        "health": overall(upstream).name(),
        "weight": { "total": total, "available": available, "unavailable": total.saturating_sub(available) },
        "targets": targets,
    })
}

/// An upstream is as healthy as its share of weight in use, against `healthchecks.threshold`.
pub(crate) fn overall(upstream: &Upstream) -> Health {
    if upstream.is_available() {
        match upstream.spec().has_checks() {
            true => Health::Healthy,
            false => Health::HealthchecksOff,
        }
    } else {
        Health::Unhealthy
    }
}

fn target(view: &TargetView) -> Value {
    let addresses: Vec<Value> = view.addresses.iter().map(address).collect();
    let dns_error = match &view.dns {
        DnsState::Failed(fault) => Some(fault.to_string()),
        DnsState::Literal | DnsState::Resolved | DnsState::Unresolved => None,
    };
    json!({
        "id": view.target.id.to_string(),
        "target": &*view.target.target,
        "weight": view.target.weight,
        "health": view.health.name(),
        "addresses": addresses,
        "dns_error": dns_error,
    })
}

/// What Kong's `/upstreams/{name}/health` says of a target under `data`.
pub(crate) fn kong_data(view: &TargetView) -> Value {
    let weight = |health: Health| -> u64 {
        let addresses = view.addresses.iter().filter(|address| address.health == health);
        addresses.map(|address| u64::from(address.weight)).sum()
    };
    let total: u64 = view
        .addresses
        .iter()
        .map(|address| u64::from(address.weight))
        .sum();
    let unavailable = weight(Health::Unhealthy);
    let addresses: Vec<Value> = view
        .addresses
        .iter()
        .map(|address| {
            json!({
                "ip": address.address.without_port(),
                "port": address.address.port(),
                "weight": address.weight,
                "health": address.health.name(),
            })
        })
        .collect();
    json!({
        "host": &*view.target.host,
        "port": view.target.port,
        "dns": if view.target.address.is_some() { "ip" } else { "A" },
        "nodeWeight": view.target.weight,
        "weight": { "total": total, "available": total - unavailable, "unavailable": unavailable },
        "addresses": addresses,
    })
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "microseconds of a response time fit"
)]
fn address(view: &EndpointView) -> Value {
    let out = match view.out {
        None if view.is_spared => Some("unhealthy, and in use all the same: too many are out"),
        None => None,
        Some(WhyOut::NoWeight) => Some("its weight is 0"),
        Some(WhyOut::Unhealthy) => Some("unhealthy"),
    };
    let latency = view.latency.map(|latency| latency.as_micros() as u64);
    json!({
        "ip": view.address.without_port(),
        "port": view.address.port(),
        "weight": view.weight,
        "health": view.health.name(),
        "state": view.state.name(),
        "counters": {
            "successes": view.counters.successes,
            "http_failures": view.counters.http_failures,
            "tcp_failures": view.counters.tcp_failures,
            "timeouts": view.counters.timeouts,
        },
        "in_flight": view.in_flight,
        "chosen": view.chosen,
        "failed": view.failed,
        "latency_us": latency,
        "note": out,
    })
}
