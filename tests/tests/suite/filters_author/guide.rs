//! The guide for authors, followed to the letter.

use super::guest_target;
use crate::page::{checkout, follow};

#[test]
fn the_commands_of_the_guide_lead_to_a_filter_that_runs() {
    let (target, checkout) = (guest_target(), checkout());
    let environment = [
        ("CARGO_TARGET_DIR", target.to_str().unwrap()),
        ("CHECKOUT", checkout.to_str().unwrap()),
    ];
    let followed = follow("docs/filters.md", 300, &environment);
    let (stdout, stderr) = (&followed.stdout, &followed.stderr);
    let parts = [
        "x-greeting: good morning",
        "abi        proxy-wasm 0.2.1",
        "p99",
        "\"X-Greeting\": \"good morning\"",
        "\"X-Welcome\": \"good morning\"",
    ];
    for part in parts {
        assert!(stdout.contains(part), "{part} in {stdout}\n{stderr}");
    }
    assert_eq!(stdout.matches("\"X-Greeting\"").count(), 1, "on one route alone");
    assert!(followed.folder.path().join("filters/hello.wasm").is_file());
    assert!(followed.folder.path().join("filters/hello.meta.json").is_file());
}
