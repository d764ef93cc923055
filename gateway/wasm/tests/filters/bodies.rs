use crate::support::{GOT, Guest, OUT, World, drive, fine, received, sent};
use http::{HeaderMap, StatusCode};
use tidegate_wasm::{FailurePolicy, FilterOptions, HeadersPause};

#[test]
fn a_body_is_read_and_replaced_as_it_passes() {
    let mut guest = Guest::new();
    let [new, tail, head] = ["new", "!", ">"].map(|text| guest.text(text));
    let guest = guest
        .on(
            "request_body",
            &format!("(call $ok (call $set_buffer_bytes (i32.const 0) (i32.const 0) (local.get $1) {new}))"),
            0,
        )
        .on(
            "response_body",
            &format!(
                "(call $ok (call $set_buffer_bytes (i32.const 1) (i32.const -1) (i32.const 0) {tail}))
                 (call $ok (call $set_buffer_bytes (i32.const 1) (i32.const 0) (i32.const 0) {head}))"
            ),
            0,
        );
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| {
        drive
            .chunk("one")
            .chunk("two")
            .response_chunk("a")
            .response_chunk("b")
    }));
    assert_eq!(outcome.upstream.expect("went upstream").0, "newnew");
    assert_eq!(outcome.body, ">a!>b!");
}

#[test]
fn a_paused_body_is_gathered_and_its_length_follows() {
    let mut guest = Guest::new();
    let new = guest.text("rewritten");
    // Pauses until the end, then replaces everything.
    let gather = format!(
        "(if (i32.eqz (local.get $2)) (then (return (i32.const 1))))
         (call $want (local.get $1) (i32.const 6))
         (call $ok (call $set_buffer_bytes (i32.const 1) (i32.const 0) (local.get $1) {new}))"
    );
    let guest = guest
        .on("response_headers", "", 1)
        .on("response_body", &gather, 0);
    let options = FilterOptions {
        headers_pause: HeadersPause::BufferBody,
        ..FilterOptions::default()
    };
    let filter = World::new().filter(&guest, options);
    let outcome = fine(drive(&filter, |drive| {
        drive
            .response_header("content-length", "6")
            .response_chunk("one")
            .response_chunk("two")
    }));
    assert_eq!(outcome.body, "rewritten");
    assert_eq!(received(&outcome, "content-length"), Some("9"));
}

#[test]
fn a_changed_length_that_was_announced_resets_the_stream() {
    let mut guest = Guest::new();
    let new = guest.text("longer than announced");
    let guest = guest.on(
        "response_body",
        &format!("(call $ok (call $set_buffer_bytes (i32.const 1) (i32.const 0) (local.get $1) {new}))"),
        0,
    );
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = drive(&filter, |drive| {
        drive.response_header("content-length", "3").response_chunk("one")
    });
    assert!(outcome.is_reset);
    let outcome = drive(&filter, |drive| drive.response_chunk("one"));
    assert_eq!(outcome.body, "longer than announced");
}

