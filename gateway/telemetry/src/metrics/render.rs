//! One scrape: sums over workers, families sorted by name.

use super::cell::HistogramTotal;
use super::codes::{CodeKey, CodeTable};
use super::exposition::{Family, FamilyKind};
use super::process::ProcessFacts;
use super::routes::SeriesCells;
use super::{Metrics, WorkerCells};
use FamilyKind::{Counter, Gauge, Histogram};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn render(metrics: &Metrics) -> String {
    let mut families = Vec::with_capacity(40);
    node(metrics, &mut families);
    connections(metrics, &mut families);
    snapshots(metrics, &mut families);
    upstreams(metrics, &mut families);
    refusals(metrics, &mut families);
    routes(metrics, &mut families);
    process(&mut families);
    for source in &*metrics.sources.lock() {
        source(&mut families);
    }
    write(families)
}

/// Sorts by name; families of the same name become one, the first one's head standing for all.
fn write(mut families: Vec<Family>) -> String {
    families.sort_by(|one, other| one.name().cmp(other.name()));
    let mut text = String::new();
    let mut previous = String::new();
    for family in families {
        let (name, body) = (family.name().to_owned(), family.into_text());
        if name == previous {
            body.lines()
                .filter(|line| !line.starts_with('#'))
                .for_each(|line| {
                    text.push_str(line);
                    text.push('\n');
                });
        } else {
            text.push_str(&body);
        }
        previous = name;
    }
    text
}

fn node(metrics: &Metrics, families: &mut Vec<Family>) {
    let (node_id, version) = (metrics.options.node_id.as_str(), metrics.options.version.as_str());
    let is_reachable = metrics.is_datastore_reachable.load(Relaxed);
    families.extend([
        Family::new("kong_node_info", Gauge, "Identity of this node.")
            .with(&[("node_id", node_id), ("version", version)], 1.0),
        Family::new("tidegate_build_info", Gauge, "Version of the running binary.")
            .with(&[("version", version)], 1.0),
        Family::new("tidegate_workers", Gauge, "Worker threads.").with(&[], metrics.options.workers as f64),
        Family::new(
            "kong_datastore_reachable",
            Gauge,
            "Whether the store of the configuration answers.",
        )
        .with(&[], f64::from(u8::from(is_reachable))),
    ]);
}

fn connections(metrics: &Metrics, families: &mut Vec<Family>) {
    let node_id = metrics.options.node_id.as_str();
    let now = metrics.connections();
    let mut by_state = Family::new(
        "kong_nginx_connections_total",
        Gauge,
        "Client connections by state.",
    );
    let requests = metrics.total_requests();
    for (state, value) in [
        ("accepted", now.accepted),
        ("active", now.active),
        ("handled", now.handled),
        ("total", requests),
        ("waiting", now.waiting),
        ("writing", now.writing),
    ] {
        by_state.sample(
            &[("node_id", node_id), ("subsystem", "http"), ("state", state)],
            value as f64,
        );
    }
    families.push(by_state);
    families.push(
        Family::new("kong_nginx_requests_total", Gauge, "Requests accepted.")
            .with(&[("node_id", node_id), ("subsystem", "http")], requests as f64),
    );
    families.push(sum(
        metrics,
        "tidegate_tls_handshake_failures_total",
        Counter,
        "TLS handshakes with clients that failed.",
        |worker| worker.tls_handshake_failures.value(),
    ));
    families.push(sum(
        metrics,
        "tidegate_worker_panics_total",
        Counter,
        "Exchanges whose handler panicked.",
        |worker| worker.panics.value(),
    ));
}

fn snapshots(metrics: &Metrics, families: &mut Vec<Family>) {
    families.push(
        Family::new(
            "tidegate_snapshot_version",
            Gauge,
            "Version of the snapshot that serves.",
        )
        .with(&[], metrics.snapshot_version.load(Relaxed) as f64),
    );
    let mut reloads = Family::new(
        "tidegate_snapshot_reloads_total",
        Counter,
        "Configurations offered, by outcome.",
    );
    reloads.sample(
        &[("result", "accepted")],
        metrics.reloads_accepted.load(Relaxed) as f64,
    );
    reloads.sample(
        &[("result", "refused")],
        metrics.reloads_refused.load(Relaxed) as f64,
    );
    families.push(reloads);
}

fn upstreams(metrics: &Metrics, families: &mut Vec<Family>) {
    let total = |read: fn(&WorkerCells) -> u64| -> f64 {
        metrics.workers.iter().map(|worker| read(worker)).sum::<u64>() as f64
    };
    let mut now = Family::new(
        "tidegate_upstream_connections",
        Gauge,
        "Connections to upstreams now, by state.",
    );
    now.sample(
        &[("state", "active")],
        total(|worker| worker.upstream_connections_active.value()),
    );
    now.sample(
        &[("state", "idle")],
        total(|worker| worker.upstream_connections_idle.value()),
    );
    families.push(now);
    let mut uses = Family::new(
        "tidegate_upstream_connection_uses_total",
        Counter,
        "How exchanges came by their upstream connection.",
    );
    uses.sample(
        &[("result", "failed")],
        total(|worker| worker.upstream_connections_failed.value()),
    );
    uses.sample(
        &[("result", "opened")],
        total(|worker| worker.upstream_connections_opened.value()),
    );
    uses.sample(
        &[("result", "reused")],
        total(|worker| worker.upstream_connections_reused.value()),
    );
    families.push(uses);
    families.push(sum(
        metrics,
        "tidegate_upstream_retries_total",
        Counter,
        "Repeated attempts.",
        |worker| worker.upstream_retries.value(),
    ));
}

