//! Starting and the commands beside it: what is wrong is said with its place and its name.

use crate::ask::service;
use std::process::{Command, Output};
use tidegate_tests::{Gateway, Upstream, binary};

/// Runs a command of the binary on a declarative file.
pub(crate) fn run(arguments: &[&str], yaml: &str) -> (Output, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kong.yaml");
    std::fs::write(&file, yaml).unwrap();
    let arguments = arguments
        .iter()
        .map(|argument| argument.replace("FILE", file.to_str().unwrap()));
    (
        Command::new(binary::path())
            .args(arguments)
            .env_clear()
            .output()
            .unwrap(),
        folder,
    )
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn check_accepts_a_good_file_and_names_every_fault_of_a_bad_one() {
    let good =
        "_format_version: \"3.0\"\nservices:\n- {name: s, url: \"http://a\", routes: [{paths: [/]}]}\n";
    let (output, _folder) = run(&["check", "FILE"], good);
    assert!(output.status.success(), "{}", text(&output));
    let bad = "_format_version: \"3.0\"\nservices:\n- name: s\n  host: a\n  port: 70000\n  colour: red\nplugins:\n- name: nope\n";
    let (output, _folder) = run(&["check", "FILE"], bad);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output);
    for part in ["services[0].port", "colour", "nope", ":5:", ":6:"] {
        assert!(told.contains(part), "no {part} in {told}");
    }
}

#[test]
fn faults_have_kongs_words() {
    for (yaml, words) in [
        ("services:\n- {name: s}\n", "required field missing"),
        (
            "services:\n- {name: s, host: a, port: 70000}\n",
            "value should be between 0 and 65535",
        ),
        (
            "routes:\n- {name: r, paths: [a]}\n",
            "should start with: / (fixed path) or ~/ (regex path)",
        ),
        (
            "routes:\n- {name: r, paths: [\"/p%20q\"]}\n",
            "non-normalized path, consider use '/p q' instead",
        ),
        (
            "routes:\n- {name: r, paths: [\"/a//b\"]}\n",
            "must not have empty segments",
        ),
        (
            "routes:\n- {name: r, headers: {host: [a]}}\n",
            "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
        ),
        ("bobs: []\n", "unknown field"),
        (
            "routes:\n- {name: r, paths: [/], service: foo}\n",
            "invalid reference 'service: foo' (no such entry in 'services')",
        ),
        (
            "services:\n- {name: s, host: a}\n- {name: s, host: b}\n",
            "uniqueness violation: 'services' entity with name set to 's' already declared",
        ),
        (
            "plugins:\n- {name: rate-limiting, config: {second: 20, minute: 10, policy: local}}\n",
            "The limit for minute(10.0) cannot be lower than the limit for second(20.0)",
        ),
        (
            "plugins:\n- {name: nope}\n",
            "plugin 'nope' not enabled; add it to the 'plugins' configuration property",
        ),
    ] {
        let (output, _folder) = run(&["check", "FILE"], &format!("_format_version: \"3.0\"\n{yaml}"));
        assert!(!output.status.success(), "{yaml} was accepted");
        assert!(
            text(&output).contains(words),
            "{yaml}: no {words:?} in {}",
            text(&output)
        );
    }
    let (output, _folder) = run(&["check", "FILE"], "services: []\n");
    assert!(text(&output).contains("_format_version"), "{}", text(&output));
}

#[test]
fn what_will_never_be_supported_is_named_with_what_replaces_it() {
    let yaml = "_format_version: \"3.0\"\nplugins:\n- {name: pre-function, config: {access: [\"return\"]}}\n";
    let (output, _folder) = run(&["check", "FILE"], yaml);
    let told = text(&output).to_lowercase();
    assert!(
        !output.status.success() && told.contains("pre-function"),
        "{told}"
    );
    assert!(told.contains("lua") || told.contains("filter"), "a hint: {told}");
}

#[test]
fn explain_shows_the_way_of_a_request() {
    let yaml = "_format_version: \"3.0\"
services:
- name: users
  url: http://backend.test/base
  routes:
  - {name: by-id, paths: ['~/users/(?<id>\\d+)']}
  - {name: all, paths: [/users]}
  plugins: [{name: key-auth}]
";
    let (output, _folder) = run(
        &[
            "explain",
            "GET http://a.test/users/42/x -H 'x-a: 1'",
            "-c",
            "FILE",
        ],
        yaml,
    );
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    for part in [
        "by-id",
        "all",
        "42",
        "backend.test",
        "/base",
        "key-auth",
        "service",
    ] {
        assert!(told.contains(part), "no {part} in {told}");
    }
}

