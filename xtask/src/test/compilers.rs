//! Compilers of the languages that filters are written in. What is missing is installed; where that cannot be done, as
//! without a network, the tests of that language are left out by name, and all others still run.

use crate::shell::{self, has_program, root, target_dir};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

type Install = fn() -> Result<()>;

/// Gives the languages whose compilers are not there and could not be installed.
pub(super) fn install() -> Vec<&'static str> {
    let languages: [(&str, Install); 3] = [("Rust", rust), ("C", c), ("AssemblyScript", assemblyscript)];
    let missing = languages.into_iter().filter_map(|(language, install)| {
        let error = install().err()?;
        println!("warning: filters in {language} cannot be compiled here: {error:#}");
        Some(language)
    });
    missing.collect()
}

/// What filters written in Rust are compiled for.
const WASM_TARGET: &str = "wasm32-wasip1";

fn rust() -> Result<()> {
    let mut libraries = Command::new("rustc");
    libraries.args(["--print", "target-libdir", "--target", WASM_TARGET]);
    // The folder of a target is named also where it is missing.
    let folder = shell::output(&mut libraries)?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    println!("installing the Rust target {WASM_TARGET}");
    shell::run(Command::new("rustup").args(["target", "add", WASM_TARGET]))
}

fn c() -> Result<()> {
    let missing: Vec<(&str, &str)> = [("clang", "clang"), ("wasm-ld", "lld")]
        .into_iter()
        .filter(|(program, _)| !(14..=22).any(|version| has_program(&format!("{program}-{version}"))))
        .collect();
    shell::install(&missing)
}

/// Into the folder in which the tests keep what they compile.
fn assemblyscript() -> Result<()> {
    shell::install(&[("node", "nodejs"), ("npm", "npm")])?;
    let read = |file: &Path| -> Result<Value> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_json::from_slice(&text)?)
    };
    // The version that new projects ask for.
    let template = read(&root().join("sdk/templates/assemblyscript/package.json.in"))?;
    let version = template
        .pointer("/devDependencies/assemblyscript")
        .and_then(Value::as_str)
        .context("the template names no version of assemblyscript")?;
    let folder = target_dir().join("filters");
    let installed = read(&folder.join("node_modules/assemblyscript/package.json"));
    if installed.is_ok_and(|package| package.get("version").is_some_and(|have| have == version)) {
        return Ok(());
    }
    println!("installing assemblyscript {version}");
    fs::create_dir_all(&folder)?;
    let quiet = ["--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
    shell::run(
        Command::new("npm")
            .arg("install")
            .args(quiet)
            .arg("--prefix")
            .arg(&folder)
            .arg(format!("assemblyscript@{version}")),
    )
}
