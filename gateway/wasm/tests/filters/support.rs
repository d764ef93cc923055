//! Builds guests, hosts and exchanges.

use serde_json::Value;
use std::fmt::Write;
use std::sync::Arc;
use tidegate_plugin::services::Services;
use tidegate_plugin::{Exchange, Filter};
pub(crate) use tidegate_wasm::testing::HOST_FUNCTIONS as IMPORTS;
use tidegate_wasm::testing::{Drive, Outcome, ScriptedOutbound, exchange};
use tidegate_wasm::{
    EngineSettings, FilterEngine, FilterHost, FilterKind, FilterMeta, FilterModule, FilterOptions,
    HostLimits, ModuleLimits, WasmFilter,
};

/// Parameters and number of results of callbacks.
pub(crate) const CALLBACKS: &[(&str, usize, usize)] = &[
    ("context_create", 2, 0),
    ("vm_start", 2, 1),
    ("configure", 2, 1),
    ("tick", 1, 0),
    ("queue_ready", 2, 0),
    ("request_headers", 3, 1),
    ("request_body", 3, 1),
    ("request_trailers", 2, 1),
    ("response_headers", 3, 1),
    ("response_body", 3, 1),
    ("response_trailers", 2, 1),
    ("http_call_response", 5, 0),
    ("grpc_receive_initial_metadata", 3, 0),
    ("grpc_receive", 3, 0),
    ("grpc_receive_trailing_metadata", 3, 0),
    ("grpc_close", 3, 0),
    ("done", 1, 1),
    ("log", 1, 0),
    ("delete", 1, 0),
];

/// Where results of host calls go: pointer and length.
pub(crate) const OUT: &str = "(i32.const 16) (i32.const 20)";
/// The bytes that [`OUT`] names.
pub(crate) const GOT: &str = "(i32.load (i32.const 16)) (i32.load (i32.const 20))";

/// A module in the making. Texts are laid out from address 1024; the allocator hands out memory from 65536.
pub(crate) struct Guest {
    body: String,
    data: String,
    next: usize,
    allocator: String,
}

impl Guest {
    pub(crate) fn new() -> Self {
        Self {
            body: String::new(),
            data: String::new(),
            next: 1_024,
            allocator: BUMP.to_owned(),
        }
    }

    /// Lays out bytes; gives address and length as two arguments.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> String {
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let _ = writeln!(self.data, "(data (i32.const {}) \"{escaped}\")", self.next);
        let arguments = format!("(i32.const {}) (i32.const {})", self.next, bytes.len());
        self.next += bytes.len().max(1);
        assert!(self.next < 65_536, "too many texts");
        arguments
    }

    pub(crate) fn text(&mut self, text: &str) -> String {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn pairs(&mut self, pairs: &[(&str, &str)]) -> String {
        let mut bytes = u32::try_from(pairs.len()).expect("few").to_le_bytes().to_vec();
        for (key, value) in pairs {
            bytes.extend(u32::try_from(key.len()).expect("short").to_le_bytes());
            bytes.extend(u32::try_from(value.len()).expect("short").to_le_bytes());
        }
        for (key, value) in pairs {
            bytes.extend(key.bytes().chain([0]).chain(value.bytes()).chain([0]));
        }
        self.bytes(&bytes)
    }

    /// A callback that runs statements and answers `action`; its parameters are `$0` to `$4`.
    pub(crate) fn on(mut self, name: &str, statements: &str, action: i32) -> Self {
        let (_, parameters, results) = CALLBACKS
            .iter()
            .find(|(known, ..)| *known == name)
            .expect("a callback");
        let parameters: String = (0..*parameters)
            .map(|index| format!("(param ${index} i32)"))
            .collect();
        let (result, answer) = if *results == 1 {
            ("(result i32)", format!("(i32.const {action})"))
        } else {
            ("", String::new())
        };
        let _ = writeln!(
            self.body,
            "(func $on_{name} (export \"proxy_on_{name}\") {parameters} {result} {statements} {answer})"
        );
        self
    }

    /// Anything else at the level of the module.
    pub(crate) fn with(mut self, text: &str) -> Self {
        self.body.push_str(text);
        self
    }

    pub(crate) fn allocator(mut self, text: &str) -> Self {
        text.clone_into(&mut self.allocator);
        self
    }

    pub(crate) fn wat(&self) -> String {
        let mut imports = String::new();
        for (name, parameters) in IMPORTS {
            let parameters: String = parameters
                .chars()
                .map(|kind| if kind == 'I' { "(param i64)" } else { "(param i32)" })
                .collect();
            let _ = writeln!(
                imports,
                "(import \"env\" \"proxy_{name}\" (func ${name} {parameters} (result i32)))"
            );
        }
        format!(
            "(module {imports} (memory (export \"memory\") 2) {} {} {} {HELPERS})",
            self.data, self.allocator, self.body
        )
    }
}

