//! The program under test: the `tidegate` that belongs to this build of the tests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Names a binary to test instead of the one of this build.
pub const OVERRIDE: &str = "GATEWAY_TEST_BINARY";

/// Path of the binary; builds it first, once per test process, so that it is never older than the sources.
pub fn path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os(OVERRIDE) {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    // target/debug/deps/suite-… → target/debug/tidegate
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("tests lie in <target>/<profile>/deps")
        .to_path_buf();
    let profile = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("debug");
    let profile = if profile == "debug" { "dev" } else { profile };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "tidegate",
            "--profile",
            profile,
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env(
            "CARGO_TARGET_DIR",
            folder.parent().expect("a profile folder has a parent"),
        )
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "the gateway does not build");
    folder.join("tidegate")
}
