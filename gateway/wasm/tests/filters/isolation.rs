use crate::support::{Guest, World, drive, fine, sent};
use std::sync::Arc;
use tidegate_plugin::{Direction, Filter};
use tidegate_wasm::testing::exchange;
use tidegate_wasm::{FilterOptions, Isolation, sweep};

/// Shows how often this instance was used.
fn remembering() -> Guest {
    let mut guest = Guest::new();
    let [key, digits] = ["x-use", "0123456789"].map(|text| guest.text(text));
    let digits = format!("{})", digits.split(')').next().expect("an address"));
    guest.with("(global $uses (mut i32) (i32.const 0))").on(
        "request_headers",
        &format!(
            "(global.set $uses (i32.add (global.get $uses) (i32.const 1)))
             (call $show (i32.const 0) {key} (i32.add {digits} (global.get $uses)) (i32.const 1))"
        ),
        0,
    )
}

fn uses(isolation: Isolation, options: FilterOptions) -> Vec<String> {
    let world = World::new();
    let filter = world.filter(&remembering(), FilterOptions { isolation, ..options });
    (0..4)
        .map(|_| {
            sent(&fine(drive(&filter, |drive| drive)), "x-use")
                .expect("a header")
                .to_owned()
        })
        .collect()
}

#[test]
fn instances_are_used_again_unless_each_exchange_has_its_own() {
    assert_eq!(
        uses(Isolation::Pooled, FilterOptions::default()),
        ["1", "2", "3", "4"]
    );
    assert_eq!(
        uses(Isolation::Shared, FilterOptions::default()),
        ["1", "2", "3", "4"]
    );
    assert_eq!(
        uses(Isolation::Request, FilterOptions::default()),
        ["1", "1", "1", "1"]
    );
}

#[test]
fn an_instance_is_replaced_after_its_share_of_exchanges() {
    let options = FilterOptions {
        recycle_requests: 2,
        ..FilterOptions::default()
    };
    assert_eq!(uses(Isolation::Pooled, options), ["1", "2", "1", "2"]);
}

#[test]
fn exchanges_at_the_same_time_have_instances_of_their_own_up_to_the_bound() {
    let world = World::new();
    let options = FilterOptions {
        max_instances_per_worker: 2,
        ..FilterOptions::default()
    };
    let filter = world.filter(&remembering(), options);
    let (mut x, mut y, mut z) = (exchange("GET", "/"), exchange("GET", "/"), exchange("GET", "/"));
    let first = filter.start(&mut x).expect("started").expect("a run");
    let second = filter.start(&mut y).expect("started").expect("a run");
    let fault = filter.start(&mut z).err().expect("no third");
    assert_eq!(fault.status, 503);
    assert_eq!(filter.live_instances(), 2);
    first.finish(&mut x);
    assert!(filter.start(&mut z).is_ok());
    second.finish(&mut y);
}

#[test]
fn streams_of_a_shared_instance_interleave_and_fall_together() {
    let world = World::new();
    let guest = Guest::new().on(
        "request_headers",
        "(if (i32.eqz (local.get $2)) (then (unreachable)))",
        0,
    );
    let options = FilterOptions {
        isolation: Isolation::Shared,
        ..FilterOptions::default()
    };
    let filter = world.filter(&guest, options);
    let (mut x, mut y) = (exchange("GET", "/"), exchange("GET", "/"));
    let mut first = filter.start(&mut x).expect("started").expect("a run");
    let mut second = filter.start(&mut y).expect("started").expect("a run");
    assert_eq!(filter.live_instances(), 1);
    assert!(matches!(
        first.head(&mut x, Direction::Request, true),
        tidegate_plugin::Flow::Continue
    ));
    assert!(matches!(
        second.head(&mut y, Direction::Request, false),
        tidegate_plugin::Flow::Fail(_)
    ));
    assert!(matches!(
        first.head(&mut x, Direction::Response, true),
        tidegate_plugin::Flow::Fail(_)
    ));
    first.finish(&mut x);
    second.finish(&mut y);
    fine(drive(&filter, |drive| drive));
    let totals = world.host.totals();
    assert_eq!(totals.streams_created.value(), totals.streams_ended.value());
}

#[test]
fn instances_of_a_filter_that_nobody_holds_are_freed() {
    let world = World::new();
    let filter = world.filter(&remembering(), FilterOptions::default());
    fine(drive(&filter, |drive| drive));
    assert!(world.host.memory_in_use() > 0);
    let mut x = exchange("GET", "/");
    let run = filter.start(&mut x).expect("started").expect("a run");
    drop(filter);
    sweep();
    assert!(
        world.host.memory_in_use() > 0,
        "an exchange under way keeps its instance"
    );
    run.finish(&mut x);
    assert_eq!(world.host.memory_in_use(), 0);
    assert_eq!(Arc::strong_count(&world.host), 1);
}

#[test]
fn ten_thousand_exchanges_leave_no_context_and_no_memory_behind() {
    let world = World::new();
    let filter = world.filter(
        &remembering().on("response_body", "", 0),
        FilterOptions {
            capabilities: None,
            ..FilterOptions::default()
        },
    );
    fine(drive(&filter, |drive| drive));
    let before = world.host.memory_in_use();
    for turn in 0..10_000 {
        let mut x = exchange("GET", "/");
        let mut run = filter.start(&mut x).expect("started").expect("a run");
        if turn % 100 != 0 {
            let _ = run.head(&mut x, Direction::Response, true);
        }
        if turn % 2 == 0 {
            run.finish(&mut x);
        }
    }
    assert_eq!(world.host.memory_in_use(), before);
    let totals = world.host.totals();
    assert_eq!(totals.streams_created.value(), 10_001);
    assert_eq!(totals.streams_ended.value(), 10_001);
}

#[test]
fn a_fresh_instance_never_sees_what_an_earlier_one_wrote() {
    // Each exchange finds every page as the module has it, grows, and dirties pages far apart.
    let dirty = "(local $at i32)
        (drop (memory.grow (i32.const 30)))
        (local.set $at (i32.const 66000))
        (loop $more
          (call $ok (i32.load (local.get $at)))
          (i32.store (local.get $at) (i32.const -1))
          (local.set $at (i32.add (local.get $at) (i32.const 12288)))
          (br_if $more (i32.lt_u (local.get $at) (i32.const 2090000))))";
    let world = World::new();
    let options = FilterOptions {
        isolation: Isolation::Request,
        callback_deadline_ms: 1_000,
        ..FilterOptions::default()
    };
    let filter = world.filter(&Guest::new().on("request_headers", dirty, 0), options);
    for _ in 0..300 {
        fine(drive(&filter, |drive| drive));
    }
    assert_eq!(world.host.memory_in_use(), 0);
}
