//! Services in front of an Upstream in the short form that tests of balancing need, and what comes of requests to them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream, eventually};

/// Backends that say their number.
pub(crate) async fn backends(count: usize) -> Vec<Upstream> {
    let mut backends = Vec::new();
    for number in 0..count {
        backends.push(Upstream::serving(move |_| Answer::ok(format!("{number}"))).await);
    }
    backends
}

pub(crate) fn target(backend: &Upstream, weight: u16) -> (String, u16) {
    (format!("127.0.0.1:{}", backend.port()), weight)
}

pub(crate) fn equal(backends: &[Upstream]) -> Vec<(String, u16)> {
    backends.iter().map(|backend| target(backend, 100)).collect()
}

/// One service on an upstream; `fields` are members of the upstream, `service` of the service.
pub(crate) fn config(fields: &str, service: &str, route: &str, targets: &[(String, u16)]) -> String {
    let mut text = format!(
        "_format_version: \"3.0\"\nservices:\n- {{name: s, host: up, port: 1, {service} routes: [{{name: r, {route}}}]}}\n\
         upstreams:\n- name: up\n  {}\n  targets: [",
        fields.replace('\n', "\n  ")
    );
    for (address, weight) in targets {
        let _ = write!(text, "{{target: \"{address}\", weight: {weight}}}, ");
    }
    text.push_str("]\n");
    text
}

pub(crate) fn plain(fields: &str, targets: &[(String, u16)]) -> String {
    config(fields, "", "paths: [/]", targets)
}

/// How often each backend answers; statuses other than 200 by their number.
pub(crate) async fn counts(
    gateway: &Gateway,
    requests: impl IntoIterator<Item = Request>,
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        let response = gateway.call(&request).await;
        let key = if response.status == 200 {
            response.text()
        } else {
            response.status.to_string()
        };
        *counts.entry(key).or_default() += 1;
    }
    counts
}

pub(crate) fn gets(count: usize) -> impl Iterator<Item = Request> {
    (0..count).map(|_| Request::get("/"))
}

pub(crate) fn shares(counts: &BTreeMap<String, usize>) -> Vec<(&str, usize)> {
    counts.iter().map(|(key, count)| (key.as_str(), *count)).collect()
}

/// Passive checks: one connection failure or two statuses 500, and a target is out.
pub(crate) const PASSIVE: &str = "healthchecks: {passive: {healthy: {successes: 1}, \
                       unhealthy: {http_statuses: [500], http_failures: 2, tcp_failures: 1, timeouts: 1}}}";

/// Requests that stay open, sent one after the other.
pub(crate) async fn hold(gateway: &Gateway, path: &str, count: usize) -> Vec<RawClient> {
    let mut held = Vec::new();
    for number in 1..=count {
        held.push(gateway.send(Request::get(path).bytes()).await);
        eventually("it is on a target", PATIENCE, async || {
            let in_flight = gateway.metric("tidegate_upstream_target_in_flight").await;
            (in_flight == number as f64).then_some(())
        })
        .await;
    }
    held
}

/// Whether counts are as likely as a million less one of a million draws by these shares: the tests draw with the
/// gateway's own randomness, which nobody seeds.
pub(crate) fn are_drawn_by(shares: &[f64], counts: &[usize]) -> bool {
    // Critical values of chi-square at 0.000001 for 1 to 4 degrees of freedom.
    const CRITICAL: [f64; 4] = [23.93, 27.63, 30.66, 33.38];
    let total: usize = counts.iter().sum();
    let whole: f64 = shares.iter().sum();
    let distance = |(share, count): (&f64, &usize)| {
        let due = total as f64 * share / whole;
        (*count as f64 - due).powi(2) / due
    };
    assert_eq!(shares.len(), counts.len());
    shares.iter().zip(counts).map(distance).sum::<f64>() <= CRITICAL[counts.len() - 2]
}
