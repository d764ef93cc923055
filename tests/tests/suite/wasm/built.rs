//! Filters in Rust, compiled when a test asks for them.

use std::path::{Path, PathBuf};

/// The modules of a project below the folder of the tests.
pub(super) fn built(project: &str) -> Vec<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join(project);
    // Beside the gateway's own work, so that it is there the next time.
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap().join("filters");
    tidegate_filter_build::build(&package, Some(&target)).unwrap_or_else(|error| panic!("{error}"))
}