const BUMP: &str = r#"
(global $heap (mut i32) (i32.const 65536))
(func $alloc (export "proxy_on_memory_allocate") (param $n i32) (result i32)
  (local $at i32)
  (local.set $at (global.get $heap))
  (global.set $heap (i32.add (global.get $heap) (i32.and (i32.add (local.get $n) (i32.const 7)) (i32.const -8))))
  (block $fits (loop $more
    (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
    (br $more)))
  (local.get $at))
"#;

/// `$want` ends the guest unless a status is the expected one; `$show` adds a header to the response or request.
const HELPERS: &str = r#"
(func (export "proxy_abi_version_0_2_1"))
(func $want (param $got i32) (param $wanted i32)
  (if (i32.ne (local.get $got) (local.get $wanted)) (then (unreachable))))
(func $ok (param $got i32) (call $want (local.get $got) (i32.const 0)))
(func $show (param $map i32) (param $k i32) (param $kn i32) (param $v i32) (param $vn i32)
  (call $ok (call $add_header_map_value (local.get $map) (local.get $k) (local.get $kn) (local.get $v) (local.get $vn))))
"#;

/// A host with its scripted calls.
pub(crate) struct World {
    pub(crate) host: Arc<FilterHost>,
    pub(crate) outbound: Arc<ScriptedOutbound>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_limits(HostLimits::default())
    }

    pub(crate) fn with_limits(limits: HostLimits) -> Self {
        let outbound = Arc::new(ScriptedOutbound::default());
        let services = Services {
            outbound: Arc::clone(&outbound) as _,
            ..Services::detached()
        };
        let settings = EngineSettings {
            max_instances: 300,
            ..EngineSettings::default()
        };
        let engine = FilterEngine::new(settings).expect("an engine");
        let host = FilterHost::new(engine, Arc::new(services), limits).expect("a host");
        Self { host, outbound }
    }

    pub(crate) fn kind(&self, guest: &Guest) -> FilterKind {
        self.kind_of(&wat::parse_str(guest.wat()).unwrap_or_else(|error| panic!("{error}\n{}", guest.wat())))
    }

    pub(crate) fn kind_of(&self, wasm: &[u8]) -> FilterKind {
        let module = FilterModule::load(self.host.engine(), None, wasm, ModuleLimits::default())
            .expect("a filter module");
        FilterKind::new(
            &self.host,
            "test",
            module,
            FilterMeta::default(),
            FilterOptions::default(),
        )
    }

    pub(crate) fn filter(&self, guest: &Guest, options: FilterOptions) -> Arc<WasmFilter> {
        self.configured(guest, &Value::Null, options)
    }

    pub(crate) fn configured(
        &self,
        guest: &Guest,
        config: &Value,
        options: FilterOptions,
    ) -> Arc<WasmFilter> {
        self.kind(guest)
            .attach_unchecked(config, options)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Drives one exchange through one filter.
pub(crate) fn drive(filter: &Arc<WasmFilter>, change: impl FnOnce(Drive) -> Drive) -> Outcome {
    drive_exchange(filter, exchange("GET", "/path?q=1"), change)
}

pub(crate) fn drive_exchange(
    filter: &Arc<WasmFilter>,
    x: Exchange,
    change: impl FnOnce(Drive) -> Drive,
) -> Outcome {
    let filter: Arc<dyn Filter> = Arc::clone(filter) as _;
    run(change(Drive::new(vec![filter], x)))
}

pub(crate) fn run(drive: Drive) -> Outcome {
    block_on(drive.run())
}

/// Runs a future with time that jumps to the next timer when nothing else is left to do.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// A request header as it went upstream.
pub(crate) fn sent<'o>(outcome: &'o Outcome, name: &str) -> Option<&'o str> {
    outcome
        .upstream_headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}

/// A response header.
pub(crate) fn received<'o>(outcome: &'o Outcome, name: &str) -> Option<&'o str> {
    outcome
        .x
        .response
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}

/// Fails with the reason when the filter failed.
pub(crate) fn fine(outcome: Outcome) -> Outcome {
    if let Some(fault) = &outcome.fault {
        panic!("the filter failed: {fault}");
    }
    outcome
}