#[test]
fn a_filter_that_holds_back_too_much_ends_by_its_policy() {
    let guest = Guest::new().on("request_body", "", 1).on("response_body", "", 1);
    let options = |failure_policy| FilterOptions {
        max_body_bytes: 5,
        failure_policy,
        ..FilterOptions::default()
    };
    let world = World::new();
    let closed = world.filter(&guest, options(FailurePolicy::Closed));
    let outcome = drive(&closed, |drive| drive.chunk("123").chunk("456"));
    assert_eq!(
        outcome.fault.expect("a fault").status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let open = world.filter(&guest, options(FailurePolicy::Open));
    let outcome = fine(drive(&open, |drive| {
        drive.chunk("123").chunk("456").chunk("789").response_chunk("abc")
    }));
    assert_eq!(outcome.upstream.expect("went upstream").0, "123456789");
    assert_eq!(outcome.body, "abc");
}

#[test]
fn buffers_are_seen_only_in_their_phase_and_within_their_length() {
    let mut guest = Guest::new();
    let value = guest.text("x");
    let get = |buffer: i32, start: i32, max: i32, status: i32| {
        format!(
            "(call $want (call $get_buffer_bytes (i32.const {buffer}) (i32.const {start}) (i32.const {max}) {OUT}) (i32.const {status}))"
        )
    };
    let head = [
        get(0, 0, 10, 1),
        get(1, 0, 10, 1),
        get(2, 0, 10, 1),
        get(4, 0, 10, 1),
        get(9, 0, 10, 2),
    ]
    .concat();
    let body = format!(
        "{} (call $want (i32.load (i32.const 20)) (i32.const 2))
         {} (call $want (i32.load (i32.const 16)) (i32.const 0)) (call $want (i32.load (i32.const 20)) (i32.const 0))
         {}
         (call $ok (call $get_buffer_status (i32.const 0) (i32.const 24) (i32.const 28)))
         (call $want (i32.load (i32.const 24)) (i32.const 4))
         (call $want (call $get_buffer_status (i32.const 1) (i32.const 24) (i32.const 28)) (i32.const 1))",
        get(0, 2, 10, 0),
        get(0, 9, 1, 0),
        get(0, -1, 2, 2),
    );
    let log = format!(
        "{} (call $ok (call $set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) {value}))",
        get(0, 0, 10, 1)
    );
    let guest = guest
        .on("request_headers", &head, 0)
        .on("request_body", &body, 0)
        .on("log", &log, 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| drive.chunk("abcd")));
    assert_eq!(outcome.upstream.expect("went upstream").0, "abcd");
}

#[test]
fn trailers_are_read_changed_and_added() {
    let mut guest = Guest::new();
    let [key, value, seen] = ["x-sum", "1", "x-seen"].map(|text| guest.text(text));
    let copy = format!(
        "(call $ok (call $get_header_map_value (i32.const 1) {key} {OUT})) (call $show (i32.const 1) {seen} {GOT})
         (call $want (local.get $1) (i32.const 1))"
    );
    let add = format!(
        "(if (local.get $2) (then (call $ok (call $add_header_map_value (i32.const 3) {key} {value}))))"
    );
    let early = format!("(call $ok (call $add_header_map_value (i32.const 1) {key} {value}))");
    let guest = guest
        .on("request_headers", &early, 0)
        .on("request_trailers", &copy, 0)
        .on("response_body", &add, 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |mut drive| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "7".parse().expect("a value"));
        drive.request.trailers = Some(trailers);
        drive.chunk("body").response_chunk("body")
    }));
    let trailers = outcome.upstream.expect("went upstream").1.expect("trailers");
    assert_eq!(
        (&trailers["x-sum"], &trailers["x-seen"], trailers.len()),
        (&"7".parse().expect("a value"), &"7".parse().expect("a value"), 2)
    );
    assert_eq!(outcome.trailers.expect("added trailers")["x-sum"], "1");
}

#[test]
fn the_end_of_a_stream_is_told_once_also_when_it_comes_late() {
    let mut guest = Guest::new();
    let key = guest.text("x-end");
    let digits = guest.text("01");
    let digits = digits.split(')').next().expect("an address").to_owned() + ")";
    let record = "(global.set $count (i32.add (global.get $count) (local.get $2)))
         (if (local.get $2) (then (call $want (local.get $1) (i32.const 0))))";
    let show =
        format!("(call $show (i32.const 2) {key} (i32.add {digits} (global.get $count)) (i32.const 1))");
    let guest = guest
        .with("(global $count (mut i32) (i32.const 0))")
        .on("request_headers", "(call $ok (local.get $2))", 0)
        .on("request_body", record, 0)
        .on("response_headers", &show, 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |mut drive| {
        drive.request.ends_late = true;
        drive.chunk("a").chunk("b")
    }));
    assert_eq!(received(&outcome, "x-end"), Some("1"));
    assert_eq!(sent(&outcome, "x-end"), None);
}

#[test]
fn a_head_can_end_the_message() {
    let guest = Guest::new()
        .on("request_headers", "", 2)
        .on("request_body", "(unreachable)", 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| drive.chunk("dropped")));
    assert_eq!(outcome.upstream.expect("went upstream").0, "");
}
