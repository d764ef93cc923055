//! What a folder's manifest says of its packages.

use crate::{BuildError, program, run};
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
        Ok(Self::read(&metadata))
    }

    fn read(metadata: &Value) -> Self {
        let member = |name: &str| metadata.get(name).and_then(Value::as_array);
        let defaults = member("workspace_default_members");
        let is_default = |package: &Value| {
            let id = package.get("id");
            defaults.is_none_or(|defaults| defaults.iter().any(|default| Some(default) == id))
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
            .filter(|package| is_default(package))
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
                { "name": "a", "id": "a", "metadata": null },
                { "name": "b", "id": "b", "metadata": { "tidegate": { "component": true } } },
                { "name": "c", "id": "c", "metadata": null },
            ],
        });
        let packages = Packages::read(&metadata);
        assert_eq!(packages.modules, ["a"]);
        assert_eq!(packages.components, ["b"]);
        assert_eq!(packages.target_folder, Path::new("/t"));
    }
}
