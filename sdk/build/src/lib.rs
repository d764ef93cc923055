//! Compiles filters to WebAssembly: those in Rust with cargo, those in C with clang or zig, those in AssemblyScript with
//! asc, those in JavaScript with componentize-js, those in Python with componentize-py. What is in the folder of a project
//! tells its language.
//!
//! A package in Rust makes a proxy-wasm module, or a component if its manifest says `component = true` under
//! `[package.metadata.tidegate]`; a workspace may have both. JavaScript and Python make components.
//!
//! ```no_run
//! let built = tidegate_filter_build::build(std::path::Path::new("my-filter"), None)?;
//! for module in built {
//!     println!("{}", module.display());
//! }
//! # Ok::<(), tidegate_filter_build::BuildError>(())
//! ```

mod assemblyscript;
mod c;
mod javascript;
mod npm;
mod python;
mod rust;
mod tools;
mod world;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The compiler's target for filters in Rust.
pub const TARGET: &str = "wasm32-wasip1";

/// Metadata of a filter in its package: schema of the configuration, labels of metrics, options.
pub const META: &str = "filter.meta.json";

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nothing in the folder tells a language.
    #[error(
        "{} is no project of a filter: it has neither Cargo.toml (Rust) nor filter.c (C) nor filter.py (Python), nor a package.json that asks for `assemblyscript` or `@bytecodealliance/componentize-js`",
        .0.display()
    )]
    NoProject(PathBuf),
    /// A file of the project is not as it must be.
    #[error("{}: {reason}", file.display())]
    Project {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What compiles the language is not installed.
    #[error("{missing}\nrun `{install}`")]
    Tool {
        /// What is missing, and where it was looked for.
        missing: String,
        /// The command that installs it.
        install: String,
    },
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
    #[error("cannot write {}: {error}", file.display())]
    Copy {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// What a project is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Language {
    /// With a `Cargo.toml`: one package, or a workspace of them.
    Rust,
    /// With a `filter.c`; other C files beside it are part of the filter, and `compile_flags.txt` has more flags for the
    /// compiler, one a line.
    C,
    /// With a `package.json` that asks for `assemblyscript`, and an `asconfig.json` that names the entry and the options.
    AssemblyScript,
    /// With a `package.json` that asks for `@bytecodealliance/componentize-js` and names the module of the filter as
    /// `main`, and a `world.wit` that names its phases.
    JavaScript,
    /// With a `filter.py`, and a `world.wit` that names its phases.
    Python,
}

impl Language {
    /// The language of the project in a folder; `None` when nothing there tells.
    ///
    /// ```
    /// # use tidegate_filter_build::Language;
    /// let here = Language::of(std::path::Path::new(env!("CARGO_MANIFEST_DIR")));
    /// assert_eq!(here, Some(Language::Rust));
    /// ```
    #[must_use]
    pub fn of(folder: &Path) -> Option<Self> {
        let markers = [
            ("Cargo.toml", Self::Rust),
            (c::MAIN, Self::C),
            (python::MAIN, Self::Python),
        ];
        let found = markers.iter().find(|(file, _)| folder.join(file).is_file());
        let packages = [
            (assemblyscript::PACKAGE, Self::AssemblyScript),
            (javascript::PACKAGE, Self::JavaScript),
        ];
        let asked_for = || {
            packages
                .iter()
                .find(|(package, _)| npm::asks_for(folder, package))
        };
        found.or_else(asked_for).map(|(_, language)| *language)
    }
}

/// A module, and the folder that has its [`META`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Built {
    module: PathBuf,
    package: PathBuf,
}

/// Compiles the project in `folder` for release, and gives its modules by name. A package's [`META`] is put beside its
/// module as `<module>.meta.json`. Modules have the name of the package, or of the folder in C and Python, with `_` for `-`.
///
/// For Rust the target is added by rustup where it is missing, and flags for another compilation (`RUSTFLAGS`) are left
/// out, so that those of the project hold. `target_folder` is where the compilers keep their work; `None`: where the
/// project keeps it, which is `build` in the other languages.
///
/// # Errors
/// See [`BuildError`].
pub fn build(folder: &Path, target_folder: Option<&Path>) -> Result<Vec<PathBuf>, BuildError> {
    let built = match Language::of(folder) {
        Some(Language::Rust) => rust::build(folder, target_folder)?,
        Some(Language::C) => vec![c::build(folder, target_folder)?],
        Some(Language::AssemblyScript) => vec![assemblyscript::build(folder, target_folder)?],
        Some(Language::JavaScript) => vec![javascript::build(folder, target_folder)?],
        Some(Language::Python) => vec![python::build(folder, target_folder)?],
        None => return Err(BuildError::NoProject(folder.to_path_buf())),
    };
    for Built { module, package } in &built {
        let meta = package.join(META);
        if meta.is_file() {
            copy(&meta, &module.with_extension("meta.json"))?;
        }
    }
    Ok(built.into_iter().map(|built| built.module).collect())
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

fn copy(from: &Path, to: &Path) -> Result<(), BuildError> {
    replace(to, |half| std::fs::copy(from, half).map(drop))
}

/// By a new file that takes the place of the old: a gateway that watches it never sees half of it.
fn replace(to: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), BuildError> {
    // One of its own for each copy: tests of a project build it at the same time.
    static COPIES: AtomicU64 = AtomicU64::new(0);
    let number = COPIES.fetch_add(1, Ordering::Relaxed);
    let half = to.with_extension(format!("{}-{number}.part", std::process::id()));
    let written = write(&half).and_then(|()| std::fs::rename(&half, to));
    written.map_err(|error| BuildError::Copy {
        file: to.to_path_buf(),
        error,
    })
}

/// Where a compiler puts the module `name` of a project, in a folder that is there.
fn module_place(folder: &Path, target_folder: Option<&Path>, name: &str) -> Result<PathBuf, BuildError> {
    let work = target_folder.map_or_else(|| folder.join("build"), |target| target.join("modules"));
    std::fs::create_dir_all(&work).map_err(|error| BuildError::Copy {
        file: work.clone(),
        error,
    })?;
    // The compiler runs elsewhere: in the folder of the project.
    let work = std::path::absolute(&work).map_err(|error| BuildError::Copy {
        file: work.clone(),
        error,
    })?;
    Ok(work.join(format!("{}.wasm", name.replace('-', "_"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_project_is_no_filter() {
        let folder = tempfile::tempdir().unwrap();
        let error = build(folder.path(), None).unwrap_err().to_string();
        for file in ["Cargo.toml", "filter.c", "filter.py", "package.json"] {
            assert!(error.contains(file), "{error}");
        }
    }
}
