use super::*;
use std::collections::HashSet;
use std::time::{Duration, Instant};

fn metrics(workers: usize) -> Metrics {
    Metrics::new(Options {
        workers,
        node_id: "n-1".to_owned(),
        version: "0.1.0".to_owned(),
        ..Options::default()
    })
}

fn answered(status: u16, by: AnsweredBy) -> Answered {
    Answered {
        status,
        by,
        request_bytes: 100,
        response_bytes: 1_000,
        total: Duration::from_millis(30),
        gateway: Duration::from_millis(1),
        upstream: (by == AnsweredBy::Service).then_some(Duration::from_millis(26)),
    }
}

fn has(text: &str, line: &str) {
    assert!(
        text.lines().any(|found| found == line),
        "no line {line} in\n{text}"
    );
}

#[test]
fn requests_of_several_workers_are_summed_under_kongs_names_and_labels() {
    let metrics = metrics(2);
    let table = metrics.routes([("mock", "r")]);
    for worker in 0..2 {
        metrics
            .worker(worker)
            .unwrap()
            .request(table.get(0), &answered(200, AnsweredBy::Service));
    }
    metrics
        .worker(0)
        .unwrap()
        .request(table.get(0), &answered(401, AnsweredBy::Gateway));
    let text = metrics.render();
    let labels = "service=\"mock\",route=\"r\"";
    has(
        &text,
        &format!(
            "kong_http_requests_total{{{labels},code=\"200\",source=\"service\",workspace=\"default\",consumer=\"\"}} 2"
        ),
    );
    has(
        &text,
        &format!(
            "kong_http_requests_total{{{labels},code=\"401\",source=\"kong\",workspace=\"default\",consumer=\"\"}} 1"
        ),
    );
    has(
        &text,
        &format!(
            "kong_bandwidth_bytes{{{labels},direction=\"ingress\",workspace=\"default\",consumer=\"\"}} 300"
        ),
    );
    has(
        &text,
        &format!(
            "kong_bandwidth_bytes{{{labels},direction=\"egress\",workspace=\"default\",consumer=\"\"}} 3000"
        ),
    );
    has(
        &text,
        &format!("kong_kong_latency_ms_bucket{{{labels},workspace=\"default\",le=\"1\"}} 3"),
    );
    has(
        &text,
        &format!("kong_upstream_latency_ms_bucket{{{labels},workspace=\"default\",le=\"25\"}} 0"),
    );
    has(
        &text,
        &format!("kong_upstream_latency_ms_bucket{{{labels},workspace=\"default\",le=\"50\"}} 2"),
    );
    has(
        &text,
        &format!("kong_upstream_latency_ms_count{{{labels},workspace=\"default\"}} 2"),
    );
    has(
        &text,
        &format!("kong_request_latency_ms_sum{{{labels},workspace=\"default\"}} 90"),
    );
}

#[test]
fn a_request_without_a_route_counts_only_as_unrouted() {
    let metrics = metrics(1);
    metrics
        .worker(0)
        .unwrap()
        .request(None, &answered(404, AnsweredBy::Gateway));
    let text = metrics.render();
    has(&text, "tidegate_unrouted_requests_total{code=\"404\"} 1");
    assert!(
        !text.contains("kong_http_requests_total{"),
        "Kong records nothing without a route"
    );
}

#[test]
fn refusals_count_per_reason_over_workers() {
    let metrics = metrics(2);
    for (worker, reason) in [(0, "host_missing"), (1, "host_missing"), (1, "uri_too_long")] {
        metrics.worker(worker).unwrap().refused(reason);
    }
    let text = metrics.render();
    has(
        &text,
        "tidegate_refused_requests_total{reason=\"host_missing\"} 2",
    );
    has(
        &text,
        "tidegate_refused_requests_total{reason=\"uri_too_long\"} 1",
    );
}

