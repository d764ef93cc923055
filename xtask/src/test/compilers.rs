//! Compilers of the languages that filters are written in. What is missing is installed; where that cannot be done, as
//! without a network, the tests of that language are left out by name, and all others still run.

use crate::shell::{self, has_program, root, target_dir};
use anyhow::{Context, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Install = fn() -> Result<()>;

/// What componentize-js runs on; distributions have older ones.
const OLDEST_NODE: u32 = 20;

/// Gives the languages whose compilers are not there and could not be installed.
pub(crate) fn install() -> Vec<&'static str> {
    let languages: [(&str, Install); 5] = [
        ("Rust", rust),
        ("C", c),
        ("AssemblyScript", assemblyscript),
        ("JavaScript", javascript),
        ("Python", python),
    ];
    let missing = languages.into_iter().filter_map(|(language, install)| {
        let error = install().err()?;
        println!("warning: filters in {language} cannot be compiled here: {error:#}");
        Some(language)
    });
    missing.collect()
}

/// The search path with what was installed in front.
pub(crate) fn search_path() -> Result<OsString> {
    let own = ["node_modules/.bin", "javascript/node_modules/.bin", "venv/bin"];
    let own = own.into_iter().map(|folder| filters().join(folder));
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(own.chain(std::env::split_paths(&path)))?)
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

fn assemblyscript() -> Result<()> {
    npm("assemblyscript", "assemblyscript", &filters())
}

fn javascript() -> Result<()> {
    shell::install(&[("node", "nodejs"), ("npm", "npm")])?;
    let said = shell::output(Command::new("node").arg("--version"))?;
    let major = said.trim().trim_start_matches('v').split('.').next();
    let major: u32 = major.unwrap_or_default().parse().context("the version of node")?;
    anyhow::ensure!(
        major >= OLDEST_NODE,
        "componentize-js wants Node.js {OLDEST_NODE}, and {} is installed",
        said.trim()
    );
    // A folder of its own: npm removes from a folder what it did not put there by the same command.
    npm(
        "javascript",
        "@bytecodealliance/componentize-js",
        &filters().join("javascript"),
    )
}

/// A package of the version that new projects of a template ask for.
fn npm(template: &str, package: &str, folder: &Path) -> Result<()> {
    shell::install(&[("node", "nodejs"), ("npm", "npm")])?;
    let read = |file: &Path| -> Result<Value> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_json::from_slice(&text)?)
    };
    let manifest = read(&templates().join(template).join("package.json.in"))?;
    let version = manifest
        .get("devDependencies")
        .and_then(|packages| packages.get(package))
        .and_then(Value::as_str)
        .with_context(|| format!("the template names no version of {package}"))?;
    let installed = read(&folder.join("node_modules").join(package).join("package.json"));
    if installed.is_ok_and(|package| package.get("version").is_some_and(|have| have == version)) {
        return Ok(());
    }
    println!("installing {package} {version}");
    fs::create_dir_all(folder)?;
    let quiet = ["--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
    shell::run(
        Command::new("npm")
            .arg("install")
            .args(quiet)
            .arg("--prefix")
            .arg(folder)
            .arg(format!("{package}@{version}")),
    )
}

/// Into a virtual environment beside the npm packages.
fn python() -> Result<()> {
    let requirements = templates().join("python/requirements.txt.in");
    let wanted = fs::read_to_string(&requirements)?;
    let environment = filters().join("venv");
    let noted = environment.join("requirements.txt");
    if fs::read_to_string(&noted).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    if !has_program("python3")
        || shell::output(Command::new("python3").args(["-c", "import ensurepip"])).is_err()
    {
        // The second has no program of its own.
        shell::install(&[("python3", "python3"), ("python3-venv", "python3-venv")])?;
    }
    println!("installing {}", wanted.trim());
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let pip = environment.join("bin/pip");
    shell::run(
        Command::new(pip)
            .args(["install", "--quiet", "--requirement"])
            .arg(&requirements),
    )?;
    // Last: what was broken off is done again.
    Ok(fs::write(&noted, wanted)?)
}

fn templates() -> PathBuf {
    root().join("sdk/templates")
}

/// Where the tests keep what they compile.
fn filters() -> PathBuf {
    target_dir().join("filters")
}
