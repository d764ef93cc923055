use crate::support::{GOT, Guest, OUT, World, drive, drive_exchange, fine, received, sent};
use tidegate_wasm::FilterOptions;
use tidegate_wasm::testing::exchange;

#[test]
fn headers_are_added_replaced_and_removed_in_place() {
    let mut guest = Guest::new();
    let [a, b, c, one, two, three] = ["x-a", "X-B", "x-c", "1", "2", "3"].map(|text| guest.text(text));
    let edit = |map: i32| {
        format!(
            "(call $ok (call $add_header_map_value (i32.const {map}) {a} {one}))
             (call $ok (call $add_header_map_value (i32.const {map}) {a} {two}))
             (call $ok (call $replace_header_map_value (i32.const {map}) {b} {three}))
             (call $ok (call $remove_header_map_value (i32.const {map}) {c}))
             (call $ok (call $remove_header_map_value (i32.const {map}) {c}))"
        )
    };
    let (request, response) = (edit(0), edit(2));
    let guest = guest
        .on("request_headers", &request, 0)
        .on("response_headers", &response, 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| {
        drive
            .header("x-b", "old")
            .header("x-c", "old")
            .response_header("x-b", "old")
            .response_header("x-c", "old")
    }));
    for headers in [&outcome.upstream_headers, &outcome.x.response.headers] {
        let values: Vec<_> = headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!(headers["x-b"], "3");
        assert!(!headers.contains_key("x-c"));
    }
}

#[test]
fn pseudo_headers_are_read_and_written() {
    let mut guest = Guest::new();
    let [authority, scheme, method, path, host] =
        [":authority", ":scheme", ":method", ":path", "host"].map(|text| guest.text(text));
    let [sa, ss, sm, sp, sh] =
        ["s-authority", "s-scheme", "s-method", "s-path", "s-host"].map(|text| guest.text(text));
    let [new_path, post, new_host] = ["/new?x=y", "POST", "other.test"].map(|text| guest.text(text));
    let show = |key: &str, name: &str| {
        format!(
            "(call $ok (call $get_header_map_value (i32.const 0) {key} {OUT})) (call $show (i32.const 0) {name} {GOT})"
        )
    };
    let read = [
        (&authority, &sa),
        (&scheme, &ss),
        (&method, &sm),
        (&path, &sp),
        (&host, &sh),
    ]
    .map(|(key, name)| show(key, name))
    .concat();
    let again = guest.text("s-again");
    let write = format!(
        "(call $ok (call $replace_header_map_value (i32.const 0) {path} {new_path}))
         (call $ok (call $replace_header_map_value (i32.const 0) {method} {post}))
         (call $ok (call $replace_header_map_value (i32.const 0) {authority} {new_host}))
         {}",
        show(&path, &again)
    );
    let status = guest.text(":status");
    let teapot = guest.text("418");
    let guest = guest.on("request_headers", &format!("{read}{write}"), 0).on(
        "response_headers",
        &format!("(call $ok (call $replace_header_map_value (i32.const 2) {status} {teapot}))"),
        0,
    );
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| drive));
    let expected = [
        ("s-authority", "gateway.test"),
        ("s-scheme", "http"),
        ("s-method", "GET"),
        ("s-path", "/path?q=1"),
        ("s-host", "gateway.test"),
        ("s-again", "/new?x=y"),
    ];
    for (name, value) in expected {
        assert_eq!(sent(&outcome, name), Some(value), "{name}");
    }
    assert_eq!(outcome.x.upstream.path, "/new");
    assert_eq!(outcome.x.query(), Some("x=y"));
    assert_eq!(outcome.x.upstream_method(), "POST");
    assert_eq!(
        outcome
            .x
            .upstream
            .host_header
            .as_ref()
            .map(|host| host.as_bytes()),
        Some(&b"other.test"[..])
    );
    assert_eq!(outcome.x.response.status, 418);
}

#[test]
fn a_missing_key_is_not_found_and_an_empty_value_is_empty() {
    let mut guest = Guest::new();
    let [missing, empty] = ["x-missing", "x-empty"].map(|text| guest.text(text));
    let statements = format!(
        "(call $want (call $get_header_map_value (i32.const 0) {missing} {OUT}) (i32.const 1))
         (i32.store (i32.const 16) (i32.const 7))
         (call $ok (call $get_header_map_value (i32.const 0) {empty} {OUT}))
         (call $want (i32.load (i32.const 16)) (i32.const 0))
         (call $want (i32.load (i32.const 20)) (i32.const 0))"
    );
    let guest = guest.on("request_headers", &statements, 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    fine(drive(&filter, |drive| drive.header("x-empty", "")));
}

#[test]
fn a_whole_map_is_read_and_written_back() {
    let mut guest = Guest::new();
    let new = guest.pairs(&[("x-new", "1"), (":path", "/new"), ("x-new", "2")]);
    let copy = format!(
        "(call $ok (call $get_header_map_pairs (i32.const 0) {OUT}))
         (call $want (i32.load (i32.load (i32.const 16))) (i32.const 6))
         (call $want (i32.const 6) (local.get $1))
         (call $ok (call $set_header_map_pairs (i32.const 0) {GOT}))
         (call $ok (call $get_header_map_size (i32.const 0) (i32.const 24)))
         (call $want (i32.load (i32.const 24)) (i32.load (i32.const 20)))"
    );
    let replace = format!("(call $ok (call $set_header_map_pairs (i32.const 2) {new}))");
    let guest = guest.on("request_headers", &copy, 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| {
        drive.header("x-a", "1").header("x-a", "2")
    }));
    assert_eq!(outcome.upstream_headers.get_all("x-a").iter().count(), 2);
    assert_eq!(sent(&outcome, "host"), Some("gateway.test"), "the host stays");

    let mut guest = Guest::new();
    let pairs = guest.pairs(&[("x-new", "1"), ("x-new", "2")]);
    let guest = guest.on("response_headers", &replace.replace(&new, &pairs), 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| drive.response_header("x-old", "1")));
    assert_eq!(received(&outcome, "x-old"), None);
    assert_eq!(outcome.x.response.headers.get_all("x-new").iter().count(), 2);
}

