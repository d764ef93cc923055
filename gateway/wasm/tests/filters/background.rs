use crate::support::{Guest, World, block_on, drive, fine};
use std::time::Duration;
use tidegate_plugin::Filter;
use tidegate_plugin::filter::OutboundResponse;
use tidegate_wasm::{FilterHost, FilterOptions, Isolation};

fn value(host: &FilterHost, name: &str) -> i64 {
    let metrics = host.metrics();
    metrics
        .iter()
        .find(|metric| metric.name == name)
        .map_or(0, |metric| metric.value)
}

/// Defines a metric and, beside it, runs statements when it is configured.
fn with_metric(guest: &mut Guest, name: &str, statements: &str) -> String {
    let name = guest.text(name);
    format!("(call $ok (call $define_metric (i32.const 0) {name} (i32.const 200))) {statements}")
}

const COUNT: &str = "(call $ok (call $increment_metric (i32.load (i32.const 200)) (i64.const 1)))";

#[test]
fn one_worker_ticks_with_the_period_that_the_filter_set() {
    for isolation in [Isolation::Pooled, Isolation::Shared] {
        let world = World::new();
        let mut guest = Guest::new();
        let configure = with_metric(
            &mut guest,
            "ticks",
            "(call $ok (call $set_tick_period_milliseconds (i32.const 100)))",
        );
        let guest = guest.on("configure", &configure, 1).on("tick", COUNT, 0);
        let options = FilterOptions {
            isolation,
            ..FilterOptions::default()
        };
        let filter = world.filter(&guest, options);
        block_on(async {
            let first = filter.clone().background(0).expect("a future");
            let second = filter.clone().background(1).expect("a future");
            let both = futures_util::future::join(first, second);
            let _ = tokio::time::timeout(Duration::from_millis(1_050), both).await;
        });
        assert_eq!(value(&world.host, "ticks"), 10, "{isolation:?}");
    }
}

#[test]
fn a_trap_in_a_tick_replaces_the_instance_and_exchanges_go_on() {
    let world = World::new();
    let guest = Guest::new()
        .on(
            "configure",
            "(call $ok (call $set_tick_period_milliseconds (i32.const 10)))",
            1,
        )
        .on("tick", "(unreachable)", 0);
    let filter = world.filter(&guest, FilterOptions::default());
    block_on(async {
        let background = filter.clone().background(0).expect("a future");
        let _ = tokio::time::timeout(Duration::from_secs(4), background).await;
    });
    assert!(
        world.host.failures().len() >= 2,
        "it ticked again after the first failure"
    );
    fine(drive(&filter, |drive| drive));
}

#[test]
fn items_of_a_queue_are_told_once_each() {
    let world = World::new();
    let mut guest = Guest::new();
    let [queue, item] = ["queue", "item"].map(|text| guest.text(text));
    let register = format!("(call $ok (call $register_shared_queue {queue} (i32.const 204)))");
    let configure = with_metric(&mut guest, "items", &register);
    let ready = format!(
        "{COUNT} (call $want (local.get $1) (i32.load (i32.const 204)))
         (call $ok (call $dequeue_shared_queue (local.get $1) (i32.const 16) (i32.const 20)))"
    );
    let enqueue =
        format!("(call $ok (call $enqueue_shared_queue (i32.load (i32.const 204)) {item}))").repeat(2);
    let guest = guest
        .on("configure", &configure, 1)
        .on("queue_ready", &ready, 0)
        .on("request_headers", &enqueue, 0);
    let filter = world.filter(&guest, FilterOptions::default());
    block_on(async {
        let background = filter.clone().background(0).expect("a future");
        tokio::pin!(background);
        let _ = tokio::time::timeout(Duration::from_millis(1), background.as_mut()).await;
        let x = tidegate_wasm::testing::exchange("GET", "/");
        tidegate_wasm::testing::Drive::new(vec![filter.clone()], x)
            .run()
            .await;
        let _ = tokio::time::timeout(Duration::from_millis(1), background.as_mut()).await;
    });
    assert_eq!(value(&world.host, "items"), 2);
    assert!(world.host.failures().is_empty());
}

#[test]
fn a_tick_and_the_end_of_a_stream_may_call_out() {
    for phase in ["tick", "log"] {
        let world = World::new();
        world.outbound.answer(Some(Ok(OutboundResponse::default())));
        let mut guest = Guest::new();
        let target = guest.text("auth");
        let headers = guest.pairs(&[(":method", "GET"), (":path", "/")]);
        let nothing = guest.text("");
        let call = format!(
            "(if (i32.eqz (i32.load (i32.const 208))) (then
               (call $ok (call $http_call {target} {headers} {nothing} {nothing} (i32.const 0) (i32.const 208)))))"
        );
        let tick = "(call $ok (call $set_tick_period_milliseconds (i32.const 10)))";
        let configure = with_metric(&mut guest, "answers", if phase == "tick" { tick } else { "" });
        let guest =
            guest
                .on("configure", &configure, 1)
                .on(phase, &call, 0)
                .on("http_call_response", COUNT, 0);
        let filter = world.filter(&guest, FilterOptions::default());
        block_on(async {
            let background = filter.clone().background(0).expect("a future");
            let x = tidegate_wasm::testing::exchange("GET", "/");
            tidegate_wasm::testing::Drive::new(vec![filter.clone()], x)
                .run()
                .await;
            let _ = tokio::time::timeout(Duration::from_millis(50), background).await;
        });
        assert_eq!(value(&world.host, "answers"), 1, "{phase}");
    }
}
