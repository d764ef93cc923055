//! Paths made of bytes: the normal form of a normal form is itself, and what is sent on says the same.
#![no_main]

use tidegate_model::normalize::{escape_path, normalize_path};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = [b"/", data].concat();
    let normal = normalize_path(&path).into_owned();
    assert_eq!(normalize_path(&normal), normal, "a normal form is normal");
    let sent = escape_path(&normal).into_owned();
    assert!(sent.iter().all(|byte| (0x21..0x7f).contains(byte)), "nothing in it breaks a request line");
});
