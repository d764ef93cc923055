//! `cargo xtask test`: what the tests need, the binary, then every test once.

pub(crate) mod compilers;

use crate::shell::{self, cargo, has_program, target_dir};
use anyhow::Result;
use std::path::Path;
use std::time::Instant;

/// Tells the tests which languages of filters they cannot compile, separated by commas.
const LEFT_OUT: &str = "FILTER_LANGUAGES_LEFT_OUT";

pub(crate) fn run(filter: &[String]) -> Result<()> {
    let started = Instant::now();
    // The guide for authors is followed as it is written.
    shell::install(&[("curl", "curl")])?;
    postgres()?;
    let left_out = compilers::install();
    println!("building the gateway that the tests drive");
    shell::run(&mut cargo(&["build", "--workspace", "--bin", "tidegate"]))?;
    println!("running the tests");
    let mut tests = cargo(&["test", "--workspace"]);
    tests
        .args(filter)
        .env("GATEWAY_TEST_BINARY", target_dir().join("debug/tidegate"))
        .env("XDG_CACHE_HOME", target_dir().join("cache"))
        .env(LEFT_OUT, left_out.join(","));
    shell::run(&mut tests)?;
    if filter.is_empty() {
        println!("running the tests that want the machine for themselves");
        // The same features as above, so that nothing is compiled again.
        let mut alone = cargo(&["test", "--workspace", "--test", "suite", "--", "--ignored"]);
        alone
            .env("GATEWAY_TEST_BINARY", target_dir().join("debug/tidegate"))
            .env("XDG_CACHE_HOME", target_dir().join("cache"))
            .env(LEFT_OUT, left_out.join(","));
        shell::run(&mut alone)?;
    }
    for language in left_out {
        println!("left out: the tests of filters in {language}, whose compiler could not be installed");
    }
    println!("tests done after {} s", started.elapsed().as_secs());
    Ok(())
}

/// Stores are tested with a real server. Debian keeps its programs out of the search path.
fn postgres() -> Result<()> {
    let versions = Path::new("/usr/lib/postgresql").read_dir();
    let is_there = versions
        .into_iter()
        .flatten()
        .flatten()
        .any(|version| version.path().join("bin/initdb").exists());
    if is_there || has_program("initdb") {
        return Ok(());
    }
    shell::install(&[("initdb", "postgresql")])
}