#[test]
fn a_broken_encoding_or_header_is_refused_and_changes_nothing() {
    let mut guest = Guest::new();
    let broken = guest.bytes(&[9, 0, 0, 0, 1]);
    let [key, good, bad_name, bad_value] = ["x-a", "1", "x a", "1\r\nx-b: 2"].map(|text| guest.text(text));
    let bad_pairs = guest.pairs(&[("x-ok", "1"), ("x bad", "1")]);
    let [path, not_a_path, unknown] = [":path", "no slash", ":unknown"].map(|text| guest.text(text));
    let statements = format!(
        "(call $want (call $set_header_map_pairs (i32.const 0) {broken}) (i32.const 2))
         (call $want (call $set_header_map_pairs (i32.const 0) {bad_pairs}) (i32.const 2))
         (call $want (call $add_header_map_value (i32.const 0) {bad_name} {good}) (i32.const 2))
         (call $want (call $add_header_map_value (i32.const 0) {key} {bad_value}) (i32.const 2))
         (call $want (call $replace_header_map_value (i32.const 0) {path} {not_a_path}) (i32.const 2))
         (call $want (call $replace_header_map_value (i32.const 0) {unknown} {good}) (i32.const 2))
         (call $want (call $add_header_map_value (i32.const 8) {key} {good}) (i32.const 2))
         (call $want (call $get_header_map_pairs (i32.const -1) {OUT}) (i32.const 2))"
    );
    let guest = guest.on("request_headers", &statements, 0);
    let filter = World::new().filter(&guest, FilterOptions::default());
    let outcome = fine(drive(&filter, |drive| drive.header("x-kept", "1")));
    assert_eq!(sent(&outcome, "x-kept"), Some("1"));
    assert_eq!(outcome.upstream_headers.len(), 2, "kept and host");
}

#[test]
fn a_write_without_effect_is_ignored_or_refused_as_the_attachment_says() {
    for (strict, status) in [(false, 0), (true, 2)] {
        let mut guest = Guest::new();
        let [key, value] = ["x-late", "1"].map(|text| guest.text(text));
        let add = |map: i32| {
            format!(
                "(call $want (call $add_header_map_value (i32.const {map}) {key} {value}) (i32.const {status}))"
            )
        };
        let (request, response) = (add(0), add(2));
        let guest = guest
            .on("request_headers", &response, 0)
            .on("response_headers", &request, 0)
            .on("response_body", &response, 0)
            .on("log", &format!("{request}{response}"), 0);
        let options = FilterOptions {
            strict_phases: strict,
            ..FilterOptions::default()
        };
        let filter = World::new().filter(&guest, options);
        let outcome = fine(drive(&filter, |drive| drive.response_chunk("body")));
        assert_eq!(sent(&outcome, "x-late"), None);
        assert_eq!(received(&outcome, "x-late"), None);
    }
}

#[test]
fn header_maps_stay_within_their_bounds() {
    let mut guest = Guest::new();
    let [key, value] = ["x-a", "0123456789"].map(|text| guest.text(text));
    let statements = format!(
        "(local $i i32) (local $status i32)
         (loop $more
           (local.set $status (call $add_header_map_value (i32.const 0) {key} {value}))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $more (i32.and (i32.eqz (local.get $status)) (i32.lt_u (local.get $i) (i32.const 1000)))))
         (call $want (local.get $status) (i32.const 2))"
    );
    let guest = guest.on("request_headers", &statements, 0);
    for (max_headers, max_header_bytes, expected) in [(20, 1 << 20, 19), (1_024, 150, 10)] {
        let options = FilterOptions {
            max_headers,
            max_header_bytes,
            ..FilterOptions::default()
        };
        let filter = World::new().filter(&guest, options);
        let outcome = fine(drive_exchange(&filter, exchange("GET", "/"), |drive| drive));
        assert_eq!(outcome.upstream_headers.get_all("x-a").iter().count(), expected);
    }
}

#[test]
fn version_0_1_0_has_two_parameters_and_knows_no_missing_value() {
    let wat = r#"(module
        (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_continue_request" (func $continue_request))
        (import "env" "proxy_clear_route_cache" (func $clear))
        (memory (export "memory") 1)
        (data (i32.const 100) "x-a1")
        (func (export "proxy_abi_version_0_1_0"))
        (func (export "malloc") (param i32) (result i32) (i32.const 200))
        (func (export "proxy_on_request_headers") (param i32 i32) (result i32)
          (call $continue_request) (call $clear)
          (if (call $get (i32.const 0) (i32.const 100) (i32.const 3) (i32.const 16) (i32.const 20)) (then (unreachable)))
          (drop (call $add (i32.const 0) (i32.const 100) (i32.const 3) (i32.const 103) (i32.const 1)))
          (i32.const 0)))"#;
    let world = World::new();
    let kind = world.kind_of(&wat::parse_str(wat).expect("a module"));
    let filter = kind
        .attach_unchecked(&serde_json::Value::Null, FilterOptions::default())
        .expect("a filter");
    let outcome = fine(drive(&filter, |drive| drive));
    assert_eq!(sent(&outcome, "x-a"), Some("1"));
}
