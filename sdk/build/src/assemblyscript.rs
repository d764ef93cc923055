//! AssemblyScript: its compiler `asc`, from the project's npm packages or the search path.

use crate::npm::{Package, compiler};
use crate::tools::compile;
use crate::{BuildError, Built, module_place};
use std::path::Path;
use std::process::Command;

/// The package whose name in a `package.json` makes a folder a filter in AssemblyScript.
pub(crate) const PACKAGE: &str = "assemblyscript";

/// The entry of the project and the compiler's options.
const OPTIONS: &str = "asconfig.json";

pub(crate) fn build(folder: &Path, target_folder: Option<&Path>) -> Result<Built, BuildError> {
    let name = Package::of(folder)?.name;
    if !folder.join(OPTIONS).is_file() {
        return Err(BuildError::Project {
            file: folder.join(OPTIONS),
            reason: "is missing: it names the entry of the filter and the compiler's options".to_owned(),
        });
    }
    let module = module_place(folder, target_folder, &name)?;
    let path = std::env::var_os("PATH");
    let mut asc = Command::new(compiler(folder, path.as_deref(), "AssemblyScript", "asc")?);
    asc.current_dir(folder)
        .args(["--config", OPTIONS, "--target", "release", "--outFile"])
        .arg(&module);
    compile(asc)?;
    Ok(Built {
        module,
        package: folder.to_path_buf(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_project_without_options_for_the_compiler_is_refused_by_the_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let package = r#"{"name": "sign", "devDependencies": {"assemblyscript": "1"}}"#;
        fs::write(folder.path().join("package.json"), package).unwrap();
        let error = build(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("asconfig.json: is missing"), "{error}");
    }
}
