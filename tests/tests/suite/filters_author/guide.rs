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
    let [proxy, backend] = [(); 2].map(|()| tidegate_tests::ports::free_address().port().to_string());
    let script = commands
        .join("\n")
        .replace("8000", &proxy)
        .replace("9001", &backend);
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::join_paths(
        std::iter::once(binary::path().parent().unwrap().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    // What the script leaves running goes with it.
    let script = format!("trap 'kill ${{gateway:-}} ${{backend:-}} 2>/dev/null || true' EXIT\n{script}");
    let output = Command::new("timeout")
        .args(["300", "sh", "-eu", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env("CARGO_TARGET_DIR", guest_target())
        .env("CHECKOUT", root.canonicalize().unwrap())
        .env("TIDEGATE_PREFIX", folder.path())
        .env("TIDEGATE_PROXY_LISTEN", format!("127.0.0.1:{proxy}"))
        .env("TIDEGATE_STATUS_LISTEN", "off")
        .env("TIDEGATE_ADMIN_LISTEN", "off")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let parts = [
        "x-greeting: good morning",
        "abi        proxy-wasm 0.2.1",
        "p99",
        "\"X-Greeting\": \"good morning\"",
        "\"X-Welcome\": \"good morning\"",
    ];
    for part in parts {
        assert!(stdout.contains(part), "{part} in {stdout}\n{stderr}");
    }
    assert_eq!(stdout.matches("\"X-Greeting\"").count(), 1, "on one route alone");
    assert!(folder.path().join("filters/hello.wasm").is_file());
    assert!(folder.path().join("filters/hello.meta.json").is_file());
}
