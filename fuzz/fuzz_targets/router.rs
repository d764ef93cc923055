//! Routes and requests made of bytes: matching never panics and agrees with itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_router::fuzz(data));
