//! The guide for authors, followed to the letter.

use super::guest_target;
use std::path::Path;
use std::process::Command;
use tidegate_tests::binary;

/// Blocks of a page that are marked `sh`; those marked `console` are for the reader alone.
fn commands(page: &str) -> Vec<&str> {
    let mut parts = page.split("```sh\n").skip(1);
    parts
        .by_ref()
        .map(|part| part.split("\n```").next().unwrap())
        .collect()
}

#[test]
fn the_commands_of_the_guide_lead_to_a_filter_that_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/filters.md")).unwrap();
    let commands = commands(&page);
    assert!(commands.len() >= 4, "the page shows how it is done");
    let script = commands.join("\n");
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::join_paths(
        std::iter::once(binary::path().parent().unwrap().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let output = Command::new("sh")
        .args(["-eu", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env("CARGO_TARGET_DIR", guest_target())
        .env("TIDEGATE_CHECKOUT", root.canonicalize().unwrap())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for part in ["x-greeting: good morning", "abi        proxy-wasm 0.2.1", "p99"] {
        assert!(stdout.contains(part), "{part} in {stdout}");
    }
    assert!(folder.path().join("filters/hello.wasm").is_file());
    assert!(folder.path().join("filters/hello.meta.json").is_file());
}