#[test]
fn connections_have_the_states_of_nginx() {
    let metrics = metrics(1);
    let worker = metrics.worker(0).unwrap();
    for _ in 0..3 {
        worker.connections_accepted.increment();
        worker.connections_handled.increment();
        worker.connections_open.increment();
    }
    worker.connections_open.decrement();
    worker.requests.increment();
    worker.requests_in_flight.increment();
    let text = metrics.render();
    for (state, value) in [
        ("accepted", 3),
        ("handled", 3),
        ("active", 2),
        ("writing", 1),
        ("waiting", 1),
    ] {
        let labels = format!("node_id=\"n-1\",subsystem=\"http\",state=\"{state}\"");
        has(
            &text,
            &format!("kong_nginx_connections_total{{{labels}}} {value}"),
        );
    }
    has(
        &text,
        "kong_nginx_requests_total{node_id=\"n-1\",subsystem=\"http\"} 1",
    );
}

#[test]
fn a_refused_reload_keeps_the_version_and_is_counted() {
    let metrics = metrics(1);
    metrics.snapshot_accepted(7);
    metrics.snapshot_refused();
    let text = metrics.render();
    has(&text, "tidegate_snapshot_version 7");
    has(&text, "tidegate_snapshot_reloads_total{result=\"accepted\"} 1");
    has(&text, "tidegate_snapshot_reloads_total{result=\"refused\"} 1");
}

#[test]
fn sources_of_the_same_family_are_merged_under_one_head() {
    let metrics = metrics(1);
    for log in ["access", "file-log"] {
        metrics.add_source(move |families| {
            families.push(
                Family::new(
                    "tidegate_log_lines_dropped_total",
                    FamilyKind::Counter,
                    "Log lines that did not fit.",
                )
                .with(&[("log", log)], 5.0),
            );
        });
    }
    let text = metrics.render();
    has(&text, "tidegate_log_lines_dropped_total{log=\"access\"} 5");
    has(&text, "tidegate_log_lines_dropped_total{log=\"file-log\"} 5");
    assert_eq!(text.matches("# TYPE tidegate_log_lines_dropped_total").count(), 1);
}

#[test]
fn every_scrape_has_sorted_families_each_headed_once() {
    let metrics = metrics(1);
    let table = metrics.routes([("s", "r")]);
    metrics
        .worker(0)
        .unwrap()
        .request(table.get(0), &answered(200, AnsweredBy::Service));
    let text = metrics.render();
    let heads: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    let mut sorted = heads.clone();
    sorted.sort_unstable();
    assert_eq!(heads, sorted);
    assert_eq!(heads.iter().collect::<HashSet<_>>().len(), heads.len());
    for line in text.lines() {
        assert!(
            line.starts_with('#') || line.starts_with(|first: char| first.is_ascii_alphabetic()),
            "{line}"
        );
    }
}

#[test]
fn counting_a_request_takes_microseconds_at_most() {
    let metrics = metrics(1);
    let table = metrics.routes([("s", "r")]);
    let (worker, sample) = (metrics.worker(0).unwrap(), answered(200, AnsweredBy::Service));
    // The best of many short runs: what else the machine does cannot disturb all of them.
    let runs = (0..200).map(|_| {
        let started = Instant::now();
        for _ in 0..500 {
            worker.request(table.get(0), &sample);
        }
        started.elapsed() / 500
    });
    let best = runs.min().unwrap();
    assert!(
        best < Duration::from_micros(2),
        "{best:?} per request, unoptimised build"
    );
}

#[test]
fn fifty_thousand_idle_routes_cost_no_cells() {
    let metrics = metrics(4);
    let names: Vec<String> = (0..50_000).map(|index| format!("route-{index}")).collect();
    let before = process::ProcessFacts::read().unwrap().resident_bytes;
    let table = metrics.routes(names.iter().map(|name| ("service", name.as_str())));
    let grown = process::ProcessFacts::read()
        .unwrap()
        .resident_bytes
        .saturating_sub(before);
    assert_eq!(table.len(), 50_000);
    assert!(grown < 16 << 20, "{grown} bytes for routes that nobody asked for");
}
