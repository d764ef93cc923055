//! What a header filter costs: six callbacks (two in a component) and four header calls per exchange.

#![allow(clippy::expect_used, reason = "a benchmark stops where it cannot go on")]

use std::path::Path;
use std::sync::Arc;
use tidegate_plugin::services::Services;
use tidegate_plugin::{Direction, Exchange, Filter};
use tidegate_wasm::testing::exchange;
use tidegate_wasm::{
    EngineSettings, FilterEngine, FilterHost, FilterKind, FilterMeta, FilterModule, FilterOptions,
    HostLimits, Isolation, ModuleLimits, WasmFilter,
};

const GUEST: &str = r#"(module
    (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "x-firstx-secondvalue")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_context_create") (param i32 i32))
    (func $both (param $map i32) (result i32)
      (drop (call $add (local.get $map) (i32.const 100) (i32.const 7) (i32.const 115) (i32.const 5)))
      (drop (call $add (local.get $map) (i32.const 107) (i32.const 8) (i32.const 115) (i32.const 5)))
      (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $both (i32.const 0)))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (call $both (i32.const 2)))
    (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
    (func (export "proxy_on_log") (param i32))
    (func (export "proxy_on_delete") (param i32)))"#;

fn main() {
    divan::main();
}

fn filter(isolation: Isolation) -> Arc<WasmFilter> {
    // A module of one's own may be given by path, with its configuration.
    let wasm = match std::env::var("TIDEGATE_BENCH_FILTER") {
        Ok(path) => std::fs::read(path).expect("a module"),
        Err(_) => wat::parse_str(GUEST).expect("a module"),
    };
    attached(&wasm, isolation, &serde_json::json!("value"))
}

fn attached(wasm: &[u8], isolation: Isolation, config: &serde_json::Value) -> Arc<WasmFilter> {
    let engine = FilterEngine::new(EngineSettings::default()).expect("an engine");
    let host =
        FilterHost::new(engine, Arc::new(Services::detached()), HostLimits::default()).expect("a host");
    let module = FilterModule::load(host.engine(), None, wasm, ModuleLimits::default()).expect("a filter");
    let kind = FilterKind::new(
        &host,
        "bench",
        module,
        FilterMeta::default(),
        FilterOptions::default(),
    );
    let options = FilterOptions {
        isolation,
        ..FilterOptions::default()
    };
    kind.attach_unchecked(config, options).expect("a filter")
}

fn serve(filter: &WasmFilter, x: &mut Exchange) {
    let mut run = filter.start(x).expect("started").expect("a run");
    let _ = run.head(x, Direction::Request, true);
    let _ = run.head(x, Direction::Response, true);
    run.finish(x);
    // The exchange is used again: what the filter added goes.
    x.request.headers.clear();
    x.response.headers.clear();
}

#[divan::bench(args = [Isolation::Pooled, Isolation::Shared, Isolation::Request])]
fn header_filter(bencher: divan::Bencher<'_, '_>, isolation: Isolation) {
    let filter = filter(isolation);
    let mut x = exchange("GET", "/");
    bencher.bench_local(|| serve(&filter, &mut x));
}

/// As many exchanges in flight, each on an instance of its own: what one costs when the others were in the caches.
#[divan::bench(args = [1, 16, 64, 256, 1_000])]
fn header_filter_in_flight(bencher: divan::Bencher<'_, '_>, in_flight: usize) {
    let filter = filter(Isolation::Pooled);
    let mut exchanges: Vec<_> = (0..in_flight).map(|_| (exchange("GET", "/"), None)).collect();
    bencher
        .counter(divan::counter::ItemsCount::new(in_flight))
        .bench_local(|| {
            for (x, run) in &mut exchanges {
                let mut started = filter.start(x).expect("started").expect("a run");
                let _ = started.head(x, Direction::Request, true);
                *run = Some(started);
            }
            for (x, run) in &mut exchanges {
                let mut run = run.take().expect("started");
                let _ = run.head(x, Direction::Response, true);
                run.finish(x);
                x.request.headers.clear();
                x.response.headers.clear();
            }
        });
}

/// The same edits by a component in Rust, heads alone.
#[divan::bench(args = [Isolation::Pooled, Isolation::Request])]
fn header_component(bencher: divan::Bencher<'_, '_>, isolation: Isolation) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/header-component");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let built = tidegate_filter_build::build(&package, Some(&target)).expect("a component");
    let wasm = std::fs::read(built.first().expect("one component")).expect("it can be read");
    let filter = attached(&wasm, isolation, &serde_json::Value::Null);
    let mut x = exchange("GET", "/");
    bencher.bench_local(|| serve(&filter, &mut x));
}

/// The same edits by a native plugin.
#[divan::bench]
fn native_edits(bencher: divan::Bencher<'_, '_>) {
    let mut x = exchange("GET", "/");
    bencher.bench_local(|| {
        for headers in [&mut x.request.headers, &mut x.response.headers] {
            for name in ["x-first", "x-second"] {
                let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
                headers.append(name, http::HeaderValue::from_bytes(b"value").expect("a value"));
            }
            headers.clear();
        }
    });
}
