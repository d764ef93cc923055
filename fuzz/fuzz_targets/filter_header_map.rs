//! Header maps as guests encode them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_wasm::testing::fuzz::header_map(data));
