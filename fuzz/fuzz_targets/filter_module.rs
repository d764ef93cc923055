//! Files that may be filters.
#![no_main]

use std::sync::LazyLock;
use tidegate_wasm::testing::fuzz::Loader;

static LOADER: LazyLock<Loader> = LazyLock::new(|| Loader::new().expect("a host"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| LOADER.load(data));
