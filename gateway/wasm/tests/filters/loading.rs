use crate::support::{Guest, World, drive, fine};
use serde_json::{Value, json};
use tidegate_plugin::{Filter, Kind};
use tidegate_wasm::{FilterKind, FilterMeta, FilterModule, FilterOptions, ModuleLimits};

const MARKER: &str = r#"(func (export "proxy_abi_version_0_2_1")) (memory (export "memory") 1)"#;

fn attach(wat: &str, options: FilterOptions) -> Result<std::sync::Arc<tidegate_wasm::WasmFilter>, String> {
    let kind = World::new().kind_of(&wat::parse_str(wat).expect("a module"));
    kind.attach_unchecked(&Value::Null, options)
        .map_err(|error| error.to_string())
}

#[test]
fn unknown_imports_are_stood_in_for() {
    let wat = format!(
        r#"(module
        (import "env" "proxy_of_the_future" (func $future (param i32) (result i32)))
        (import "env" "emscripten_notify_memory_growth" (func $notify (param i32)))
        {MARKER}
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (if (i32.ne (call $future (i32.const 1)) (i32.const 12)) (then (unreachable)))
          (i32.const 0))
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
          (call $notify (i32.const 0)) (i32.const 0)))"#
    );
    let filter = attach(&wat, FilterOptions::default()).expect("it loads");
    let fault = drive(&filter, |drive| drive);
    assert!(
        fault.upstream.is_some() && fault.fault.is_some(),
        "only a call of the unknown import ends the guest"
    );
}

#[test]
fn an_import_of_another_type_is_refused() {
    let wat = format!(r#"(module (import "env" "proxy_log" (func (param i64))) {MARKER})"#);
    let refusal = attach(&wat, FilterOptions::default()).err().expect("a refusal");
    assert!(refusal.contains("proxy_log"), "{refusal}");
}

#[test]
fn what_is_not_granted_does_nothing() {
    let mut guest = Guest::new();
    let line = guest.text("line");
    let guest = guest
        .on(
            "request_headers",
            &format!("(call $want (call $log (i32.const 2) {line}) (i32.const 10))"),
            0,
        )
        .on("response_headers", "(unreachable)", 0);
    let options = FilterOptions {
        capabilities: Some(["proxy_on_request_headers".to_owned()].into()),
        ..FilterOptions::default()
    };
    let filter = World::new().filter(&guest, options);
    fine(drive(&filter, |drive| drive));
    assert!(!filter.needs().response_body);
}

#[test]
fn the_schema_refuses_a_configuration_before_a_guest_runs() {
    let world = World::new();
    let guest = Guest::new().on("configure", "(unreachable)", 1);
    let wasm = wat::parse_str(guest.wat()).expect("a module");
    let module =
        FilterModule::load(world.host.engine(), None, &wasm, ModuleLimits::default()).expect("a module");
    let meta =
        json!({ "config_schema": { "type": "object", "properties": { "limit": { "type": "integer" } } } });
    let meta = FilterMeta::parse(meta.to_string().as_bytes()).expect("metadata");
    let kind = FilterKind::new(&world.host, "limited", module, meta, FilterOptions::default());
    assert_eq!(kind.name(), "limited");
    assert_eq!(
        kind.schema()
            .fields
            .iter()
            .map(|field| field.name)
            .collect::<Vec<_>>(),
        ["limit"]
    );
    let refusal = kind
        .attach(&json!({ "limit": "x" }), FilterOptions::default())
        .err()
        .expect("a refusal");
    assert_eq!(refusal.path, "config.limit");
    let refusal = kind
        .attach(&json!({ "limit": 1 }), FilterOptions::default())
        .err()
        .expect("a refusal");
    assert!(refusal.message.contains("unreachable"), "{refusal}");
}

#[test]
fn bodies_and_trailers_are_asked_for_only_with_a_callback() {
    let guest = Guest::new().on("request_body", "(nop)", 0);
    let needs = World::new().filter(&guest, FilterOptions::default()).needs();
    assert!(
        needs.request_body && !needs.response_body && !needs.request_trailers && !needs.response_trailers
    );
}

#[test]
fn callbacks_that_do_nothing_are_asked_for_nothing() {
    let guest = Guest::new()
        .on("request_body", "", 0)
        .on("done", "", 1)
        .on("log", "", 0)
        .on("response_body", "", 1);
    let needs = World::new().filter(&guest, FilterOptions::default()).needs();
    assert!(needs.response_body, "it pauses the body");
    assert!(!needs.request_body && !needs.end);
}

#[test]
fn a_module_that_starts_with_more_memory_than_it_may_have_is_refused() {
    let options = FilterOptions {
        max_memory_bytes: 65_535,
        ..FilterOptions::default()
    };
    let refusal = attach(&format!("(module {MARKER})"), options)
        .err()
        .expect("a refusal");
    assert!(refusal.contains("65536 bytes of memory"), "{refusal}");
}
