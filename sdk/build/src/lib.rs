//! Compiles filters written in Rust: finds the compiler's WebAssembly target, or adds it, and runs cargo.
//!
//! A package makes a proxy-wasm module, or a component if its manifest says `component = true` under
//! `[package.metadata.tidegate]`; a workspace may have both.
//!
//! ```no_run
//! let built = tidegate_filter_build::build(std::path::Path::new("my-filter"), None)?;
//! for module in built {
//!     println!("{}", module.display());
//! }
//! # Ok::<(), tidegate_filter_build::BuildError>(())
//! ```

mod packages;

use packages::Packages;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The compiler's target for filters.
pub const TARGET: &str = "wasm32-wasip1";

/// Metadata of a filter in its package: schema of the configuration, labels of metrics, options.
pub const META: &str = "filter.meta.json";

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A program is not there.
    #[error("cannot run `{program}`: {error}")]
    Program {
        /// Its name.
        program: String,
        /// Why not.
        error: io::Error,
    },
    /// The target is missing and cannot be added.
    #[error(
        "the compiler has no {TARGET} target and it cannot be added: {0}\nrun `rustup target add {TARGET}`"
    )]
    Target(String),
    /// Components need the linker that comes with the compiler.
    #[error("the compiler has no `wasm-component-ld` at {0}; components cannot be linked")]
    Linker(PathBuf),
    /// The filter does not compile.
    #[error("the filter does not compile:\n{0}")]
    Compile(String),
    /// It compiles, but to no library that could be a filter.
    #[error("{0} builds no module: its Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`")]
    NoModule(PathBuf),
    /// A file cannot be put in its place.
    #[error("cannot copy {}: {error}", file.display())]
    Copy {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// Compiles the package or workspace in `folder` with its release profile, and gives its modules by name. A package's
/// [`META`] is put beside its module as `<module>.meta.json`.
///
/// The target is added by rustup where it is missing. `target_folder` is where cargo keeps its work; `None`: where the
/// project keeps it. Flags for another compilation (`RUSTFLAGS`) are left out, so that those of the project hold.
///
/// # Errors
/// See [`BuildError`].
pub fn build(folder: &Path, target_folder: Option<&Path>) -> Result<Vec<PathBuf>, BuildError> {
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
    for (module, package) in &built {
        let meta = package.join(META);
        if meta.is_file() {
            copy(&meta, &module.with_extension("meta.json"))?;
        }
    }
    Ok(built.into_iter().map(|(module, _)| module).collect())
}

/// Modules with the folders of their packages.
fn compile(
    folder: &Path,
    packages: &[String],
    target_folder: &Path,
    linker: Option<&Path>,
) -> Result<Vec<(PathBuf, PathBuf)>, BuildError> {
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

/// Puts a module, and the metadata beside it, into a folder, which is made if it is missing. Gives its new place.
///
/// ```no_run
/// # use std::path::Path;
/// let installed = tidegate_filter_build::install(Path::new("target/my_filter.wasm"), Path::new("filters"))?;
/// assert_eq!(installed, Path::new("filters/my_filter.wasm"));
/// # Ok::<(), tidegate_filter_build::BuildError>(())
/// ```
///
/// # Errors
/// [`BuildError::Copy`].
pub fn install(module: &Path, folder: &Path) -> Result<PathBuf, BuildError> {
    std::fs::create_dir_all(folder).map_err(|error| BuildError::Copy {
        file: folder.to_path_buf(),
        error,
    })?;
    let place = folder.join(module.file_name().unwrap_or_default());
    let meta = module.with_extension("meta.json");
    if meta.is_file() {
        copy(&meta, &place.with_extension("meta.json"))?;
    }
    copy(module, &place)?;
    Ok(place)
}

/// By a new file that takes the place of the old: a gateway that watches it never sees half of it.
fn copy(from: &Path, to: &Path) -> Result<(), BuildError> {
    let half = to.with_extension("part");
    let copied = std::fs::copy(from, &half).and_then(|_| std::fs::rename(&half, to));
    copied.map_err(|error| BuildError::Copy {
        file: from.to_path_buf(),
        error,
    })
}

/// Modules that cargo says it made, each with the folder of its package, from its messages, one JSON object a line.
fn modules(messages: &str) -> Vec<(PathBuf, PathBuf)> {
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
            .map(|path| (PathBuf::from(path), package.clone()))
            .collect::<Vec<_>>()
    });
    files
        .filter(|(file, _)| file.extension().is_some_and(|extension| extension == "wasm"))
        .filter(|(file, _)| !file.components().any(|part| part.as_os_str() == "deps"))
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

fn program(variable: &str, default: &str) -> Command {
    Command::new(std::env::var_os(variable).unwrap_or_else(|| default.into()))
}

fn run(mut command: Command) -> Result<Output, BuildError> {
    // What an outer cargo sets for its own compilation would go for the guest's too.
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOCFLAGS",
    ] {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| BuildError::Program {
            program: command.get_program().to_string_lossy().into_owned(),
            error,
        })
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
            [(PathBuf::from("/t/release/a.wasm"), PathBuf::from("/p"))]
        );
    }

    #[test]
    fn a_folder_without_a_project_is_no_filter() {
        let error = build(&std::env::temp_dir(), None).unwrap_err();
        assert!(matches!(error, BuildError::Compile(text) if text.contains("Cargo.toml")));
    }
}
