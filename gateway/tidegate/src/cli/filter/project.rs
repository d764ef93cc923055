//! Projects: from a template, and to modules.

use super::language::Template;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) fn create(
    folder: &Path,
    template: &Template,
    sdk: Option<&Path>,
    stdout: &mut dyn Write,
) -> Result<()> {
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
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{module}}", &name.replace('-', "_"))
            .replace("{{sdk}}", &sdk.display().to_string())
            .replace("{{project}}", &folder.display().to_string())
    };
    for (path, text) in template.files {
        write(&folder.join(path), &fill(text))?;
    }
    write(
        &folder.join(".gitignore"),
        &format!("{}\n", template.ignored.join("\n")),
    )?;
    writeln!(stdout, "made {}", folder.display())?;
    for command in template.next {
        writeln!(stdout, "  {}", fill(command))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
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
    use super::super::language::Language;
    use super::*;
    use clap::ValueEnum;

    fn sdk() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk")
    }

    #[test]
    fn a_new_project_has_its_name_everywhere_and_leaves_what_is_there_alone() {
        for language in Language::value_variants() {
            let template = language.template();
            let folder = tempfile::tempdir().expect("a folder");
            let project = folder.path().join("my-filter");
            let mut shown = Vec::new();
            create(&project, template, Some(&sdk()), &mut shown).expect("made");
            for (path, _) in template.files {
                let text = fs::read_to_string(project.join(path)).expect("written");
                assert!(!text.contains("{{"), "{language:?} {path}");
            }
            let readme = fs::read_to_string(project.join("README.md")).expect("written");
            assert!(readme.starts_with("# my-filter\n") && readme.contains("my_filter.wasm"));
            let shown = String::from_utf8(shown).expect("text");
            assert!(shown.contains("/my-filter") && !shown.contains("{{"), "{shown}");
            let built_as = tidegate_filter_build::Language::of(&project);
            let built_as = format!("{:?}", built_as.expect("a project"));
            assert_eq!(built_as, format!("{language:?}").replace("RustComponent", "Rust"));
            let again = create(&project, template, Some(&sdk()), &mut Vec::new()).expect_err("there already");
            assert!(again.to_string().ends_with("my-filter is there already"));
        }
    }

    #[test]
    fn names_that_cargo_or_a_file_system_would_refuse_are_refused_first() {
        let refusal = |name: &str, sdk: &Path| {
            let made = create(
                Path::new(name),
                Language::Rust.template(),
                Some(sdk),
                &mut Vec::new(),
            );
            made.expect_err(name).to_string()
        };
        for name in ["", "My", "a_b", "1a", "a b", "-a", "é"] {
            let text = refusal(name, &sdk());
            assert!(text.contains("cannot be the name of a filter"), "{name}");
        }
        assert!(refusal("fine", Path::new("/tmp")).contains("is not the folder `sdk`"));
    }
}
