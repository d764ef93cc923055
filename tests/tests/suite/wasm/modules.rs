//! Attachments that say which module their filter is, by its file or its digest.

use super::guest::{Folder, Guest, adding};
use sha2::{Digest, Sha256};
use std::process::Command;
use tidegate_tests::gateway::Reload;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, Upstream, binary, eventually};

fn digest(guest: &Guest) -> String {
    hex::encode(Sha256::digest(guest.module()))
}

/// One route whose plugin `greeting` has these options.
fn with_options(upstream: &Upstream, options: &str) -> String {
    format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/a]}}\n\
         plugins:\n- {{name: greeting, route: a, config: text, tidegate: {{{options}}}}}\n",
        upstream.url()
    )
}

fn version(number: &str) -> Guest {
    adding("x-version", number)
}

/// A folder with `one` installed, `two` in a folder below, and `three` in another folder.
fn folders() -> (Folder, Folder) {
    let folder = Folder::new().with("one", &version("1"));
    std::fs::create_dir(folder.path().join("canary")).unwrap();
    folder.install("canary/two", &version("2"));
    (folder, Folder::new().with("three", &version("3")))
}

#[tokio::test]
async fn a_module_is_named_by_its_file_or_its_digest() {
    let upstream = Upstream::ok().await;
    let (folder, other) = folders();
    let two = folder.path().join("canary/two.wasm");
    let (one, two_digest) = (digest(&version("1")), digest(&version("2")).to_uppercase());
    let cases = [
        ("module: one.wasm".to_owned(), "1"),
        ("module: canary/two.wasm".to_owned(), "2"),
        (format!("module: {}", two.display()), "2"),
        (format!("module: {}/three.wasm", other.path().display()), "3"),
        (format!("module: 'sha256:{one}'"), "1"),
        (format!("module: canary/two.wasm, sha256: {two_digest}"), "2"),
        (format!("module: 'sha256:{one}', sha256: {one}"), "1"),
    ];
    let gateway = folder
        .attached(Gateway::with(with_options(&upstream, &cases[0].0)))
        .setting("wasm_module_folders", other.path().display().to_string())
        .start()
        .await;
    for (options, expected) in cases {
        let reload = gateway.reload(with_options(&upstream, &options)).await;
        assert_eq!(reload, Reload::Accepted, "{options}");
        assert_eq!(gateway.get("/a").await.header("x-version"), expected, "{options}");
    }
    let chain = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/a]}}\n\
         filter_chains:\n- {{name: c, route: a, filters: [{{name: greeting, tidegate: {{module: canary/two.wasm}}}}, \
         {{name: one, tidegate: {{sha256: {one}}}}}]}}\n",
        upstream.url()
    );
    assert_eq!(gateway.reload(chain).await, Reload::Accepted);
    assert_eq!(gateway.get("/a").await.headers.all("x-version"), ["2", "1"]);
}

#[tokio::test]
async fn a_schema_beside_a_named_module_is_the_one_that_counts() {
    let upstream = Upstream::ok().await;
    let (folder, _) = folders();
    let folder = folder.meta(
        "canary/two",
        r#"{"config_schema": {"type": "object", "required": ["level"]}}"#,
    );
    let start = folder.attached(Gateway::with(with_options(&upstream, "module: canary/two.wasm")));
    let (_, log) = start.try_start().await.unwrap_err();
    assert!(
        log.contains("greeting: config") && log.contains("object"),
        "{log}"
    );
}

