//! A filter built with the public SDK, compiled here. Without the target the test says so and passes.

use crate::support::{World, block_on, received, sent};
use bytes::Bytes;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tidegate_plugin::Filter;
use tidegate_plugin::filter::OutboundResponse;
use tidegate_wasm::testing::{Drive, Outcome, exchange};
use tidegate_wasm::{FailureKind, FilterOptions, Isolation, WasmFilter};

const TARGET: &str = "wasm32-wasip1";

/// `None`: this machine has no standard library for the target.
fn built() -> Option<Vec<u8>> {
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .ok()?;
    let libraries = PathBuf::from(String::from_utf8(libraries.stdout).ok()?.trim());
    let has_core = fs::read_dir(libraries)
        .ok()?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"));
    if !has_core {
        return None;
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/headers");
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--quiet",
            "--target",
            TARGET,
            "--manifest-path",
        ])
        .arg(package.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &output)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the guest builds");
    Some(fs::read(output.join(TARGET).join("release/headers_guest.wasm")).expect("the module"))
}

fn ask(filter: &Arc<WasmFilter>, path: &str) -> Outcome {
    let drive = Drive::new(vec![Arc::clone(filter) as Arc<dyn Filter>], exchange("GET", path));
    block_on(drive.response_chunk("some ").response_chunk("text").run())
}

#[test]
fn a_filter_of_the_public_rust_sdk_runs_unchanged() {
    let Some(wasm) = built() else {
        eprintln!("skipped: no standard library for {TARGET}; run `rustup target add {TARGET}`");
        return;
    };
    for isolation in [Isolation::Pooled, Isolation::Shared, Isolation::Request] {
        let world = World::new();
        let kind = world.kind_of(&wasm);
        assert!(kind.module().is_rust);
        assert_eq!(kind.module().unknown_imports, Vec::<String>::new());
        let options = FilterOptions {
            isolation,
            ..FilterOptions::default()
        };
        let refusal = kind
            .attach_unchecked(&json!(""), options.clone())
            .err()
            .expect("a refusal");
        assert!(
            refusal.message.contains("proxy_on_configure answered false"),
            "{refusal}"
        );
        let filter = kind.attach_unchecked(&json!("one"), options).expect("a filter");

        let outcome = ask(&filter, "/");
        assert_eq!(
            (sent(&outcome, "x-first"), sent(&outcome, "x-second")),
            (Some("one"), Some("2"))
        );
        assert_eq!(
            (received(&outcome, "x-third"), received(&outcome, "x-fourth")),
            (Some("one"), Some("4"))
        );
        assert_eq!(outcome.body, "SOME TEXT");

        world.outbound.answer(Some(Ok(OutboundResponse {
            body: Bytes::from_static(b"granted"),
            ..OutboundResponse::default()
        })));
        assert_eq!(sent(&ask(&filter, "/ask"), "x-answer"), Some("granted"));

        let outcome = ask(&filter, "/deny");
        assert_eq!(
            outcome.reply.as_ref().map(|reply| reply.status.as_u16()),
            Some(403)
        );
        assert_eq!(
            received(&outcome, "x-third"),
            Some("one"),
            "it sees its own answer"
        );

        assert!(ask(&filter, "/panic").fault.is_some());
        let failures = world.host.failures();
        assert_eq!((failures.len(), failures[0].kind), (1, FailureKind::Trap));
        assert!(
            failures[0].report.contains("on_http_request_headers"),
            "{}",
            failures[0].report
        );
        assert_eq!(sent(&ask(&filter, "/"), "x-first"), Some("one"));
    }
}
