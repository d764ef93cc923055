//! Sequences of host calls with arbitrary arguments; property paths are among them.
#![no_main]

use std::sync::LazyLock;
use tidegate_wasm::testing::fuzz::HostCalls;

static CALLS: LazyLock<HostCalls> = LazyLock::new(|| {
    let guest = wat::parse_str(HostCalls::guest()).expect("a module");
    HostCalls::new(&guest).expect("a host")
});

libfuzzer_sys::fuzz_target!(|program: &[u8]| CALLS.run(program));
