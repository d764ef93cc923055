//! JavaScript: `componentize-js` puts the source and an interpreter into one component.

use crate::npm::{Package, compiler};
use crate::tools::compile;
use crate::world::{self, WORLD};
use crate::{BuildError, Built, module_place};
use std::path::Path;
use std::process::Command;

/// The package whose name in a `package.json` makes a folder a filter in JavaScript.
pub(crate) const PACKAGE: &str = "@bytecodealliance/componentize-js";

/// The module of the filter where `package.json` names no `main`.
const MAIN: &str = "filter.js";

pub(crate) fn build(folder: &Path, target_folder: Option<&Path>) -> Result<Built, BuildError> {
    let package = Package::of(folder)?;
    let main = folder.join(package.main.as_deref().unwrap_or(MAIN));
    if !main.is_file() {
        return Err(BuildError::Project {
            file: main,
            reason: "is missing: it is the module of the filter, as `main` of package.json names it"
                .to_owned(),
        });
    }
    let component = module_place(folder, target_folder, &package.name)?;
    let wit = world::lay_out(folder, &component)?;
    let path = std::env::var_os("PATH");
    let tool = compiler(folder, path.as_deref(), "JavaScript", "componentize-js")?;
    let mut command = Command::new(tool);
    command
        .current_dir(folder)
        .arg(std::path::absolute(&main).unwrap_or(main))
        .arg("--wit")
        .arg(&wit)
        .args(["--world-name", WORLD])
        .arg("--out")
        .arg(&component)
        // Calls go through `outbound`, under the gateway's rules.
        .args(["--disable", "http", "fetch-event"]);
    compile(command)?;
    Ok(Built {
        module: component,
        package: folder.to_path_buf(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_project_needs_its_module_and_its_world() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let fault = || build(folder.path(), None).unwrap_err().to_string();
        put("package.json", r#"{"name": "sign", "main": "src/sign.js"}"#);
        assert!(fault().contains("src/sign.js: is missing"));
        put("package.json", r#"{"name": "sign"}"#);
        put("filter.js", "");
        assert!(fault().contains("world.wit: is missing"), "{}", fault());
    }
}
