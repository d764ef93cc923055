//! Components that bring a language's runtime have an engine of their own.

use crate::support::block_on;
use serde_json::Value;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tidegate_plugin::Filter;
use tidegate_plugin::services::Services;
use tidegate_wasm::{
    EngineSettings, FilterEngine, FilterHost, FilterKind, FilterMeta, FilterModule, FilterOptions,
    HeavySettings, HostLimits, LoadError, ModuleLimits, WasmFilter,
};

const MIB: usize = 1 << 20;
const PAGES_OF_MIB: usize = 16;

/// A component with so many MiB of memory, of which `configure` does something that leaves nothing on the stack.
fn component(mib: usize, configure: &str) -> Vec<u8> {
    let pages = mib * PAGES_OF_MIB;
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") {pages})
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                (func (export "configure") (param i32 i32) (result i32) {configure} i32.const 16)
                (func (export "tick")))
            (core instance $i (instantiate $m))
            (func $configure (param "config" string) (result (result (error string)))
                (canon lift (core func $i "configure") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
            (instance $l (export "configure" (func $configure)))
            (export "tidegate:filter/lifecycle@0.1.0" (instance $l))
            (func $tick (canon lift (core func $i "tick")))
            (instance $t (export "on-tick" (func $tick)))
            (export "tidegate:filter/background@0.1.0" (instance $t)))"#
    );
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Takes so many MiB more, or traps.
fn growing_by(mib: usize) -> String {
    let pages = mib * PAGES_OF_MIB;
    format!("(if (i32.lt_s (memory.grow (i32.const {pages})) (i32.const 0)) (then unreachable))")
}

fn host(heavy: HeavySettings) -> Arc<FilterHost> {
    let settings = EngineSettings {
        max_instances: 10,
        heavy,
        ..EngineSettings::default()
    };
    let engine = FilterEngine::new(settings).expect("an engine");
    FilterHost::new(engine, Arc::new(Services::detached()), HostLimits::default()).expect("a host")
}

fn load(host: &FilterHost, wasm: &[u8]) -> Result<FilterModule, LoadError> {
    FilterModule::load(host.engine(), None, wasm, ModuleLimits::default())
}

/// Attaches it with a cap on its memory; else the reason.
fn attach(host: &Arc<FilterHost>, wasm: &[u8], cap_mib: usize) -> Result<Arc<WasmFilter>, String> {
    let module = load(host, wasm).map_err(|error| error.to_string())?;
    let kind = FilterKind::new(
        host,
        "heavy",
        module,
        FilterMeta::default(),
        FilterOptions::default(),
    );
    let options = FilterOptions {
        max_memory_bytes: cap_mib * MIB,
        boot_deadline_ms: 50,
        ..FilterOptions::default()
    };
    kind.attach_unchecked(&Value::Null, options)
        .map_err(|refusal| refusal.message)
}

#[test]
fn what_a_component_declares_decides_where_it_runs() {
    let host = host(HeavySettings::default());
    let is_heavy = |mib| load(&host, &component(mib, "")).expect("a filter").is_heavy;
    assert!(!is_heavy(1) && !is_heavy(8));
    assert!(is_heavy(9) && is_heavy(100));
    let LoadError::NoEngine(reason) = load(&host, &component(257, "")).err().expect("a refusal") else {
        panic!("there are no such slots");
    };
    assert_eq!(
        reason,
        "it asks for 269484032 bytes of memory at its start, more than 268435456"
    );
}

#[test]
fn an_attachment_may_grant_more_memory_than_the_light_slots_have_and_less() {
    let host = host(HeavySettings::default());
    let greedy = component(20, &growing_by(80));
    attach(&host, &greedy, 100).expect("all of it is granted");
    let refusal = attach(&host, &greedy, 99).err().expect("a page is missing");
    assert!(refusal.starts_with("configure failed"), "{refusal}");
    let refusal = attach(&host, &greedy, 19).err().expect("a refusal");
    assert!(
        refusal.contains("needs 20971520 bytes of memory at its start"),
        "{refusal}"
    );
    assert_eq!(host.memory_in_use(), 0);
}

#[test]
fn an_endless_loop_meets_its_deadline_there_too() {
    let host = host(HeavySettings::default());
    let refusal = attach(&host, &component(9, "(loop br 0)"), 64)
        .err()
        .expect("a deadline");
    assert!(refusal.contains("interrupt"), "{refusal}");
}

#[test]
fn an_instance_is_booted_before_anybody_asks_and_without_a_free_slot_there_is_none() {
    let host = host(HeavySettings {
        max_instances: 1,
        ..HeavySettings::default()
    });
    let wasm = component(9, "");
    let filter = attach(&host, &wasm, 64).expect("a filter");
    assert_eq!(filter.live_instances(), 0);
    block_on(async {
        let mut background = Arc::clone(&filter)
            .background(0)
            .expect("what goes on beside exchanges");
        poll_fn(|cx| {
            assert!(background.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(filter.live_instances(), 1);
        let refusal = attach(&host, &wasm, 64).err().expect("the slot is taken");
        assert!(refusal.starts_with("no instance: "), "{refusal}");
    });
}