/// What `tidegate check` says of a configuration.
fn check(yaml: &str, folder: &Folder, more: &[&str]) -> (bool, String) {
    let file = folder.path().join("kong.yaml");
    std::fs::write(&file, format!("_format_version: \"3.0\"\n{yaml}")).unwrap();
    let mut command = Command::new(binary::path());
    command.arg("check").arg(&file).env_clear();
    command.arg("--set").arg("wasm=on");
    command
        .arg("--set")
        .arg(format!("wasm_filters_path={}", folder.path().display()));
    command
        .arg("--set")
        .arg(format!("prefix={}", folder.path().display()));
    for setting in more {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (
        output.status.success(),
        text + &String::from_utf8_lossy(&output.stderr),
    )
}

#[tokio::test]
async fn check_tells_where_a_module_is_named_that_cannot_be_had() {
    let upstream = Upstream::ok().await;
    let (folder, other) = folders();
    std::os::unix::fs::symlink(
        other.path().join("three.wasm"),
        folder.path().join("canary/link.wasm"),
    )
    .unwrap();
    folder.put("canary/broken.wasm", b"no module");
    let outside = "is not in a folder that modules may be loaded from";
    let wrong = digest(&version("9"));
    let cases = [
        ("module: ../three.wasm".to_owned(), "tidegate.module", outside),
        (
            "module: canary/../../three.wasm".to_owned(),
            "tidegate.module",
            outside,
        ),
        (
            format!("module: {}/three.wasm", other.path().display()),
            "tidegate.module",
            outside,
        ),
        ("module: /etc/passwd".to_owned(), "tidegate.module", outside),
        ("module: canary/link.wasm".to_owned(), "tidegate.module", outside),
        (
            "module: canary/none.wasm".to_owned(),
            "tidegate.module",
            "cannot read the filter",
        ),
        (
            "module: canary/broken.wasm".to_owned(),
            "tidegate.module",
            "not a WebAssembly module",
        ),
        (
            format!("module: canary/two.wasm, sha256: {wrong}"),
            "tidegate.module",
            "has the digest",
        ),
        (
            format!("module: 'sha256:{wrong}'"),
            "tidegate.module",
            "no module in wasm_filters_path has this digest",
        ),
        (
            "module: 'sha256:12'".to_owned(),
            "tidegate.module",
            "64 hexadecimal digits",
        ),
        (
            "module: one.wasm, sha256: none".to_owned(),
            "tidegate.sha256",
            "64 hexadecimal digits",
        ),
        ("module: 5".to_owned(), "tidegate.module", "expected a string"),
        (
            format!("module: 'sha256:{}', sha256: {wrong}", digest(&version("1"))),
            "tidegate.sha256",
            "is not the digest of `module`",
        ),
    ];
    for (options, path, reason) in cases {
        let (is_right, text) = check(&with_options(&upstream, &options), &folder, &[]);
        assert!(!is_right, "{options}: {text}");
        assert!(text.contains(&format!("greeting: {path}: ")), "{options}: {text}");
        assert!(text.contains(reason), "{options}: {text}");
    }
    let installed = with_options(&upstream, &format!("sha256: {wrong}")).replace("greeting", "one");
    let (is_right, text) = check(&installed, &folder, &[]);
    assert!(!is_right && text.contains("one: tidegate.sha256: "), "{text}");
    let named = with_options(&upstream, "module: one.wasm");
    let (is_right, text) = check(&named, &folder, &[]);
    assert!(is_right, "{text}");
    std::fs::rename(
        folder.path().join("canary/two.wasm"),
        folder.path().join("two.wasm"),
    )
    .unwrap();
    let (is_right, text) = check(&named, &folder, &["wasm_filters=two"]);
    assert!(
        !is_right && text.contains("wasm_filters does not allow 'one.wasm'"),
        "{text}"
    );
    let native = with_options(&upstream, "module: one.wasm").replace("greeting", "cors");
    let (is_right, text) = check(&native, &folder, &[]);
    assert!(!is_right && text.contains("cors"), "{text}");
}

#[tokio::test]
async fn a_named_file_is_swapped_while_it_serves_and_never_for_other_bytes_than_were_pinned() {
    let upstream = Upstream::ok().await;
    let (folder, _) = folders();
    let named = with_options(&upstream, "module: canary/two.wasm");
    let gateway = folder.attached(Gateway::with(named)).start().await;
    assert_eq!(gateway.get("/a").await.header("x-version"), "2");
    folder.install("canary/two", &version("4"));
    eventually("the new module serves", PATIENCE, async || {
        let answer = gateway.get("/a").await;
        assert_eq!(answer.status, 200);
        (answer.header("x-version") == "4").then_some(())
    })
    .await;
    let options = format!("module: canary/two.wasm, sha256: {}", digest(&version("4")));
    let pinned = with_options(&upstream, &options);
    assert_eq!(gateway.reload(pinned).await, Reload::Accepted);
    folder.install("canary/two", &version("5"));
    eventually("the other bytes are refused", PATIENCE, async || {
        assert_eq!(gateway.get("/a").await.header("x-version"), "4");
        let told = gateway.status_page("/status").await.text();
        (told.contains("tidegate.module") && told.contains("has the digest")).then_some(())
    })
    .await;
    folder.install("canary/two", &version("4"));
    eventually("the pinned bytes are taken", PATIENCE, async || {
        let told = gateway.status_page("/status").await.text();
        (!told.contains("has the digest")).then_some(())
    })
    .await;
    assert_eq!(gateway.get("/a").await.header("x-version"), "4");
}

#[tokio::test]
async fn without_the_module_that_it_names_a_filter_counts_as_one_that_is_not_there() {
    let upstream = Upstream::ok().await;
    for (policy, status, ready) in [("open", 200, 200), ("closed", 503, 503)] {
        let (folder, _) = folders();
        let options = format!("module: canary/late.wasm, failure_policy: {policy}");
        let start = folder.attached(Gateway::with(with_options(&upstream, &options)));
        let gateway = start.start().await;
        assert_eq!(gateway.get("/a").await.status, status, "{policy}");
        assert_eq!(
            gateway.status_page("/status/ready").await.status,
            ready,
            "{policy}"
        );
        folder.install("canary/late", &version("late"));
        eventually("it comes into service", PATIENCE, async || {
            (gateway.get("/a").await.header("x-version") == "late").then_some(())
        })
        .await;
        assert_eq!(gateway.status_page("/status/ready").await.status, 200, "{policy}");
    }
}
