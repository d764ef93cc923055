use super::*;

/// Adds the configuration as a request header, calls `auth` when it is configured with `call`, counts ticks.
const GUEST: &str = r#"(module
    (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_tick_period_milliseconds" (func $period (param i32) (result i32)))
    (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
    (memory (export "memory") 2)
    (data (i32.const 100) "x-configticks")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $get (i32.const 7) (i32.const 0) (i32.const 1000) (i32.const 16) (i32.const 20)))
      (drop (call $define (i32.const 0) (i32.const 108) (i32.const 5) (i32.const 24)))
      (drop (call $period (i32.const 1000)))
      (i32.gt_u (local.get 1) (i32.const 2)))
    (func (export "proxy_on_tick") (param i32)
      (drop (call $increment (i32.load (i32.const 24)) (i64.const 1))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (call $add (i32.const 0) (i32.const 100) (i32.const 8) (i32.load (i32.const 16)) (i32.load (i32.const 20)))))"#;

fn harness() -> Harness {
    let wasm = wat::parse_str(GUEST).unwrap();
    Harness::from_bytes("guest", &wasm, FilterMeta::default()).unwrap()
}

#[test]
fn a_request_shows_what_the_configured_filter_did() {
    let request = Request::get("/a?b=1").upstream(Response::new(201).header("a", "b").body("x").body("y"));
    let passed = harness().config("on!").request(request);
    let passed = passed
        .expect_header("x-config", "on!")
        .expect_header("host", "gateway.test")
        .expect_no_header("other")
        .expect_status(201)
        .expect_response_header("a", "b")
        .expect_no_response_header("b")
        .expect_body("xy");
    assert_eq!((passed.target(), passed.is_forwarded()), ("/a?b=1", true));
    assert_eq!(passed.failure(), None);
}

#[test]
#[should_panic(expected = "request header x-config")]
fn an_expectation_that_does_not_hold_fails_the_test() {
    let _ = harness()
        .config("on!")
        .request(Request::get("/"))
        .expect_header("x-config", "off");
}

#[test]
fn a_refused_configuration_says_so_and_a_new_one_takes_its_place() {
    let mut harness = harness();
    assert!(harness.refusal().is_some(), "an empty configuration is refused");
    let mut harness = harness.config("one");
    assert_eq!(harness.refusal(), None);
    harness
        .request(Request::get("/"))
        .expect_header("x-config", "one");
    let mut harness = harness.config("two");
    harness
        .request(Request::get("/"))
        .expect_header("x-config", "two");
}

#[test]
fn ticks_follow_the_time_of_the_test() {
    let mut harness = harness().config("on!");
    harness.advance(Duration::from_millis(900));
    assert_eq!(harness.metric("ticks"), Some(0));
    harness.advance(Duration::from_hours(1));
    assert_eq!(harness.metric("ticks"), Some(3_600));
    assert_eq!(harness.metric("other"), None);
}

#[test]
fn what_is_no_filter_is_refused_with_its_reason() {
    let error = Harness::from_bytes("guest", b"text", FilterMeta::default())
        .err()
        .unwrap();
    assert!(error.to_string().starts_with("guest: not a WebAssembly module"));
    let error = Harness::load("/no/such/file.wasm").err().unwrap();
    assert!(error.to_string().starts_with("/no/such/file.wasm: "));
}
