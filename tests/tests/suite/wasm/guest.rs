//! Guests in WebAssembly text, and the folder they are installed in.

use std::fmt::Write;
use std::path::Path;
use tempfile::TempDir;
use tidegate_tests::gateway::Builder;
use tidegate_wasm::testing::HOST_FUNCTIONS;

/// Where results of host calls go, as two arguments, and what is there.
pub(super) const OUT: &str = "(i32.const 16) (i32.const 20)";
pub(super) const GOT: &str = "(i32.load (i32.const 16)) (i32.load (i32.const 20))";

/// A module in the making. `$0` to `$4` are the parameters of a callback.
#[derive(Default)]
pub(super) struct Guest {
    body: String,
    data: String,
    used: usize,
    /// The version that it declares; the newest if it is empty.
    abi: &'static str,
    /// What the allocator does before anything else.
    allocating: &'static str,
}

impl Guest {
    /// Lays out bytes; gives address and length as two arguments.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> String {
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let address = 1_024 + self.used;
        writeln!(self.data, "(data (i32.const {address}) \"{escaped}\")").unwrap();
        self.used += bytes.len().max(1);
        format!("(i32.const {address}) (i32.const {})", bytes.len())
    }

    pub(super) fn text(&mut self, text: &str) -> String {
        self.bytes(text.as_bytes())
    }

    /// A header list as the ABI writes it.
    pub(super) fn pairs(&mut self, pairs: &[(&str, &str)]) -> String {
        let number = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
        let mut bytes = number(pairs.len()).to_vec();
        for (name, value) in pairs {
            bytes.extend(number(name.len()));
            bytes.extend(number(value.len()));
        }
        for (name, value) in pairs {
            bytes.extend(name.bytes().chain([0]).chain(value.bytes()).chain([0]));
        }
        self.bytes(&bytes)
    }

    /// Adds a header to the request (map 0) or response (map 2).
    pub(super) fn add(&mut self, map: u8, name: &str, value: &str) -> String {
        let (name, value) = (self.text(name), self.text(value));
        format!("(call $ok (call $add_header_map_value (i32.const {map}) {name} {value}))")
    }

    pub(super) fn remove(&mut self, map: u8, name: &str) -> String {
        let name = self.text(name);
        format!("(drop (call $remove_header_map_value (i32.const {map}) {name}))")
    }

    pub(super) fn reply(&mut self, status: u16, body: &str) -> String {
        let (body, headers) = (self.text(body), self.pairs(&[("x-by", "filter")]));
        format!(
            "(call $ok (call $send_local_response (i32.const {status}) (i32.const 0) (i32.const 0) {body} {headers} (i32.const -1)))"
        )
    }

    /// A callback that runs statements and answers with an expression; empty for those without an answer.
    pub(super) fn on(mut self, name: &str, parameters: usize, statements: &str, answer: &str) -> Self {
        let parameters: String = (0..parameters)
            .map(|index| format!("(param ${index} i32)"))
            .collect();
        let result = if answer.is_empty() { "" } else { "(result i32)" };
        writeln!(
            self.body,
            "(func (export \"proxy_on_{name}\") {parameters} {result} {statements} {answer})"
        )
        .unwrap();
        self
    }

    /// Anything else at the level of the module.
    pub(super) fn with(mut self, text: &str) -> Self {
        self.body.push_str(text);
        self
    }

    /// Declares another version, such as `0_1_0`.
    pub(super) fn speaking(mut self, abi: &'static str) -> Self {
        self.abi = abi;
        self
    }

    /// Lets the allocator, whose parameter is `$n`, begin with some statements.
    pub(super) fn allocating(mut self, statements: &'static str) -> Self {
        self.allocating = statements;
        self
    }

    pub(super) fn module(&self) -> Vec<u8> {
        let abi = if self.abi.is_empty() { "0_2_1" } else { self.abi };
        let imports: String = HOST_FUNCTIONS
            .iter()
            .map(|(name, parameters)| {
                let parameter = |kind| if kind == 'I' { "(param i64)" } else { "(param i32)" };
                let parameters: String = parameters.chars().map(parameter).collect();
                format!("(import \"env\" \"proxy_{name}\" (func ${name} {parameters} (result i32)))")
            })
            .collect();
        let text = format!(
            r#"(module {imports}
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 4) {} {}
            (global $heap (mut i32) (i32.const 65536))
            (func (export "proxy_on_memory_allocate") (param $n i32) (result i32)
              (local $at i32)
              {}
              (local.set $at (global.get $heap))
              (global.set $heap (i32.add (i32.const 65536)
                (i32.rem_u (i32.sub (i32.add (global.get $heap) (local.get $n)) (i32.const 65536)) (i32.const 100000))))
              (local.get $at))
            (func (export "proxy_abi_version_{abi}"))
            (func $ok (param $status i32) (if (local.get $status) (then (unreachable)))))"#,
            self.data, self.body, self.allocating
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

/// Adds `name: value` in both directions.
pub(super) fn adding(name: &str, value: &str) -> Guest {
    let mut guest = Guest::default();
    let (request, response) = (guest.add(0, name, value), guest.add(2, name, value));
    guest.on("request_headers", 3, &request, "(i32.const 0)").on(
        "response_headers",
        3,
        &response,
        "(i32.const 0)",
    )
}

/// A folder of filters.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Installs a filter in one step, also over an older one.
    pub(super) fn install(&self, name: &str, guest: &Guest) {
        self.put(&format!("{name}.wasm"), &guest.module());
    }

    pub(super) fn with(self, name: &str, guest: &Guest) -> Self {
        self.install(name, guest);
        self
    }

    pub(super) fn meta(self, name: &str, text: &str) -> Self {
        self.put(&format!("{name}.meta.json"), text.as_bytes());
        self
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        let temporary = self.path().join("next.tmp");
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(temporary, self.path().join(name)).unwrap();
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Lets a gateway use the folder.
    pub(super) fn attached(&self, gateway: Builder) -> Builder {
        gateway
            .setting("wasm", "on")
            .setting("wasm_filters_path", self.path().display().to_string())
    }
}
