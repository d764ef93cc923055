//! `cargo xtask ci`: what must be green before a merge, cheapest first.

use crate::shell::{self, cargo};
use crate::{check_deps, quickstart, test};
use anyhow::{Context, Result};
use std::time::Instant;

type Check = fn() -> Result<()>;

const CHECKS: [(&str, Check); 7] = [
    ("format", || shell::run(&mut cargo(&["fmt", "--all", "--check"]))),
    ("crate directions", check_deps::run),
    ("lints", || {
        shell::run(&mut cargo(&[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    }),
    ("documentation", || {
        shell::run(cargo(&["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("tests", || test::run(&[])),
    ("quickstart", || {
        quickstart::run(&quickstart::Options::parse(&["--check".to_owned()])?)
    }),
    ("dependencies", dependencies),
];

pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    for (name, check) in CHECKS {
        println!("\n== {name}");
        let step = Instant::now();
        check().with_context(|| format!("{name} failed"))?;
        println!("== {name}: ok after {} s", step.elapsed().as_secs());
    }
    println!("\nall green after {} s", started.elapsed().as_secs());
    Ok(())
}

/// What may be linked in: licences, banned crates, sources; known vulnerabilities where their list can be had.
fn dependencies() -> Result<()> {
    if !shell::has_program("cargo-deny") && shell::output(&mut cargo(&["deny", "--version"])).is_err() {
        println!("installing cargo-deny");
        shell::run(&mut cargo(&["install", "--locked", "--quiet", "cargo-deny"]))?;
    }
    shell::run(&mut cargo(&[
        "deny",
        "--workspace",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))?;
    if shell::output(&mut cargo(&["deny", "fetch", "db"])).is_err() {
        println!("warning: the advisory database cannot be fetched; known vulnerabilities were not checked");
        return Ok(());
    }
    shell::run(&mut cargo(&["deny", "--workspace", "check", "advisories"]))
}
