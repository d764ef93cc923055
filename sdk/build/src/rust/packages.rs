//! What a folder's manifest says of its packages.

use crate::BuildError;
use crate::tools::{program, run};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Packages that cargo builds in a folder, by kind.
pub(crate) struct Packages {
    pub(crate) modules: Vec<String>,
    pub(crate) components: Vec<String>,
    /// Where the project keeps what it builds.
    pub(crate) target_folder: PathBuf,
}

impl Packages {
    pub(crate) fn find(folder: &Path) -> Result<Self, BuildError> {
        let mut cargo = program("CARGO", "cargo");
        cargo
            .current_dir(folder)
            .args(["metadata", "--format-version", "1", "--no-deps"]);
        let output = run(cargo)?;
        if !output.status.success() {
            return Err(BuildError::Compile(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ));
        }
        let metadata = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let manifest = folder.join("Cargo.toml").canonicalize().unwrap_or_default();
        Ok(Self::read(&metadata, &manifest))
    }

    /// The package of that manifest; those that the workspace builds when it is the workspace's own.
    fn read(metadata: &Value, manifest: &Path) -> Self {
        let member = |name: &str| metadata.get(name).and_then(Value::as_array);
        let is_own = |package: &Value| {
            let path = package.get("manifest_path").and_then(Value::as_str);
            path.is_some_and(|path| Path::new(path) == manifest)
        };
        let has_own = member("packages").into_iter().flatten().any(is_own);
        let defaults = member("workspace_default_members");
        let is_wanted = |package: &Value| {
            let id = package.get("id");
            if has_own {
                is_own(package)
            } else {
                defaults.is_none_or(|defaults| defaults.iter().any(|default| Some(default) == id))
            }
        };
        let target_folder = metadata.get("target_directory").and_then(Value::as_str);
        let mut packages = Self {
            modules: Vec::new(),
            components: Vec::new(),
            target_folder: target_folder.unwrap_or("target").into(),
        };
        for package in member("packages")
            .into_iter()
            .flatten()
            .filter(|package| is_wanted(package))
        {
            let Some(name) = package.get("name").and_then(Value::as_str) else {
                continue;
            };
            let is_component = package.pointer("/metadata/tidegate/component") == Some(&Value::Bool(true));
            if is_component {
                packages.components.push(name.to_owned());
            } else {
                packages.modules.push(name.to_owned());
            }
        }
        packages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn packages_that_cargo_builds_are_told_apart_by_their_metadata() {
        let metadata = json!({
            "target_directory": "/t",
            "workspace_default_members": ["a", "b"],
            "packages": [
                { "name": "a", "id": "a", "manifest_path": "/p/a/Cargo.toml", "metadata": null },
                { "name": "b", "id": "b", "metadata": { "tidegate": { "component": true } } },
                { "name": "c", "id": "c", "metadata": null },
            ],
        });
        let packages = Packages::read(&metadata, Path::new("/p/Cargo.toml"));
        assert_eq!(packages.modules, ["a"]);
        assert_eq!(packages.components, ["b"]);
        assert_eq!(packages.target_folder, Path::new("/t"));
        let own = Packages::read(&metadata, Path::new("/p/a/Cargo.toml"));
        assert_eq!((own.modules, own.components), (vec!["a".to_owned()], vec![]));
    }
}
