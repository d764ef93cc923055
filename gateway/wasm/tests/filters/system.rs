use crate::support::{GOT, Guest, OUT, World, drive, fine, sent};
use serde_json::{Value, json};
use tidegate_wasm::FilterOptions;

#[test]
fn configuration_is_given_as_text_or_json() {
    for (config, expected) in [
        (json!("plain text"), "plain text"),
        (json!({"a": [1]}), r#"{"a":[1]}"#),
        (Value::Null, ""),
    ] {
        let mut guest = Guest::new();
        let key = guest.text("x-config");
        let read = format!(
            "(call $ok (call $get_buffer_bytes (i32.const 7) (i32.const 0) (local.get $1) {OUT}))
             (i32.store (i32.const 40) (i32.load (i32.const 16))) (i32.store (i32.const 44) (i32.load (i32.const 20)))
             (call $ok (call $get_configuration {OUT}))
             (call $want (i32.load (i32.const 20)) (i32.load (i32.const 44)))"
        );
        let show =
            format!("(call $show (i32.const 0) {key} (i32.load (i32.const 40)) (i32.load (i32.const 44)))");
        let guest = guest.on("configure", &read, 1).on("request_headers", &show, 0);
        let filter = World::new().configured(&guest, &config, FilterOptions::default());
        assert_eq!(
            sent(&fine(drive(&filter, |drive| drive)), "x-config"),
            Some(expected)
        );
    }
}

#[test]
fn foreign_functions_compress_and_refuse_what_is_unknown() {
    let mut guest = Guest::new();
    let [compress, uncompress, clear, unknown, text, shown] = [
        "compress",
        "uncompress",
        "clear_route_cache",
        "nothing",
        "some text",
        "x-text",
    ]
    .map(|text| guest.text(text));
    let statements = format!(
        "(call $ok (call $call_foreign_function {compress} {text} {OUT}))
         (call $ok (call $call_foreign_function {uncompress} {GOT} {OUT}))
         (call $show (i32.const 0) {shown} {GOT})
         (call $want (call $call_foreign_function {uncompress} {text} {OUT}) (i32.const 3))
         (call $ok (call $call_foreign_function {clear} {text} (i32.const 0) (i32.const 0)))
         (call $want (call $call_foreign_function {unknown} {text} {OUT}) (i32.const 1))"
    );
    let filter = World::new().filter(
        &guest.on("request_headers", &statements, 0),
        FilterOptions::default(),
    );
    assert_eq!(
        sent(&fine(drive(&filter, |drive| drive)), "x-text"),
        Some("some text")
    );
}

#[test]
fn log_levels_and_the_clock_answer() {
    let mut guest = Guest::new();
    let line = guest.text("line");
    let statements = format!(
        "(call $want (call $log (i32.const 6) {line}) (i32.const 2))
         (call $want (call $log (i32.const -1) {line}) (i32.const 2))
         (call $ok (call $log (i32.const 2) {line}))
         (call $ok (call $get_log_level (i32.const 24)))
         (call $ok (i32.gt_u (i32.load (i32.const 24)) (i32.const 5)))
         (call $ok (call $get_current_time_nanoseconds (i32.const 32)))
         (call $ok (i64.lt_u (i64.load (i32.const 32)) (i64.const 1600000000000000000)))"
    );
    let filter = World::new().filter(
        &guest.on("request_headers", &statements, 0),
        FilterOptions::default(),
    );
    fine(drive(&filter, |drive| drive));
}

#[test]
fn wasi_answers_under_both_names() {
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        let wat = format!(
            r#"(module
            (import "{module}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "{module}" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
            (import "{module}" "environ_get" (func $environ (param i32 i32) (result i32)))
            (import "{module}" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
            (import "{module}" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
            (import "{module}" "random_get" (func $random (param i32 i32) (result i32)))
            (import "{module}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "{module}" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
            (import "{module}" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
            (import "{module}" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "{module}" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
            (import "{module}" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "\40\00\00\00\05\00\00\00")
            (data (i32.const 64) "line\n")
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) (i32.const 200))
            (func $want (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then (unreachable))))
            (func (export "_start") (call $exit (i32.const 0)))
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
              (call $want (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)) (i32.const 0))
              (call $want (i32.load (i32.const 32)) (i32.const 5))
              (call $want (call $write (i32.const 3) (i32.const 8) (i32.const 1) (i32.const 32)) (i32.const 8))
              (call $want (call $write (i32.const 1) (i32.const 70000) (i32.const 1) (i32.const 32)) (i32.const 21))
              (call $want (call $environ_sizes (i32.const 32) (i32.const 36)) (i32.const 0))
              (call $want (i32.load (i32.const 32)) (i32.const 1))
              (call $want (i32.load (i32.const 36)) (i32.const 4))
              (call $want (call $environ (i32.const 32) (i32.const 100)) (i32.const 0))
              (call $want (i32.load (i32.const 100)) (i32.const 0x00623d61))
              (call $want (call $args_sizes (i32.const 32) (i32.const 36)) (i32.const 0))
              (call $want (call $clock (i32.const 1) (i64.const 0) (i32.const 40)) (i32.const 0))
              (call $want (call $clock (i32.const 7) (i64.const 0) (i32.const 40)) (i32.const 58))
              (call $want (call $random (i32.const 300) (i32.const 32)) (i32.const 0))
              (call $want (call $random (i32.const 300) (i32.const 65537)) (i32.const 28))
              (call $want (call $poll (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)) (i32.const 0))
              (call $want (call $prestat (i32.const 3) (i32.const 32)) (i32.const 8))
              (call $want (call $fdstat (i32.const 1) (i32.const 400)) (i32.const 0))
              (call $want (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)) (i32.const 44))
              (call $want (call $recv (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (i32.const 58))
              (i32.const 0))
            (func (export "proxy_on_log") (param i32) (call $exit (i32.const 3))))"#
        );
        let world = World::new();
        let options = FilterOptions {
            environment: [("a".to_owned(), "b".to_owned())].into(),
            ..FilterOptions::default()
        };
        let filter = world
            .kind_of(&wat::parse_str(&wat).expect("a module"))
            .attach_unchecked(&Value::Null, options)
            .expect("a filter");
        fine(drive(&filter, |drive| drive));
        let failures = world.host.failures();
        assert_eq!(failures.len(), 1, "{}", failures[0].report);
        assert_eq!(failures[0].kind, tidegate_wasm::FailureKind::Exit);
    }
}
