use crate::support::{GOT, Guest, OUT, World, drive, fine, sent};
use tidegate_wasm::{FilterOptions, HostLimits, MetricKind};

#[test]
fn data_is_shared_with_compare_and_swap() {
    let mut guest = Guest::new();
    let [key, other, one, two, shown] = ["key", "other", "one", "two", "x-data"].map(|text| guest.text(text));
    let statements = format!(
        "(call $want (call $get_shared_data {other} {OUT} (i32.const 24)) (i32.const 1))
         (call $ok (call $set_shared_data {key} {one} (i32.const 0)))
         (call $ok (call $get_shared_data {key} {OUT} (i32.const 24)))
         (call $ok (i32.eqz (i32.load (i32.const 24))))
         (call $ok (call $set_shared_data {key} {two} (i32.load (i32.const 24))))
         (call $want (call $set_shared_data {key} {one} (i32.load (i32.const 24))) (i32.const 8))
         (call $ok (call $get_shared_data {key} {OUT} (i32.const 24)))
         (call $show (i32.const 0) {shown} {GOT})"
    );
    let world = World::new();
    let filter = world.filter(
        &guest.on("request_headers", &statements, 0),
        FilterOptions::default(),
    );
    assert_eq!(sent(&fine(drive(&filter, |drive| drive)), "x-data"), Some("two"));
}

#[test]
fn filters_of_one_vm_id_share_data_and_others_do_not() {
    let world = World::new();
    let options = |vm_id: &str| FilterOptions {
        vm_id: Some(vm_id.to_owned()),
        ..FilterOptions::default()
    };
    let mut guest = Guest::new();
    let [key, value] = ["key", "value"].map(|text| guest.text(text));
    let set = format!("(call $ok (call $set_shared_data {key} {value} (i32.const 0)))");
    let writer = world.filter(&guest.on("request_headers", &set, 0), options("a"));
    let reader = |vm_id: &str, status: i32| {
        let mut guest = Guest::new();
        let key = guest.text("key");
        let get =
            format!("(call $want (call $get_shared_data {key} {OUT} (i32.const 24)) (i32.const {status}))");
        world.filter(&guest.on("request_headers", &get, 0), options(vm_id))
    };
    let (same, other) = (reader("a", 0), reader("b", 1));
    fine(drive(&writer, |drive| drive));
    fine(drive(&same, |drive| drive));
    fine(drive(&other, |drive| drive));
}

