//! Targets for fuzzers: whatever bytes they are given, the host neither panics nor hangs.

use super::{HOST_FUNCTIONS, ScriptedOutbound, exchange};
use crate::abi::pairs;
use crate::{
    EngineSettings, FailurePolicy, FilterEngine, FilterHost, FilterKind, FilterMeta, FilterModule,
    FilterOptions, HostLimits, ModuleLimits, WasmFilter,
};
use bytes::Bytes;
use serde_json::Value;
use std::fmt::Write;
use std::sync::Arc;
use tidegate_plugin::services::Services;
use tidegate_plugin::{Direction, Filter};

/// A header map as a guest may write it.
///
/// # Panics
/// When what was read is not written the same way again.
#[allow(clippy::panic, reason = "what fails here is the verdict")]
pub fn header_map(data: &[u8]) {
    let Some(decoded) = pairs::decode(data) else {
        return;
    };
    let again = pairs::encode(&decoded);
    match pairs::decode(&again) {
        Some(second) if second == decoded => {}
        second => panic!("{decoded:?} became {second:?}"),
    }
}

/// A host that modules are loaded into.
pub struct Loader {
    engine: FilterEngine,
}

/// A guest that calls host functions as the request body tells it.
pub struct HostCalls {
    filter: Arc<WasmFilter>,
}

fn settings() -> EngineSettings {
    EngineSettings {
        max_instances: 16,
        ..EngineSettings::default()
    }
}

impl Loader {
    /// A host without filters; `None` when there can be none on this machine.
    #[must_use]
    pub fn new() -> Option<Self> {
        let engine = FilterEngine::new(settings()).ok()?;
        Some(Self { engine })
    }

    /// Bytes as a module.
    pub fn load(&self, data: &[u8]) {
        let _ = FilterModule::load(&self.engine, None, data, ModuleLimits::default());
    }
}

impl HostCalls {
    /// The guest in the text format. Its program is the request body: a byte chooses a function, two bytes each make an
    /// argument, which is a small number, a place within the program, or anything.
    #[must_use]
    pub fn guest() -> String {
        let (mut imports, mut cases) = (String::new(), String::new());
        for (number, (name, parameters)) in HOST_FUNCTIONS.iter().enumerate() {
            let (mut types, mut arguments) = (String::new(), String::new());
            for parameter in parameters.chars() {
                // Writing to a string cannot fail.
                let _ = match parameter {
                    'I' => write!(types, "i64 "),
                    _ => write!(types, "i32 "),
                };
                arguments.push_str(match parameter {
                    'I' => "(i64.extend_i32_s (call $argument))",
                    _ => "(call $argument)",
                });
            }
            let _ = writeln!(
                imports,
                "(import \"env\" \"proxy_{name}\" (func ${name} (param {types}) (result i32)))"
            );
            let _ = writeln!(
                cases,
                "(if (i32.eq (local.get $function) (i32.const {number})) (then (drop (call ${name} {arguments}))))"
            );
        }
        let count = HOST_FUNCTIONS.len();
        format!(
            r#"(module {imports}
            (memory (export "memory") 2)
            (global $at (mut i32) (i32.const 0))
            (global $end (mut i32) (i32.const 0))
            (global $start (mut i32) (i32.const 0))
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param $size i32) (result i32) (i32.const 65536))
            (func $byte (result i32)
              (if (i32.ge_u (global.get $at) (global.get $end)) (then (return (i32.const 0))))
              (global.set $at (i32.add (global.get $at) (i32.const 1)))
              (i32.load8_u (i32.sub (global.get $at) (i32.const 1))))
            (func $argument (result i32) (local $high i32) (local $low i32)
              (local.set $high (call $byte))
              (local.set $low (call $byte))
              (if (i32.lt_u (local.get $high) (i32.const 120)) (then (return (local.get $low))))
              (if (i32.lt_u (local.get $high) (i32.const 240))
                (then (return (i32.add (global.get $start) (local.get $low)))))
              (i32.rotl (local.get $low) (local.get $high)))
            (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (local $function i32)
              (if (call $get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 4096) (i32.const 16) (i32.const 20))
                (then (return (i32.const 0))))
              ;; Away from what the host allocates while the program runs.
              (memory.copy (i32.const 1024) (i32.load (i32.const 16)) (i32.load (i32.const 20)))
              (global.set $start (i32.const 1024))
              (global.set $at (i32.const 1024))
              (global.set $end (i32.add (i32.const 1024) (i32.load (i32.const 20))))
              (loop $next
                (local.set $function (i32.rem_u (call $byte) (i32.const {count})))
                {cases}
                (br_if $next (i32.lt_u (global.get $at) (global.get $end))))
              (i32.const 0)))"#
        )
    }

    /// With [`HostCalls::guest`] as a module. `None`: it is not, or there can be no host on this machine.
    #[must_use]
    pub fn new(guest: &[u8]) -> Option<Self> {
        let services = Services {
            outbound: Arc::new(ScriptedOutbound::default()),
            ..Services::detached()
        };
        let engine = FilterEngine::new(settings()).ok()?;
        let host = FilterHost::new(engine, Arc::new(services), HostLimits::default()).ok()?;
        let module = FilterModule::load(host.engine(), None, guest, ModuleLimits::default()).ok()?;
        let options = FilterOptions {
            failure_policy: FailurePolicy::Open,
            ..FilterOptions::default()
        };
        let meta = FilterMeta::default();
        let kind = FilterKind::new(&host, "fuzz", module, meta, options.clone());
        let filter = kind.attach_unchecked(&Value::Null, options).ok()?;
        Some(Self { filter })
    }

    /// Runs a program in one exchange.
    pub fn run(&self, program: &[u8]) {
        let mut x = exchange("POST", "/path?q=1");
        if let Ok(Some(mut run)) = self.filter.start(&mut x) {
            let _ = run.head(&mut x, Direction::Request, false);
            let _ = run.body(&mut x, Direction::Request, Bytes::copy_from_slice(program), true);
            run.finish(&mut x);
        }
    }
}
