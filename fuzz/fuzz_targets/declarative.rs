//! Declarative files made of bytes: diagnostics or entities, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_config::declarative::fuzz(data));