#[test]
fn shared_data_and_queues_stay_within_their_budgets() {
    let mut guest = Guest::new();
    let [key, name] = ["key", "queue"].map(|text| guest.text(text));
    let statements = format!(
        "(local $i i32)
         (call $want (call $set_shared_data {key} (i32.const 0) (i32.const 60000) (i32.const 0)) (i32.const 10))
         (call $ok (call $register_shared_queue {name} (i32.const 24)))
         (loop $more
           (call $ok (call $enqueue_shared_queue (i32.load (i32.const 24)) {key}))
           (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
         (call $want (call $enqueue_shared_queue (i32.load (i32.const 24)) {key}) (i32.const 10))"
    );
    let world = World::with_limits(HostLimits {
        max_shared_data_bytes: 50_000,
        max_queue_items: 3,
        ..HostLimits::default()
    });
    let filter = world.filter(
        &guest.on("request_headers", &statements, 0),
        FilterOptions::default(),
    );
    fine(drive(&filter, |drive| drive));
}

#[test]
fn queues_are_registered_resolved_filled_and_emptied() {
    let mut guest = Guest::new();
    let [name, none, vm, item, shown] = ["queue", "none", "", "item", "x-item"].map(|text| guest.text(text));
    let statements = format!(
        "(call $want (call $resolve_shared_queue {vm} {none} (i32.const 24)) (i32.const 1))
         (call $ok (call $register_shared_queue {name} (i32.const 24)))
         (call $ok (call $resolve_shared_queue {vm} {name} (i32.const 28)))
         (call $want (i32.load (i32.const 24)) (i32.load (i32.const 28)))
         (call $want (call $dequeue_shared_queue (i32.load (i32.const 24)) {OUT}) (i32.const 7))
         (call $want (call $dequeue_shared_queue (i32.const 999) {OUT}) (i32.const 1))
         (call $want (call $enqueue_shared_queue (i32.const 999) {item}) (i32.const 1))
         (call $ok (call $enqueue_shared_queue (i32.load (i32.const 24)) {item}))
         (call $ok (call $dequeue_shared_queue (i32.load (i32.const 24)) {OUT}))
         (call $show (i32.const 0) {shown} {GOT})"
    );
    let filter = World::new().filter(
        &guest.on("request_headers", &statements, 0),
        FilterOptions::default(),
    );
    assert_eq!(sent(&fine(drive(&filter, |drive| drive)), "x-item"), Some("item"));
}

#[test]
fn metrics_are_defined_once_and_summed() {
    let mut guest = Guest::new();
    let [counter, gauge, histogram] = ["counter", "gauge", "histogram"].map(|text| guest.text(text));
    let statements = format!(
        "(call $ok (call $define_metric (i32.const 0) {counter} (i32.const 24)))
         (call $ok (call $define_metric (i32.const 0) {counter} (i32.const 28)))
         (call $want (i32.load (i32.const 24)) (i32.load (i32.const 28)))
         (call $want (call $define_metric (i32.const 1) {counter} (i32.const 28)) (i32.const 2))
         (call $want (call $define_metric (i32.const 3) {counter} (i32.const 28)) (i32.const 2))
         (call $ok (call $define_metric (i32.const 1) {gauge} (i32.const 32)))
         (call $ok (call $define_metric (i32.const 2) {histogram} (i32.const 36)))
         (call $ok (call $increment_metric (i32.load (i32.const 24)) (i64.const 3)))
         (call $ok (call $record_metric (i32.load (i32.const 24)) (i64.const 2)))
         (call $want (call $increment_metric (i32.load (i32.const 24)) (i64.const -1)) (i32.const 2))
         (call $ok (call $record_metric (i32.load (i32.const 32)) (i64.const 9)))
         (call $ok (call $increment_metric (i32.load (i32.const 32)) (i64.const -2)))
         (call $ok (call $record_metric (i32.load (i32.const 36)) (i64.const 5)))
         (call $want (call $increment_metric (i32.load (i32.const 36)) (i64.const 1)) (i32.const 2))
         (call $want (call $get_metric (i32.load (i32.const 36)) (i32.const 40)) (i32.const 2))
         (call $want (call $get_metric (i32.const 4000) (i32.const 40)) (i32.const 1))
         (call $want (call $increment_metric (i32.const 0) (i64.const 1)) (i32.const 1))
         (call $ok (call $get_metric (i32.load (i32.const 32)) (i32.const 40)))
         (call $want (i32.load (i32.const 40)) (i32.const 7))"
    );
    let world = World::new();
    let filter = world.filter(
        &guest.on("request_headers", &statements, 0),
        FilterOptions::default(),
    );
    fine(drive(&filter, |drive| drive));
    fine(drive(&filter, |drive| drive));
    let metrics = world.host.metrics();
    let observed = metrics.iter().find_map(|metric| metric.observed.as_ref());
    let observed = observed.expect("the histogram's values");
    assert_eq!(
        (observed.cumulative[2], observed.cumulative[3]),
        (0, 2),
        "up to 4 and 8"
    );
    assert!((observed.sum - 10.0).abs() < f64::EPSILON);
    let values: Vec<_> = metrics
        .into_iter()
        .map(|metric| (metric.name, metric.kind, metric.value))
        .collect();
    let expected = [
        ("counter", MetricKind::Counter, 10),
        ("gauge", MetricKind::Gauge, 7),
        ("histogram", MetricKind::Histogram, 0),
    ];
    assert_eq!(
        values,
        expected.map(|(name, kind, value)| (name.to_owned(), kind, value))
    );
}
