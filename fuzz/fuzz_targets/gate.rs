//! Bytes of an HTTP/1 connection in arbitrary splits.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_net::fuzz_gate(data));