fn refusals(metrics: &Metrics, families: &mut Vec<Family>) {
    let mut by_reason: BTreeMap<&'static str, u64> = BTreeMap::new();
    for worker in &metrics.workers {
        for (reason, count) in worker.refusals() {
            *by_reason.entry(reason).or_default() += count;
        }
    }
    let mut refused = Family::new(
        "tidegate_refused_requests_total",
        Counter,
        "Requests and connections refused before routing.",
    );
    for (reason, count) in by_reason {
        refused.sample(&[("reason", reason)], count as f64);
    }
    families.push(refused);

    let codes = merge_codes(
        &metrics
            .workers
            .iter()
            .map(|worker| worker.unrouted())
            .collect::<Vec<_>>(),
    );
    let mut unrouted = Family::new(
        "tidegate_unrouted_requests_total",
        Counter,
        "Requests that no route matched.",
    );
    for (key, count) in codes {
        unrouted.sample(&[("code", &key.code())], count as f64);
    }
    families.push(unrouted);
}

/// The families of Kong's prometheus plugin that describe requests.
fn routes(metrics: &Metrics, families: &mut Vec<Family>) {
    let mut requests = Family::new(
        "kong_http_requests_total",
        Counter,
        "Requests per route, status and source.",
    );
    let mut bytes = Family::new(
        "kong_bandwidth_bytes",
        Counter,
        "Bytes received (ingress) and sent (egress).",
    );
    let mut gateway = Family::new("kong_kong_latency_ms", Histogram, "Time spent in the gateway.");
    let mut upstream = Family::new(
        "kong_upstream_latency_ms",
        Histogram,
        "Time until the upstream answered.",
    );
    let mut total = Family::new(
        "kong_request_latency_ms",
        Histogram,
        "Time from first to last byte of an exchange.",
    );
    metrics.catalog.for_each(|service, route, cells| {
        let labels = [("service", service), ("route", route), ("workspace", "default")];
        let [service, route, workspace] = labels;
        let tables: Vec<&CodeTable> = cells.filled().map(|worker| &worker.codes).collect();
        for (key, count) in merge_codes(&tables) {
            let code = key.code();
            let source = ("source", key.by().label());
            requests.sample(
                &[
                    service,
                    route,
                    ("code", &code),
                    source,
                    workspace,
                    ("consumer", ""),
                ],
                count as f64,
            );
        }
        let sums = Sums::of(cells);
        for (direction, count) in [("egress", sums.egress), ("ingress", sums.ingress)] {
            if count != 0 {
                bytes.sample(
                    &[
                        service,
                        route,
                        ("direction", direction),
                        workspace,
                        ("consumer", ""),
                    ],
                    count as f64,
                );
            }
        }
        gateway.histogram(&labels, &sums.gateway);
        total.histogram(&labels, &sums.request);
        if sums.upstream.buckets.iter().any(|count| *count != 0) {
            upstream.histogram(&labels, &sums.upstream);
        }
    });
    families.extend([requests, bytes, gateway, upstream, total]);
}

#[derive(Default)]
struct Sums {
    ingress: u64,
    egress: u64,
    gateway: HistogramTotal,
    upstream: HistogramTotal,
    request: HistogramTotal,
}

impl Sums {
    fn of(cells: &SeriesCells) -> Self {
        let mut sums = Self::default();
        for worker in cells.filled() {
            sums.ingress += worker.ingress_bytes.value();
            sums.egress += worker.egress_bytes.value();
            worker.gateway.add_to(&mut sums.gateway);
            worker.upstream.add_to(&mut sums.upstream);
            worker.request.add_to(&mut sums.request);
        }
        sums
    }
}

fn process(families: &mut Vec<Family>) {
    let Some(facts) = ProcessFacts::read() else { return };
    families.extend([
        Family::new("process_resident_memory_bytes", Gauge, "Resident memory.")
            .with(&[], facts.resident_bytes as f64),
        Family::new("process_open_fds", Gauge, "Open files and sockets.").with(&[], facts.open_files as f64),
        Family::new("process_cpu_seconds_total", Counter, "User and system time.")
            .with(&[], facts.cpu_seconds),
    ]);
}

fn sum(
    metrics: &Metrics,
    name: &'static str,
    kind: FamilyKind,
    help: &str,
    read: impl Fn(&WorkerCells) -> u64,
) -> Family {
    let total: u64 = metrics.workers.iter().map(|worker| read(worker)).sum();
    Family::new(name, kind, help).with(&[], total as f64)
}

fn merge_codes(tables: &[&CodeTable]) -> BTreeMap<CodeKey, u64> {
    let mut merged = BTreeMap::new();
    for table in tables {
        table.for_each(|key, count| *merged.entry(key).or_default() += count);
    }
    merged
}
