//! Components that misbehave hurt nobody but themselves.

use super::{filter, filter_with, granted, kind};
use crate::support::{World, drive, fine};
use serde_json::json;
use tidegate_wasm::{FailureKind, FailurePolicy, FilterOptions};

/// Phases with what leads to them.
const PHASES: [(&str, &str, &str); 5] = [
    ("request", "on-request", "{}"),
    ("request_body", "on-request-body", r#"{"request": "stream"}"#),
    ("response", "on-response", "{}"),
    ("response_body", "on-response-body", r#"{"response": "stream"}"#),
    ("log", "on-log", "{}"),
];

#[test]
fn a_failure_in_any_phase_ends_that_exchange_and_the_instance_is_replaced() {
    let failures = [
        ("trap", FailureKind::Trap),
        ("loop", FailureKind::Deadline),
        ("grow", FailureKind::Memory),
        ("exit", FailureKind::Exit),
        // Its own stack, in its memory, ends before the engine's does.
        ("recurse", FailureKind::Trap),
    ];
    let world = World::new();
    for (phase, callback, base) in PHASES {
        for (failure, kind) in failures {
            let mut plan: serde_json::Value = serde_json::from_str(base).expect("a plan");
            plan[phase] = json!(failure);
            let options = FilterOptions {
                // Filling memory takes its time where the host is not optimised.
                callback_deadline_ms: if failure == "grow" { 5_000 } else { 10 },
                ..granted()
            };
            let filter = filter_with(&world, &plan, options);
            let outcome = drive(&filter, |drive| drive.chunk("a").response_chunk("b"));
            assert_eq!(
                outcome.fault.is_some(),
                phase != "log",
                "{failure} in {phase} ends the exchange"
            );
            let record = world.host.failures().pop().expect("a failure");
            assert_eq!(
                (record.callback, record.kind),
                (callback, kind),
                "{}",
                record.report
            );
            assert_eq!(filter.live_instances(), 0, "{failure} in {phase}");
        }
    }
    assert_eq!(world.host.memory_in_use(), 0);
}

#[test]
fn with_the_policy_open_the_exchange_goes_on_without_the_filter() {
    for (phase, _, base) in PHASES {
        let world = World::new();
        let mut plan: serde_json::Value = serde_json::from_str(base).expect("a plan");
        plan[phase] = json!("trap");
        let options = FilterOptions {
            failure_policy: FailurePolicy::Open,
            ..granted()
        };
        let filter = filter_with(&world, &plan, options);
        let outcome = fine(drive(&filter, |drive| {
            drive
                .chunk("a")
                .chunk("b")
                .response_chunk("c")
                .response_chunk("d")
        }));
        assert_eq!(super::upstream_body(&outcome), Some("ab"), "{phase}");
        assert_eq!(outcome.body, "cd", "{phase}");
    }
}

#[test]
fn a_filter_that_fails_over_and_over_is_out_of_service() {
    let world = World::new();
    let filter = filter(&world, &json!({ "request": "trap" }));
    for _ in 0..6 {
        assert_eq!(
            drive(&filter, |drive| drive).fault.expect("a failure").status,
            500
        );
    }
    assert!(filter.is_tripped());
    let fault = drive(&filter, |drive| drive).fault.expect("a refusal");
    assert_eq!(fault.status, 503);
    assert!(fault.retry_after.is_some());
    let (_, kind, count) = world.host.failure_counts().remove(0);
    assert_eq!((kind, count), (FailureKind::Trap, 6));
}

#[test]
fn a_component_that_cannot_be_configured_is_refused_with_the_reason() {
    let world = World::new();
    let kind = kind(&world);
    let refuse = |plan: &serde_json::Value| {
        let refusal = kind.attach_unchecked(plan, granted()).err();
        refusal.expect("a refusal").message
    };
    assert!(refuse(&json!("text")).contains("at line 1"), "it is no JSON");
    assert_eq!(refuse(&json!([1])), "an object is expected");
    for (plan, reason) in [
        ("trap", "configure failed"),
        ("sleep", "cannot wait"),
        ("exit", "asked to exit"),
    ] {
        let refusal = refuse(&json!({ "configure": plan }));
        assert!(refusal.contains(reason), "{refusal}");
    }
    let options = FilterOptions {
        boot_deadline_ms: 50,
        ..granted()
    };
    let refusal = kind
        .attach_unchecked(&json!({ "configure": "loop" }), options)
        .err()
        .expect("a refusal");
    assert!(refusal.message.contains("configure failed"), "{refusal}");
}

#[test]
fn instances_are_used_again_and_nothing_of_an_exchange_stays_behind() {
    let world = World::new();
    let plan = json!({
        "request": "stream", "request_body": "upper", "response": "stream", "response_body": "upper", "log": "count",
    });
    let filter = filter(&world, &plan);
    let booted = world.host.totals().instances_booted.value();
    let mut memory = 0;
    for round in 0..1_000 {
        fine(drive(&filter, |drive| drive.chunk("abc").response_chunk("def")));
        match round {
            100 => memory = world.host.memory_in_use(),
            999 => assert_eq!(world.host.memory_in_use(), memory, "memory is flat"),
            _ => {}
        }
    }
    assert_eq!(world.host.totals().instances_booted.value() - booted, 1);
    assert_eq!(filter.live_instances(), 1);
    assert_eq!(world.host.totals().streams_created.value(), 1_000);
    assert_eq!(world.host.totals().streams_ended.value(), 1_000);
}

#[test]
fn handles_that_a_guest_keeps_for_ever_are_bounded() {
    let world = World::new();
    let filter = filter(&world, &json!({ "request": "handles" }));
    let mut served = 0;
    while drive(&filter, |drive| drive).fault.is_none() {
        served += 1;
        assert!(served <= 1_000, "the bound is never reached");
    }
    assert!(served > 900, "{served}");
    fine(drive(&filter, |drive| drive));
}

#[test]
fn instances_are_recycled_after_their_calls() {
    let world = World::new();
    let options = FilterOptions {
        recycle_requests: 4,
        ..granted()
    };
    let filter = filter_with(&world, &json!({}), options);
    let booted = world.host.totals().instances_booted.value();
    // Request, response and log: three calls each.
    for _ in 0..8 {
        fine(drive(&filter, |drive| drive));
    }
    assert_eq!(world.host.totals().instances_booted.value() - booted, 6);
}
