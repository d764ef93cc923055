//! Templates made of bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_plugins::template::fuzz(data));
