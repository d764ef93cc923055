//! Finding programs and running them.

use crate::BuildError;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program that a variable names, or the usual one.
pub(crate) fn program(variable: &str, default: &str) -> Command {
    Command::new(std::env::var_os(variable).unwrap_or_else(|| default.into()))
}

/// The first of some programs that is in the search path.
pub(crate) fn find(path: Option<&OsStr>, names: &[&str]) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(path?).collect();
    names.iter().find_map(|name| {
        let mut places = folders.iter().map(|folder| folder.join(name));
        places.find(|place| place.is_file())
    })
}

pub(crate) fn run(mut command: Command) -> Result<Output, BuildError> {
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

/// Runs a compiler; what it says is the error when it fails.
pub(crate) fn compile(command: Command) -> Result<(), BuildError> {
    let output = run(command)?;
    if output.status.success() {
        return Ok(());
    }
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stdout));
    Err(BuildError::Compile(said))
}

/// What a program prints, when it is there and succeeds.
pub(crate) fn printed(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}
