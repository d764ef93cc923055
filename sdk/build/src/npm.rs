//! What the languages share whose compilers are npm packages.

use crate::BuildError;
use crate::tools::find;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The file that makes a folder a filter in a language, by the package that it asks for.
pub(crate) const MANIFEST: &str = "package.json";

/// What a [`MANIFEST`] says.
#[derive(Debug)]
pub(crate) struct Package {
    /// Without its scope.
    pub(crate) name: String,
    /// The module that others would import.
    pub(crate) main: Option<String>,
}

/// Whether a folder's package asks for another for its development, or to run.
pub(crate) fn asks_for(folder: &Path, package: &str) -> bool {
    read(&folder.join(MANIFEST)).is_ok_and(|manifest| {
        ["devDependencies", "dependencies"].iter().any(|kind| {
            let packages = manifest.get(kind).and_then(Value::as_object);
            packages.is_some_and(|packages| packages.contains_key(package))
        })
    })
}

fn read(manifest: &Path) -> Result<Value, BuildError> {
    let fault = |reason: String| BuildError::Project {
        file: manifest.to_path_buf(),
        reason,
    };
    let text = std::fs::read(manifest).map_err(|error| fault(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))
}

impl Package {
    pub(crate) fn of(folder: &Path) -> Result<Self, BuildError> {
        let manifest = folder.join(MANIFEST);
        let package = read(&manifest)?;
        let text = |name: &str| package.get(name).and_then(Value::as_str);
        match text("name").unwrap_or_default().rsplit('/').next() {
            Some(name) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                main: text("main").map(str::to_owned),
            }),
            _ => Err(BuildError::Project {
                file: manifest,
                reason: "has no `name`".to_owned(),
            }),
        }
    }
}

/// A compiler that runs on Node.js: of the project's packages, of a folder's above, or of the search path.
pub(crate) fn compiler(
    folder: &Path,
    path: Option<&OsStr>,
    language: &str,
    program: &str,
) -> Result<PathBuf, BuildError> {
    if find(path, &["node"]).is_none() {
        return Err(BuildError::Tool {
            missing: format!("there is no `node`, which {language}'s compiler runs on"),
            install: "apt-get install nodejs npm".to_owned(),
        });
    }
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let mut places = whole
        .ancestors()
        .map(|above| above.join("node_modules/.bin").join(program));
    let installed = places.find(|compiler| compiler.is_file());
    installed
        .or_else(|| find(path, &[program]))
        .ok_or_else(|| BuildError::Tool {
            missing: format!(
                "{language}'s compiler `{program}` is neither among the npm packages of {} nor in the search path",
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
    fn a_package_has_its_name_without_scope_and_asks_for_a_compiler() {
        let folder = tempfile::tempdir().unwrap();
        let named = |text: &str| {
            fs::write(folder.path().join(MANIFEST), text).unwrap();
            let package = Package::of(folder.path()).map_err(|error| error.to_string());
            (
                package.map(|package| package.name),
                asks_for(folder.path(), "asc"),
            )
        };
        let asking = |name: &str| format!(r#"{{"name": "{name}", "devDependencies": {{"asc": "1"}}}}"#);
        assert_eq!(named(&asking("sign")), (Ok("sign".to_owned()), true));
        assert_eq!(named(&asking("@acme/sign")).0.unwrap(), "sign");
        assert!(named(&asking("")).0.unwrap_err().ends_with("has no `name`"));
        let other = r#"{"name": "sign", "dependencies": {"typescript": "5"}}"#;
        assert_eq!(named(other), (Ok("sign".to_owned()), false));
        assert!(named("{").0.is_err());
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
        let compiler = || compiler(&project, Some(programs.as_os_str()), "AssemblyScript", "asc");
        let missing = |what: &str| {
            let error = compiler().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        missing("run `apt-get install nodejs npm`");
        put(programs.join("node"));
        missing(&format!("run `npm install --prefix {}`", project.display()));
        let global = put(programs.join("asc"));
        assert_eq!(compiler().unwrap(), global);
        let above = put(root.path().join("node_modules/.bin/asc"));
        assert_eq!(compiler().unwrap(), above);
        let own = put(project.join("node_modules/.bin/asc"));
        assert_eq!(compiler().unwrap(), own);
    }
}
