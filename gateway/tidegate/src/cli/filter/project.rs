//! Projects: from a template, and to modules.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../sdk/templates/rust/",
            $path
        ))
    };
}

/// Files of a new project.
const RUST: [(&str, &str); 7] = [
    ("Cargo.toml", template!("Cargo.toml.in")),
    (".cargo/config.toml", template!("cargo-config.toml.in")),
    ("src/lib.rs", template!("src/lib.rs.in")),
    ("tests/filter.rs", template!("tests/filter.rs.in")),
    ("filter.meta.json", template!("filter.meta.json.in")),
    ("request.http", template!("request.http.in")),
    ("README.md", template!("README.md.in")),
];

pub(super) fn create(folder: &Path, sdk: Option<&Path>, stdout: &mut dyn Write) -> Result<()> {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    check_name(name)?;
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    let sdk = match sdk {
        Some(sdk) => sdk
            .canonicalize()
            .with_context(|| format!("cannot find the SDK in {}", sdk.display()))?,
        None => find_sdk().context(
            "there is no checkout of Tidegate above this folder: name its folder `sdk` with --sdk FOLDER",
        )?,
    };
    if !is_sdk(&sdk) {
        bail!("{} is not the folder `sdk` of Tidegate", sdk.display());
    }
    let module = name.replace('-', "_");
    for (path, template) in RUST {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        }
        let text = template
            .replace("{{name}}", name)
            .replace("{{module}}", &module)
            .replace("{{sdk}}", &sdk.display().to_string());
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    fs::write(folder.join(".gitignore"), "/target\n/filters\n")?;
    let shown = folder.display();
    writeln!(
        stdout,
        "made {shown}\n  tidegate filter build {shown} --out filters\n  cargo test --manifest-path {shown}/Cargo.toml"
    )?;
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let is_fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 60
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_fine {
        bail!("`{name}` cannot be the name of a filter: small letters, digits and `-`, a letter first");
    }
    Ok(())
}

fn is_sdk(folder: &Path) -> bool {
    folder.join("rust/Cargo.toml").is_file() && folder.join("test/Cargo.toml").is_file()
}

fn find_sdk() -> Option<PathBuf> {
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    starts.into_iter().flatten().find_map(|start| {
        let mut candidates = start.ancestors().map(|folder| folder.join("sdk"));
        candidates.find(|sdk| is_sdk(sdk))
    })
}

pub(super) fn build(folder: &Path, out: Option<&Path>, stdout: &mut dyn Write) -> Result<()> {
    for module in tidegate_filter_build::build(folder, None)? {
        let module = match out {
            Some(out) => tidegate_filter_build::install(&module, out)?,
            None => module,
        };
        let size = fs::metadata(&module)?.len();
        writeln!(stdout, "{} ({size} bytes)", module.display())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdk() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk")
    }

    #[test]
    fn a_new_project_has_its_name_everywhere_and_leaves_what_is_there_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let project = folder.path().join("my-filter");
        create(&project, Some(&sdk()), &mut Vec::new()).expect("made");
        for (path, _) in RUST {
            let text = fs::read_to_string(project.join(path)).expect("written");
            assert!(!text.contains("{{"), "{path}");
        }
        let manifest = fs::read_to_string(project.join("Cargo.toml")).expect("written");
        assert!(manifest.contains("name = \"my-filter\""));
        let again = create(&project, Some(&sdk()), &mut Vec::new()).expect_err("there already");
        assert!(again.to_string().ends_with("my-filter is there already"));
    }

    #[test]
    fn names_that_cargo_or_a_file_system_would_refuse_are_refused_first() {
        for name in ["", "My", "a_b", "1a", "a b", "-a", "é"] {
            let error = create(Path::new(name), Some(&sdk()), &mut Vec::new()).expect_err(name);
            assert!(
                error.to_string().contains("cannot be the name of a filter"),
                "{name}"
            );
        }
        let error = create(Path::new("fine"), Some(Path::new("/tmp")), &mut Vec::new()).expect_err("no SDK");
        assert!(error.to_string().contains("is not the folder `sdk`"));
    }
}
