//! Pages of the documentation, followed to the letter.

use std::path::{Path, PathBuf};
use std::process::Command;
use tidegate_tests::{binary, ports};

/// The folder of the sources.
pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// What the commands of a page printed, and the folder that they ran in.
pub(crate) struct Followed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) folder: tempfile::TempDir,
}

/// Runs the blocks of a page that are marked `sh`, as one script; those marked `console` are for the reader alone. Ports
/// that the page names become free ones, and the address of the Admin API is `127.0.0.1:8001`.
pub(crate) fn follow(page: &str, seconds: u32, environment: &[(&str, &str)]) -> Followed {
    let page = std::fs::read_to_string(checkout().join(page)).unwrap();
    let commands = commands(&page);
    assert!(commands.len() >= 4, "the page shows how it is done");
    let [proxy, admin, backend] = [(); 3].map(|()| ports::free_address().port().to_string());
    let script = commands
        .join("\n")
        .replace("8000", &proxy)
        .replace("8001", &admin)
        .replace("9001", &backend);
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::join_paths(
        std::iter::once(binary::path().parent().unwrap().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    // What the script leaves running goes with it.
    let script = format!("trap 'kill ${{gateway:-}} ${{backend:-}} 2>/dev/null || true' EXIT\n{script}");
    let output = Command::new("timeout")
        .args([&seconds.to_string(), "sh", "-eu", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env("TIDEGATE_PREFIX", folder.path())
        .env("TIDEGATE_PROXY_LISTEN", format!("127.0.0.1:{proxy}"))
        .env("TIDEGATE_ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
        .env("TIDEGATE_STATUS_LISTEN", "off")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stdout}\n{stderr}");
    Followed {
        stdout,
        stderr,
        folder,
    }
}

fn commands(page: &str) -> Vec<&str> {
    let parts = page.split("```sh\n").skip(1);
    parts.map(|part| part.split("\n```").next().unwrap()).collect()
}