#[test]
fn explain_names_the_target_and_why_others_are_out() {
    let yaml = "_format_version: \"3.0\"
services:
- {name: shop, host: up, routes: [{name: all, paths: [/]}]}
upstreams:
- name: up
  hash_on: path
  targets:
  - {target: '127.0.0.1:19081'}
  - {target: '127.0.0.1:19082'}
  - {target: '127.0.0.1:19083'}
  - {target: '127.0.0.1:19084', weight: 0}
";
    let (output, _folder) = run(&["explain", "GET http://a.test/p1", "-c", "FILE"], yaml);
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    for part in [
        "balancer   up (consistent-hashing)",
        "hashed     '/p1'",
        "target     127.0.0.1 (127.0.0.1:1908",
        "127.0.0.1:19084  weight 0  out: its weight is 0",
    ] {
        assert!(told.contains(part), "no {part} in {told}");
    }
}

#[test]
fn the_example_of_the_walk_through_is_valid() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart/kong.yaml");
    let filter = crate::filters_author::example("redact_json");
    let output = Command::new(binary::path())
        .args(["check", file, "--set", "wasm=on", "--set"])
        .arg(format!(
            "wasm_filters_path={}",
            filter.parent().unwrap().display()
        ))
        .env_clear()
        .env("BACKEND_TOKEN", "Authorization:Bearer x")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn an_unknown_setting_is_named_with_the_nearest_one() {
    let output = Command::new(binary::path())
        .arg("start")
        .env_clear()
        .env("TIDEGATE_PROXY_LISTN", "127.0.0.1:1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = text(&output).to_lowercase();
    assert!(
        told.contains("proxy_listn") && told.contains("proxy_listen"),
        "{told}"
    );
}

#[test]
fn version_and_settings_can_be_asked() {
    let (output, _folder) = run(&["version"], "");
    assert!(
        text(&output).contains(env!("CARGO_PKG_VERSION")),
        "{}",
        text(&output)
    );
    let output = Command::new(binary::path())
        .args(["config", "show"])
        .env_clear()
        .env("TIDEGATE_LOG_LEVEL", "debug")
        .env("TIDEGATE_PG_PASSWORD", "hush")
        .output()
        .unwrap();
    let told = text(&output);
    let line = told
        .lines()
        .find(|line| line.contains("log_level"))
        .unwrap_or_default();
    assert!(
        line.contains("debug") && line.to_uppercase().contains("TIDEGATE_LOG_LEVEL"),
        "{told}"
    );
    assert!(!told.contains("hush"), "secrets are masked: {told}");
}

#[tokio::test]
async fn kongs_variables_are_accepted_too() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {name: r, paths: [/]}"))
        .environment("KONG_ALLOW_DEBUG_HEADER", "on")
        .start()
        .await;
    let response = gateway.call(&crate::ask::ask("GET / Kong-Debug:1")).await;
    assert_eq!(response.header("Kong-Route-Name"), "r");
}

#[tokio::test]
async fn a_missing_or_faulty_file_stops_the_start_and_says_which() {
    let (status, log) = Gateway::with("")
        .setting("declarative_config", "/nowhere/kong.yaml")
        .try_start()
        .await
        .unwrap_err();
    assert!(!status.success() && log.contains("/nowhere/kong.yaml"), "{log}");
    let (status, log) = Gateway::with("services:\n- {name: s, port: x}\n")
        .try_start()
        .await
        .unwrap_err();
    assert!(!status.success() && log.contains("services[0].port"), "{log}");
}

#[tokio::test]
async fn documents_of_older_formats_are_taken() {
    let upstream = Upstream::ok().await;
    for version in ["1.1", "2.1", "3.0"] {
        let yaml = format!(
            "_format_version: \"{version}\"\n{}",
            service(&upstream, "- {paths: [/p]}")
        );
        assert_eq!(
            Gateway::start(yaml).await.get("/p").await.status,
            200,
            "format {version}"
        );
    }
    let yaml = format!(
        "_format_version: \"1.1\"\n{}",
        service(&upstream, "- {paths: ['/a/\\d+']}")
    );
    assert_eq!(
        Gateway::start(yaml).await.get("/a/12").await.status,
        200,
        "a regex of the old form"
    );
}

#[tokio::test]
async fn json_is_a_declarative_format_too() {
    let upstream = Upstream::ok().await;
    let json = serde_json::json!({"_format_version": "3.0", "services": [
        {"name": "s", "url": upstream.url(), "routes": [{"paths": ["/"]}]}
    ]});
    assert_eq!(Gateway::start(json.to_string()).await.get("/").await.status, 200);
}
