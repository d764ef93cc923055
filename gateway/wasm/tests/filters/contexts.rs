use crate::support::{CALLBACKS, Guest, World, block_on, drive, fine};
use tidegate_plugin::Filter;
use tidegate_wasm::testing::{Drive, exchange};
use tidegate_wasm::{FilterHost, FilterOptions, Isolation};

/// Counts each callback in a metric of its name.
fn counting() -> Guest {
    let mut guest = Guest::new();
    let mut define = String::new();
    let mut bodies = Vec::new();
    for (index, (name, ..)) in CALLBACKS.iter().enumerate() {
        let text = guest.text(name);
        let address = 200 + 4 * index;
        define.push_str(&format!(
            "(call $ok (call $define_metric (i32.const 0) {text} (i32.const {address})))"
        ));
        bodies.push((
            *name,
            format!("(call $ok (call $increment_metric (i32.load (i32.const {address})) (i64.const 1)))"),
        ));
    }
    for (name, count) in bodies {
        let action = i32::from(["vm_start", "configure", "done"].contains(&name));
        let statements = match name {
            "context_create" => format!("(if (i32.eqz (local.get $1)) (then {define})) {count}"),
            _ => count,
        };
        guest = guest.on(name, &statements, action);
    }
    guest
}

fn count(host: &FilterHost, name: &str) -> i64 {
    let metrics = host.metrics();
    metrics
        .iter()
        .find(|metric| metric.name == name)
        .expect("a metric")
        .value
}

#[test]
fn done_log_and_delete_come_once_each_wherever_the_client_leaves() {
    for isolation in [Isolation::Pooled, Isolation::Shared, Isolation::Request] {
        let world = World::new();
        let options = FilterOptions {
            isolation,
            ..FilterOptions::default()
        };
        let filter = world.filter(&counting(), options);
        let before = count(&world.host, "context_create");
        for abort_after in [Some(0), Some(1), Some(2), Some(3), Some(4), None] {
            fine(drive(&filter, |mut drive| {
                drive.abort_after = abort_after;
                drive.chunk("question").response_chunk("answer")
            }));
        }
        let roots = count(&world.host, "configure") - 1;
        assert_eq!(
            count(&world.host, "context_create") - before - roots,
            6,
            "{isolation:?}"
        );
        assert_eq!(count(&world.host, "log"), 6, "{isolation:?}");
        let shut_down = count(&world.host, "delete") - 6;
        assert_eq!(
            count(&world.host, "done") - 6,
            shut_down,
            "{isolation:?}: contexts of plugins"
        );
        let totals = world.host.totals();
        assert_eq!(totals.streams_created.value(), 6);
        assert_eq!(totals.streams_ended.value(), 6);
    }
}

#[test]
fn a_filter_that_is_dropped_without_its_end_is_told_of_it() {
    let world = World::new();
    let filter = world.filter(&counting(), FilterOptions::default());
    let mut x = exchange("GET", "/");
    let deleted = count(&world.host, "delete");
    drop(filter.start(&mut x).expect("started").expect("a run"));
    assert_eq!(count(&world.host, "delete"), deleted + 1);
}

#[test]
fn no_context_id_is_given_twice_while_it_lives() {
    let guest = Guest::new()
        .with("(global $last (mut i32) (i32.const 0))")
        .on(
            "context_create",
            "(if (i32.le_u (local.get $0) (global.get $last)) (then (unreachable))) (global.set $last (local.get $0))",
            0,
        )
        .on("request_headers", "(call $want (local.get $0) (global.get $last))", 0);
    let world = World::new();
    for isolation in [Isolation::Pooled, Isolation::Shared] {
        let options = FilterOptions {
            isolation,
            ..FilterOptions::default()
        };
        let filter = world.filter(&guest, options);
        for _ in 0..10 {
            fine(drive(&filter, |drive| drive));
        }
    }
}

#[test]
fn a_stream_that_puts_off_its_end_ends_after_its_timeout_or_when_it_says_so() {
    // `proxy_done` within the callback counts as the answer; without it the background future ends the stream.
    for (statements, ends_at_once) in [("(call $ok (call $done))", true), ("", false)] {
        let world = World::new();
        let mut guest = Guest::new();
        let name = guest.text("ended");
        let guest = guest
            .on(
                "configure",
                &format!("(call $ok (call $define_metric (i32.const 0) {name} (i32.const 200)))"),
                1,
            )
            .on("done", statements, 0)
            .on(
                "delete",
                "(call $ok (call $increment_metric (i32.load (i32.const 200)) (i64.const 1)))",
                0,
            );
        let filter = world.filter(&guest, FilterOptions::default());
        let ended = || count(&world.host, "ended");
        block_on(async {
            let before = ended();
            let background = filter.clone().background(0).expect("a background future");
            Drive::new(vec![filter.clone()], exchange("GET", "/")).run().await;
            assert_eq!(ended() - before, i64::from(ends_at_once));
            let _ = tokio::time::timeout(std::time::Duration::from_secs(40), background).await;
            assert_eq!(ended() - before, 1);
        });
    }
}

#[test]
fn the_effective_context_is_one_of_this_instance_and_lasts_for_one_callback() {
    let guest = Guest::new()
        .on(
            "request_headers",
            "(call $want (call $set_effective_context (i32.const 77)) (i32.const 2))
             (call $ok (call $set_effective_context (i32.const 1)))
             (call $ok (call $close_stream (i32.const 0)))",
            0,
        )
        .on(
            "response_headers",
            "(call $ok (call $close_stream (i32.const 0)))",
            0,
        );
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| drive));
    assert!(
        outcome.upstream.is_some(),
        "the plugin context has no stream to close"
    );
    assert!(outcome.is_reset, "the next callback acts on its own stream again");
}
