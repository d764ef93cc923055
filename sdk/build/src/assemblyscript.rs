//! AssemblyScript: its compiler `asc`, from the project's npm packages or the search path.

use crate::tools::{compile, find};
use crate::{BuildError, Built, module_place};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file that makes a folder a filter in AssemblyScript, when it asks for that package.
pub(crate) const MANIFEST: &str = "package.json";

/// The entry of the project and the compiler's options.
const OPTIONS: &str = "asconfig.json";

pub(crate) fn build(folder: &Path, target_folder: Option<&Path>) -> Result<Built, BuildError> {
    let name = name(&folder.join(MANIFEST))?;
    if !folder.join(OPTIONS).is_file() {
        return Err(BuildError::Project {
            file: folder.join(OPTIONS),
            reason: "is missing: it names the entry of the filter and the compiler's options".to_owned(),
        });
    }
    let module = module_place(folder, target_folder, &name)?;
    let mut asc = Command::new(compiler(folder, std::env::var_os("PATH").as_deref())?);
    asc.current_dir(folder)
        .args(["--config", OPTIONS, "--target", "release", "--outFile"])
        .arg(&module);
    compile(asc)?;
    Ok(Built {
        module,
        package: folder.to_path_buf(),
    })
}

/// The name of the package, without its scope.
fn name(manifest: &Path) -> Result<String, BuildError> {
    let fault = |reason: String| BuildError::Project {
        file: manifest.to_path_buf(),
        reason,
    };
    let text = std::fs::read(manifest).map_err(|error| fault(error.to_string()))?;
    let package: Value = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
    let asks_for_it = ["devDependencies", "dependencies"].iter().any(|kind| {
        let packages = package.get(kind).and_then(Value::as_object);
        packages.is_some_and(|packages| packages.contains_key("assemblyscript"))
    });
    if !asks_for_it {
        return Err(fault(
            "is for no known language: `assemblyscript` is not among its devDependencies".to_owned(),
        ));
    }
    let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
    match name.rsplit('/').next() {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(fault("has no `name`".to_owned())),
    }
}

fn compiler(folder: &Path, path: Option<&OsStr>) -> Result<PathBuf, BuildError> {
    if find(path, &["node"]).is_none() {
        return Err(BuildError::Tool {
            missing: "there is no `node`, which AssemblyScript's compiler runs on".to_owned(),
            install: "apt-get install nodejs npm".to_owned(),
        });
    }
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let mut places = whole.ancestors().map(|above| above.join("node_modules/.bin/asc"));
    let installed = places.find(|asc| asc.is_file());
    installed
        .or_else(|| find(path, &["asc"]))
        .ok_or_else(|| BuildError::Tool {
            missing: format!(
                "AssemblyScript's compiler `asc` is neither among the npm packages of {} nor in the search path",
                folder.display()
            ),
            install: format!("npm install --prefix {}", folder.display()),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_package_has_its_name_without_scope_and_asks_for_the_compiler() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join(MANIFEST);
        let named = |text: &str| {
            fs::write(&manifest, text).unwrap();
            name(&manifest).map_err(|error| error.to_string())
        };
        let asking =
            |name: &str| format!(r#"{{"name": "{name}", "devDependencies": {{"assemblyscript": "1"}}}}"#);
        assert_eq!(named(&asking("sign")).unwrap(), "sign");
        assert_eq!(named(&asking("@acme/sign")).unwrap(), "sign");
        assert!(named(&asking("")).unwrap_err().ends_with("has no `name`"));
        let other = named(r#"{"name": "sign", "dependencies": {"typescript": "5"}}"#);
        assert!(other.unwrap_err().contains("no known language"));
        assert!(named("{").is_err());
    }

    #[test]
    fn a_project_without_options_for_the_compiler_is_refused_by_the_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let package = r#"{"name": "sign", "devDependencies": {"assemblyscript": "1"}}"#;
        fs::write(folder.path().join(MANIFEST), package).unwrap();
        let error = build(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("asconfig.json: is missing"), "{error}");
    }

    #[test]
    fn the_compiler_is_that_of_the_project_or_of_a_folder_above_or_of_the_search_path() {
        let root = tempfile::tempdir().unwrap();
        let (project, programs) = (root.path().join("a/project"), root.path().join("bin"));
        let put = |file: PathBuf| {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            file
        };
        let path = Some(programs.as_os_str());
        let missing = |what: &str| {
            let error = compiler(&project, path).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        missing("run `apt-get install nodejs npm`");
        put(programs.join("node"));
        missing(&format!("run `npm install --prefix {}`", project.display()));
        let global = put(programs.join("asc"));
        assert_eq!(compiler(&project, path).unwrap(), global);
        let above = put(root.path().join("node_modules/.bin/asc"));
        assert_eq!(compiler(&project, path).unwrap(), above);
        let own = put(project.join("node_modules/.bin/asc"));
        assert_eq!(compiler(&project, path).unwrap(), own);
    }
}
