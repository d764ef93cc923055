//! What is granted and what is not.

use super::{filter, filter_with, granted};
use crate::support::{World, drive, fine, sent};
use serde_json::json;
use std::collections::BTreeSet;
use tidegate_plugin::filter::OutboundResponse;
use tidegate_wasm::{FilterOptions, MetricKind};

#[test]
fn without_a_grant_the_answer_is_denied() {
    let world = World::new();
    let plan = json!({ "request": "denied" });
    let filter = filter_with(&world, &plan, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| drive));
    assert_eq!(
        sent(&outcome, "x-denied"),
        Some("Some(Failure::Denied) Some(Failure::Denied) Some(Failure::Denied)")
    );
    assert!(world.outbound.calls().is_empty());
}

#[test]
fn calls_go_to_allowed_hosts_only() {
    let world = World::new();
    let options = FilterOptions {
        allowed_hosts: Some(BTreeSet::from(["two".to_owned()])),
        ..granted()
    };
    let filter = filter_with(&world, &json!({ "request": "ask-all" }), options);
    world.outbound.answer(Some(Ok(OutboundResponse::default())));
    let outcome = fine(drive(&filter, |drive| drive));
    assert_eq!(
        sent(&outcome, "x-answer"),
        Some("Failure::Denied Failure::Denied ")
    );
    assert_eq!(world.outbound.calls().len(), 1);
}

#[test]
fn a_store_counts_compares_and_expires() {
    let world = World::new();
    let filter = filter(&world, &json!({ "request": "kv" }));
    let outcome = fine(drive(&filter, |drive| drive));
    assert_eq!(
        sent(&outcome, "x-kv"),
        Some("1 Swap::Stored Swap::Stored Swap::Conflict true true true")
    );
    let outcome = fine(drive(&filter, |drive| drive));
    assert_eq!(
        sent(&outcome, "x-kv"),
        Some("2 Swap::Conflict Swap::Stored Swap::Conflict false true true"),
        "another exchange sees what the first one left"
    );
}

#[test]
fn a_secret_is_read_by_a_reference_that_is_granted() {
    let granted = |reference: &str| FilterOptions {
        secrets: [(reference.to_owned(), "open sesame".to_owned())]
            .into_iter()
            .collect(),
        ..FilterOptions::default()
    };
    let world = World::new();
    let plan = json!({ "request": "secret" });
    for (reference, expected) in [
        ("{vault://env/x}", "Ok(\"open sesame\")"),
        ("{vault://env/y}", "Err(Failure::Denied)"),
    ] {
        let filter = filter_with(&world, &plan, granted(reference));
        let outcome = fine(drive(&filter, |drive| drive));
        assert_eq!(sent(&outcome, "x-secret"), Some(expected), "{reference}");
    }
}

#[test]
fn metrics_are_one_per_combination_of_labels() {
    let world = World::new();
    let filter = filter(&world, &json!({ "request": "metrics" }));
    fine(drive(&filter, |drive| drive));
    fine(drive(&filter, |drive| drive));
    let metrics = world.host.metrics();
    let found: Vec<_> = metrics
        .iter()
        .map(|metric| (metric.name.as_str(), metric.kind, metric.value))
        .collect();
    let expected = [
        ("level", MetricKind::Gauge, -7),
        ("seen", MetricKind::Counter, 4),
        ("size", MetricKind::Histogram, 0),
    ];
    assert_eq!(found, expected);
    assert_eq!(metrics[1].labels, [("kind".to_owned(), "a".to_owned())]);
    let observed = metrics[2].observed.as_ref().expect("observations");
    assert_eq!(
        (&observed.bounds[..], &observed.cumulative[..]),
        (&[1.0][..], &[0, 2][..])
    );
    assert!((observed.sum - 7.2).abs() < 1e-9);
}
