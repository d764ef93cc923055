//! Many routes: bounded memory, and a cost that does not follow their number.

use crate::kit::{Request, get, inputs, route};
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::{Duration, Instant};
use tidegate_model::entities::Route;
use tidegate_router::{Flavor, HeaderSource, RequestFacts, Router};

fn build(count: u32, fields: impl Fn(u32) -> Value) -> Router {
    let list: Vec<Route> = (0..count)
        .map(|number| route(u128::from(number) + 1, fields(number)))
        .collect();
    let (router, faults) = Router::build(&inputs(&list), Flavor::TraditionalCompatible);
    assert_eq!(faults, []);
    router
}

fn time_of(router: &Router, request: &Request) -> Duration {
    let facts = request.facts();
    let rounds = 200;
    let start = Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(router.find(&facts));
    }
    start.elapsed() / rounds
}

/// Not a benchmark: a walk over all routes would be a hundred times over the bound even in a debug build.
fn assert_flat(fields: impl Fn(u32) -> Value, request: impl Fn(u32) -> Request) {
    let small = build(10, &fields);
    let large = build(20_000, &fields);
    assert_eq!(request(9).winner(&small), Some(10));
    assert_eq!(request(19_999).winner(&large), Some(20_000));
    assert_eq!(request(70_000).winner(&large), None);
    for number in [10_000, 70_000] {
        let (few, many) = (
            time_of(&small, &request(number)),
            time_of(&large, &request(number)),
        );
        let bound = few * 20 + Duration::from_micros(200);
        assert!(many < bound, "{many:?} for 20,000 routes, {few:?} for 10");
    }
}

#[test]
fn prefixes_are_found_without_a_walk() {
    assert_flat(
        |n| json!({"paths": [format!("/svc-{n}/")]}),
        |n| get(&format!("h/svc-{n}/x")),
    );
}

#[test]
fn hosts_are_found_without_a_walk() {
    assert_flat(
        |n| json!({"hosts": [format!("*.h{n}.test")], "paths": ["/"]}),
        |n| get(&format!("x.h{n}.test/p")),
    );
}

#[test]
fn routes_that_differ_only_by_a_header_are_found_without_a_walk() {
    assert_flat(
        |n| json!({"paths": ["/"], "headers": {"x-tenant": [format!("T{n}")]}}),
        |n| get("h/p").header("x-tenant", &format!("t{n}")),
    );
}

#[test]
fn routes_that_differ_only_by_server_name_are_found_without_a_walk() {
    assert_flat(
        |n| json!({"snis": [format!("h{n}.test")]}),
        |n| get("h/p").tls(&format!("h{n}.test")),
    );
}

#[test]
fn regexes_with_a_literal_of_their_own_are_found_without_a_walk() {
    assert_flat(
        |n| json!({"paths": [format!(r"~/api/v\d+/res-{n}/\d+$")]}),
        |n| get(&format!("h/api/v1/res-{n}/5")),
    );
}

#[test]
fn thousands_of_regexes_are_compiled_only_when_they_are_needed() {
    let start = Instant::now();
    let router = build(
        5_000,
        |n| json!({"paths": [format!(r"~/api/{n}/[\w-]+/(?<id>\d+)$")]}),
    );
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?} to build",
        start.elapsed()
    );
    assert_eq!(
        get("h/api/77/some-thing/5")
            .find(&router)
            .unwrap()
            .captures
            .unwrap()
            .named("id"),
        Some("5")
    );
}

#[test]
fn a_route_with_very_many_hosts_and_paths_is_not_multiplied_out() {
    let hosts: Vec<String> = (0..2_000).map(|n| format!("h{n}.test")).collect();
    let paths: Vec<String> = (0..2_000).map(|n| format!("/path-{n:04}")).collect();
    let router = build(1, |_| json!({"hosts": hosts, "paths": paths}));
    assert_eq!(get("h7.test/path-0005").winner(&router), Some(1));
    assert_eq!(get("x7.test/path-0005").winner(&router), None);
    assert!(
        router.memory_bytes() < 2 * 1_024 * 1_024,
        "{} bytes",
        router.memory_bytes()
    );
}

#[test]
fn a_plain_route_takes_less_than_a_kibibyte() {
    let count = 50_000;
    let router = build(
        count,
        |n| json!({"hosts": [format!("host-{n}.example.test")], "paths": [format!("/svc/{n}/api")]}),
    );
    let each = router.memory_bytes() / count as usize;
    assert!(each < 1_024, "{each} bytes for each route");
}

#[test]
fn a_hostile_host_with_thousands_of_labels_is_cheap() {
    let router = build(
        1_000,
        |n| json!({"hosts": [format!("*.h{n}.test"), format!("h{n}.*")]}),
    );
    let request = get(&format!("{}test/", "a.".repeat(30_000)));
    assert_eq!(request.winner(&router), None);
    assert!(
        time_of(&router, &request) < Duration::from_millis(20),
        "{:?}",
        time_of(&router, &request)
    );
}

/// Counts look-ups.
struct Counting<'c>(&'c Cell<u32>);

impl HeaderSource for Counting<'_> {
    fn visit(&self, _name: &str, each: &mut dyn FnMut(&[u8])) {
        self.0.set(self.0.get() + 1);
        each(b"t5");
    }
}

#[test]
fn a_header_that_splits_many_routes_is_read_a_few_times_only() {
    let router = build(1_000, |n| json!({"headers": {"x-tenant": [format!("t{n}")]}}));
    let count = Cell::new(0);
    let request = get("h/");
    let facts = RequestFacts {
        headers: &Counting(&count),
        ..request.facts()
    };
    assert_eq!(router.find(&facts).map(|found| found.route), Some(5));
    assert!(count.get() <= 2, "{} look-ups", count.get());
}
