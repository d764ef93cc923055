//! The world of a component, for compilers that read it from files: the project says in which phases it takes part, and
//! the package `tidegate:filter` is put beside that.

use crate::{BuildError, replace};
use std::path::{Path, PathBuf};

/// The project's world.
const FILE: &str = "world.wit";

/// The name that it has there.
pub(crate) const WORLD: &str = "filter-world";

const PACKAGE: &str = include_str!("../../../wit/filter.wit");

/// Makes the folder that a compiler reads, beside the component that it will make.
pub(crate) fn lay_out(project: &Path, component: &Path) -> Result<PathBuf, BuildError> {
    let own = project.join(FILE);
    let fault = |reason: String| BuildError::Project {
        file: own.clone(),
        reason,
    };
    if !own.is_file() {
        return Err(fault(
            "is missing: it names the phases in which the filter takes part".to_owned(),
        ));
    }
    let world = std::fs::read_to_string(&own).map_err(|error| fault(error.to_string()))?;
    let has_name = world
        .split_whitespace()
        .collect::<Vec<_>>()
        .windows(2)
        .any(|words| matches!(words, ["world", name] if name.split('{').next() == Some(WORLD)));
    if !has_name {
        return Err(fault(format!("has no `world {WORLD}`")));
    }
    let folder = component.with_extension("wit");
    let dependencies = folder.join("deps");
    std::fs::create_dir_all(&dependencies).map_err(|error| BuildError::Copy {
        file: dependencies.clone(),
        error,
    })?;
    replace(&folder.join(FILE), |half| std::fs::write(half, &world))?;
    replace(&dependencies.join("filter.wit"), |half| {
        std::fs::write(half, PACKAGE)
    })?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_package_is_put_beside_the_world_of_the_project() {
        let folder = tempfile::tempdir().unwrap();
        let component = folder.path().join("sign.wasm");
        let laid = |text: &str| {
            fs::write(folder.path().join(FILE), text).unwrap();
            lay_out(folder.path(), &component).map_err(|error| error.to_string())
        };
        let refusal = laid("package a:b;\nworld other {}").unwrap_err();
        assert!(refusal.ends_with("has no `world filter-world`"), "{refusal}");
        let wit = laid("package a:b;\nworld filter-world{}").unwrap();
        assert_eq!(wit, folder.path().join("sign.wit"));
        let package = fs::read_to_string(wit.join("deps/filter.wit")).unwrap();
        assert!(package.starts_with("package tidegate:filter@0.1.0;"));
    }
}
