//! What each phase sees and decides.

use super::{filter, filter_with, granted, run, status};
use crate::support::{World, block_on, drive, fine, received, sent};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tidegate_plugin::filter::OutboundResponse;
use tidegate_plugin::{Direction, Filter};
use tidegate_wasm::{FilterOptions, Isolation};

fn answer(world: &World, text: &'static str) {
    world.outbound.answer(Some(Ok(OutboundResponse {
        body: Bytes::from_static(text.as_bytes()),
        ..OutboundResponse::default()
    })));
}

#[test]
fn a_request_head_is_read_and_edited() {
    let plan = json!({ "request": "edit" });
    let outcome = fine(run(&plan, |drive| {
        drive.header("x-gone", "1").header("x-many", "0")
    }));
    assert_eq!(
        sent(&outcome, "x-facts"),
        Some("GET http gateway.test /path?q=1 gateway.test 1 HttpVersion::Http11 127.0.0.1")
    );
    let many: Vec<_> = outcome.upstream_headers.get_all("x-many").iter().collect();
    assert_eq!(many, ["0", "1", "2"]);
    let bytes: Vec<_> = outcome
        .upstream_headers
        .get_all("x-bytes")
        .iter()
        .map(|value| value.as_bytes().to_vec())
        .collect();
    assert_eq!(bytes, [b"\xff\xfe".to_vec(), b"text".to_vec()]);
    assert_eq!(
        sent(&outcome, "x-not-text"),
        Some("None"),
        "bytes that are no text are no string"
    );
    assert_eq!(sent(&outcome, "x-gone"), None);
    let wrong = sent(&outcome, "x-wrong").expect("errors");
    assert!(wrong.contains("BadName") && wrong.contains("BadValue"), "{wrong}");
    assert_eq!(sent(&outcome, "x-property"), Some("PUT"));
    assert_eq!(outcome.x.upstream.path, "/new");
    assert_eq!(outcome.x.query(), Some("q=2"));
    assert_eq!(outcome.x.upstream_method().as_str(), "PUT");
    assert_eq!(
        outcome
            .x
            .upstream
            .host_header
            .as_ref()
            .map(|host| host.as_bytes()),
        Some(&b"other.test"[..])
    );
    assert_eq!(outcome.x.log_fields[0].0, "note");
}

#[test]
fn a_response_head_is_edited_and_what_the_request_kept_is_there() {
    for isolation in [Isolation::Pooled, Isolation::Request] {
        let world = World::new();
        let options = FilterOptions {
            isolation,
            ..granted()
        };
        let plan = json!({ "request": "edit", "response": "edit" });
        let filter = filter_with(&world, &plan, options);
        for _ in 0..3 {
            let outcome = fine(drive(&filter, |drive| drive.response_header("x-gone", "1")));
            assert_eq!(outcome.x.response.status.as_u16(), 201);
            assert_eq!(received(&outcome, "x-status"), Some("200"));
            assert_eq!(received(&outcome, "x-local"), Some("false"));
            assert_eq!(received(&outcome, "x-kept"), Some("kept"));
            assert_eq!(received(&outcome, "x-gone"), None);
        }
        let live = usize::from(isolation == Isolation::Pooled);
        assert_eq!(filter.live_instances(), live, "{isolation:?}");
    }
}

#[test]
fn a_filter_responds_or_aborts_in_each_head_phase() {
    let outcome = run(&json!({ "request": "respond", "response": "edit" }), |drive| {
        drive
    });
    assert_eq!(status(&outcome), Some(403));
    assert!(outcome.upstream.is_none());
    assert_eq!(received(&outcome, "x-own"), Some("1"));
    assert_eq!(
        received(&outcome, "x-local"),
        Some("true"),
        "its response phase sees its own answer"
    );
    assert_eq!(
        tidegate_wasm::upstream_choice(&outcome.x).details,
        Some("on purpose")
    );
    let outcome = run(&json!({ "response": "respond" }), |drive| drive);
    assert_eq!(status(&outcome), Some(503));
    assert!(run(&json!({ "request": "abort" }), |drive| drive).is_reset);
    assert!(run(&json!({ "response": "abort" }), |drive| drive).is_reset);
}

#[test]
fn an_answer_that_is_none_and_an_error_are_failures_of_the_filter() {
    for plan in ["bad-respond", "error"] {
        let world = World::new();
        let filter = filter(&world, &json!({ "request": plan }));
        let fault = drive(&filter, |drive| drive).fault.expect("a failure");
        assert_eq!(fault.status.as_u16(), 500);
        assert_eq!(world.host.failures()[0].callback, "on-request");
    }
}

