//! `cargo xtask test`: the binary, then every test once.

use crate::shell::{self, cargo, target_dir};
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

pub(crate) fn run(filter: &[String]) -> Result<()> {
    let started = Instant::now();
    install_wasm_target();
    println!("building the gateway that the tests drive");
    shell::run(&mut cargo(&["build", "--workspace", "--bin", "tidegate"]))?;
    println!("running the tests");
    let mut tests = cargo(&["test", "--workspace"]);
    tests
        .args(filter)
        .env("GATEWAY_TEST_BINARY", target_dir().join("debug/tidegate"));
    shell::run(&mut tests)?;
    println!("tests done after {} s", started.elapsed().as_secs());
    Ok(())
}

/// What filters written in Rust are compiled for.
const WASM_TARGET: &str = "wasm32-wasip1";

/// Without the target the tests of compiled filters say that they were skipped, so a machine that cannot download it
/// still runs all others.
fn install_wasm_target() {
    let mut libraries = Command::new("rustc");
    libraries.args(["--print", "target-libdir", "--target", WASM_TARGET]);
    let is_there = shell::output(&mut libraries).is_ok_and(|folder| Path::new(folder.trim()).is_dir());
    if is_there {
        return;
    }
    println!("installing the Rust target {WASM_TARGET}");
    if let Err(error) = shell::run(Command::new("rustup").args(["target", "add", WASM_TARGET])) {
        println!("warning: {error:#}; tests of compiled filters are skipped");
    }
}
