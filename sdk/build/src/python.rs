//! Python: `componentize-py` puts the modules of the project and an interpreter into one component.

use crate::tools::{compile, find};
use crate::world::{self, WORLD};
use crate::{BuildError, Built, module_place};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file that makes a folder a filter in Python.
pub(crate) const MAIN: &str = "filter.py";

/// Packages that the filter needs, and the compiler.
const REQUIREMENTS: &str = "requirements.txt";

/// The name under which the filter is imported.
const MODULE: &str = "filter";

pub(crate) fn build(folder: &Path, target_folder: Option<&Path>) -> Result<Built, BuildError> {
    let main = folder.join(MAIN);
    let whole = folder.canonicalize().map_err(|error| BuildError::Project {
        file: main,
        reason: error.to_string(),
    })?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let component = module_place(folder, target_folder, &name)?;
    let wit = world::lay_out(folder, &component)?;
    let variable = |name: &str| std::env::var_os(name);
    let tool = compiler(
        &whole,
        variable("VIRTUAL_ENV").as_deref(),
        variable("PATH").as_deref(),
    )?;
    let mut command = Command::new(tool);
    command
        .current_dir(&whole)
        .arg("--quiet")
        .arg("--wit-path")
        .arg(&wit)
        .args(["--world", WORLD, "componentize", MODULE, "--output"])
        .arg(&component);
    compile(command)?;
    Ok(Built {
        module: component,
        package: folder.to_path_buf(),
    })
}

/// That of the active virtual environment, of one in the project or above it, or of the search path.
fn compiler(folder: &Path, active: Option<&OsStr>, path: Option<&OsStr>) -> Result<PathBuf, BuildError> {
    let own = folder
        .ancestors()
        .flat_map(|above| [above.join(".venv"), above.join("venv")]);
    let mut places = active
        .map(PathBuf::from)
        .into_iter()
        .chain(own)
        .map(|environment| environment.join("bin/componentize-py"));
    let installed = places.find(|compiler| compiler.is_file());
    installed
        .or_else(|| find(path, &["componentize-py"]))
        .ok_or_else(|| {
            let environment = folder.join(".venv");
            BuildError::Tool {
                missing: format!(
                    "Python's compiler `componentize-py` is neither in a virtual environment of {} nor in the search path",
                    folder.display()
                ),
                install: format!(
                    "python3 -m venv {0} && {0}/bin/pip install -r {1}",
                    environment.display(),
                    folder.join(REQUIREMENTS).display()
                ),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_compiler_is_that_of_an_environment_or_of_the_search_path() {
        let root = tempfile::tempdir().unwrap();
        let (project, programs) = (root.path().join("a/project"), root.path().join("bin"));
        let put = |file: PathBuf| {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            file
        };
        let active = root.path().join("active");
        let find = |active: Option<&Path>| {
            let active = active.map(Path::as_os_str);
            compiler(&project, active, Some(programs.as_os_str())).map_err(|error| error.to_string())
        };
        let missing = find(None).unwrap_err();
        let command = format!("run `python3 -m venv {}/.venv && ", project.display());
        assert!(missing.contains(&command), "{missing}");
        let global = put(programs.join("componentize-py"));
        assert_eq!(find(Some(&active)).unwrap(), global);
        let above = put(root.path().join("venv/bin/componentize-py"));
        assert_eq!(find(None).unwrap(), above);
        let own = put(project.join(".venv/bin/componentize-py"));
        assert_eq!(find(None).unwrap(), own);
        let first = put(active.join("bin/componentize-py"));
        assert_eq!(find(Some(&active)).unwrap(), first);
    }

    #[test]
    fn a_project_needs_its_world() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MAIN), "").unwrap();
        let error = build(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("world.wit: is missing"), "{error}");
    }
}