#[test]
fn a_call_to_another_host_is_waited_for_in_heads_and_bodies() {
    let world = World::new();
    let plan = json!({ "request": "ask", "response": "ask" });
    let both = filter(&world, &plan);
    answer(&world, "first");
    answer(&world, "second");
    let outcome = fine(drive(&both, |drive| drive.chunk("body")));
    assert_eq!(sent(&outcome, "x-answer"), Some("first"));
    assert_eq!(received(&outcome, "x-answer"), Some("second"));
    let calls = world.outbound.calls();
    assert_eq!(
        (&*calls[0].target, calls[0].method.as_str(), &*calls[0].path),
        ("auth", "POST", "/ask")
    );
    assert_eq!(calls[0].timeout, Some(Duration::from_millis(500)));

    let body = filter(&world, &json!({ "request": "stream", "request_body": "ask" }));
    answer(&world, "+third");
    let outcome = fine(drive(&body, |drive| drive.chunk("some").chunk("thing")));
    assert_eq!(super::upstream_body(&outcome), Some("something+third"));
}

#[test]
fn several_calls_at_once_are_answered_in_their_order() {
    let world = World::new();
    let filter = filter(&world, &json!({ "request": "ask-all" }));
    answer(&world, "a");
    answer(&world, "b");
    let outcome = fine(drive(&filter, |drive| drive));
    assert_eq!(sent(&outcome, "x-answer"), Some("a Failure::Denied b"));
}

#[test]
fn a_wait_is_bounded_and_the_exchange_ends_by_the_policy() {
    let world = World::new();
    let options = FilterOptions {
        pause_timeout_ms: 1_000,
        ..granted()
    };
    let filter = filter_with(&world, &json!({ "request": "ask" }), options);
    world.outbound.answer(None);
    let fault = drive(&filter, |drive| drive).fault.expect("a failure");
    assert!(fault.to_string().contains("paused for too long"), "{fault}");
    assert_eq!(filter.live_instances(), 0, "the instance that waits is gone");
    answer(&world, "later");
    assert_eq!(
        sent(&fine(drive(&filter, |drive| drive)), "x-answer"),
        Some("later")
    );
}

#[test]
fn a_guest_that_sleeps_lets_others_go_on() {
    let world = World::new();
    let sleeper = filter(&world, &json!({ "request": "sleep" }));
    let slept = block_on(async {
        let drive = || {
            let filter: Arc<dyn Filter> = Arc::clone(&sleeper) as _;
            let x = tidegate_wasm::testing::exchange("GET", "/");
            tidegate_wasm::testing::Drive::new(vec![filter], x).run()
        };
        let start = tokio::time::Instant::now();
        let (one, two) = futures_util::future::join(drive(), drive()).await;
        fine(one);
        fine(two);
        start.elapsed()
    });
    assert_eq!(slept.as_millis(), 250, "both slept at once");
    assert_eq!(sleeper.live_instances(), 2);
}

#[test]
fn a_client_that_leaves_ends_the_wait() {
    let world = World::new();
    let filter = filter(&world, &json!({ "request": "ask" }));
    world.outbound.answer(None);
    block_on(async {
        let mut x = tidegate_wasm::testing::exchange("GET", "/");
        let mut run = filter.start(&mut x).expect("started").expect("a run");
        assert!(matches!(
            run.head(&mut x, Direction::Request, true),
            tidegate_plugin::Flow::Pause(_)
        ));
        run.finish(&mut x);
    });
    assert_eq!(
        filter.live_instances(),
        1,
        "the one that waited is gone, the log phase has another"
    );
    assert!(world.host.failures().is_empty(), "it is no failure");
    assert_eq!(
        world.host.totals().streams_created.value(),
        world.host.totals().streams_ended.value()
    );
}

#[test]
fn the_log_phase_is_told_how_it_went_also_when_the_filter_answered() {
    let world = World::new();
    let filter = filter(&world, &json!({ "request": "respond", "log": "count" }));
    drive(&filter, |drive| drive);
    drive(&filter, |drive| drive);
    let metrics = world.host.metrics();
    let logged = metrics
        .iter()
        .find(|metric| metric.name == "logged")
        .expect("a metric");
    let labels = [("path".to_owned(), "/path?q=1".to_owned())];
    assert_eq!((&logged.labels[..], logged.value), (&labels[..], 2));
}

#[test]
fn a_log_phase_that_waits_and_posted_calls_outlive_the_exchange_and_ticks_run() {
    let world = World::new();
    let plan = json!({ "request": "post", "log": "ask" });
    let options = FilterOptions {
        tick_interval_ms: 100,
        ..granted()
    };
    let filter = filter_with(&world, &plan, options);
    answer(&world, "posted");
    answer(&world, "logged");
    let local = tokio::task::LocalSet::new();
    let background = Arc::clone(&filter).background(0).expect("background work");
    block_on(local.run_until(async {
        let task = tokio::task::spawn_local(background);
        let drive = tidegate_wasm::testing::Drive::new(
            vec![Arc::clone(&filter) as Arc<dyn Filter>],
            tidegate_wasm::testing::exchange("GET", "/"),
        );
        fine(drive.run().await);
        tokio::time::sleep(Duration::from_millis(350)).await;
        task.abort();
    }));
    let metric = |name: &str| {
        let metrics = world.host.metrics();
        metrics
            .iter()
            .find(|metric| metric.name == name)
            .map(|metric| metric.value)
    };
    assert_eq!(world.outbound.calls().len(), 2);
    assert_eq!((metric("audited"), metric("ticks")), (Some(1), Some(3)));
}
