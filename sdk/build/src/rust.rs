//! Rust: finds the compiler's WebAssembly target, or adds it, and runs cargo.

mod packages;

use crate::tools::{program, run};
use crate::{BuildError, Built, TARGET};
use packages::Packages;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package or workspace in a folder, with its release profile.
pub(crate) fn build(folder: &Path, target_folder: Option<&Path>) -> Result<Vec<Built>, BuildError> {
    ensure_target(folder)?;
    let packages = Packages::find(folder)?;
    let target_folder = target_folder.unwrap_or(&packages.target_folder);
    let mut built = Vec::new();
    if !packages.modules.is_empty() {
        built.extend(compile(folder, &packages.modules, target_folder, None)?);
    }
    if !packages.components.is_empty() {
        let linker = component_linker(folder)?;
        // A folder of their own: what is linked in another way would be built anew each time.
        let target_folder = target_folder.join("components");
        built.extend(compile(
            folder,
            &packages.components,
            &target_folder,
            Some(&linker),
        )?);
    }
    built.sort();
    built.dedup();
    if built.is_empty() {
        return Err(BuildError::NoModule(folder.to_path_buf()));
    }
    Ok(built)
}

fn compile(
    folder: &Path,
    packages: &[String],
    target_folder: &Path,
    linker: Option<&Path>,
) -> Result<Vec<Built>, BuildError> {
    let mut cargo = program("CARGO", "cargo");
    cargo.current_dir(folder).args([
        "build",
        "--release",
        "--target",
        TARGET,
        "--message-format",
        "json-render-diagnostics",
    ]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    cargo.env("CARGO_TARGET_DIR", target_folder);
    if let Some(linker) = linker {
        cargo.env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker);
    }
    let output = run(cargo)?;
    if !output.status.success() {
        return Err(BuildError::Compile(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    Ok(modules(&String::from_utf8_lossy(&output.stdout)))
}

/// Links a module and makes a component of it; it comes with the compiler, for the machine that it runs on.
fn component_linker(folder: &Path) -> Result<PathBuf, BuildError> {
    let mut rustc = program("RUSTC", "rustc");
    rustc.current_dir(folder).args(["--print", "target-libdir"]);
    let output = run(rustc)?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let linker = libraries.with_file_name("bin").join("wasm-component-ld");
    if linker.is_file() {
        Ok(linker)
    } else {
        Err(BuildError::Linker(linker))
    }
}

/// Modules that cargo says it made, each with the folder of its package, from its messages, one JSON object a line.
fn modules(messages: &str) -> Vec<Built> {
    let artefacts = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message.get("reason")? == "compiler-artifact").then_some(message)
    });
    let files = artefacts.flat_map(|message| {
        let manifest = message.get("manifest_path").and_then(|path| path.as_str());
        let package = Path::new(manifest.unwrap_or_default())
            .parent()
            .map_or_else(PathBuf::new, PathBuf::from);
        let files = message.get("filenames").and_then(|files| files.as_array());
        let paths = files.into_iter().flatten().filter_map(|file| file.as_str());
        paths
            .map(|path| Built {
                module: PathBuf::from(path),
                package: package.clone(),
            })
            .collect::<Vec<_>>()
    });
    files
        .filter(|built| {
            built
                .module
                .extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .filter(|built| !built.module.components().any(|part| part.as_os_str() == "deps"))
        .collect()
}

/// The compiler prints the folder of a target also when nothing is in it: only its `core` tells.
fn ensure_target(folder: &Path) -> Result<(), BuildError> {
    if has_target(folder)? {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.current_dir(folder).args(["target", "add", TARGET]);
    let added = run(rustup).map_err(|error| BuildError::Target(error.to_string()))?;
    if added.status.success() && has_target(folder)? {
        return Ok(());
    }
    Err(BuildError::Target(
        String::from_utf8_lossy(&added.stderr).trim().to_owned(),
    ))
}

fn has_target(folder: &Path) -> Result<bool, BuildError> {
    let mut rustc = program("RUSTC", "rustc");
    rustc
        .current_dir(folder)
        .args(["--print", "target-libdir", "--target", TARGET]);
    let output = run(rustc)?;
    let libraries = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let Ok(entries) = std::fs::read_dir(libraries) else {
        return Ok(false);
    };
    let is_core = |name: OsString| name.to_string_lossy().starts_with("libcore-");
    Ok(entries.flatten().any(|entry| is_core(entry.file_name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_taken_from_what_cargo_says() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","filenames":["/t/wasm32-wasip1/release/deps/libserde-1.rlib"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/t/release/a.wasm"]}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\nnot JSON\n",
        );
        assert_eq!(
            modules(messages),
            [Built {
                module: PathBuf::from("/t/release/a.wasm"),
                package: PathBuf::from("/p"),
            }]
        );
    }
}
