//! `tidegate filter …` as authors type it.

use super::{example, guest_target};
use std::path::Path;
use std::process::{Command, Output};
use tidegate_tests::binary;

/// Runs the program in a folder.
pub(super) fn tidegate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::path());
    command
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", guest_target());
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:#?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn inspect_tells_what_a_module_asks_for_and_gets() {
    let file = example("sign_request");
    let file = file.to_str().unwrap();
    let folder = Path::new("/");
    let text = stdout(&tidegate(folder, &["filter", "inspect", file]));
    for part in [
        "abi        proxy-wasm 0.2.1, compiled by rustc",
        "schema     secret header",
        "proxy_on_request_headers",
        "env.proxy_send_local_response",
        "wasi_snapshot_preview1.fd_write",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("unknown "), "{text}");
    let json = stdout(&tidegate(
        folder,
        &["filter", "inspect", file, "--format", "json"],
    ));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["abi"], "0.2.1");
    assert_eq!(json["size"], std::fs::metadata(file).unwrap().len());
    assert!(
        json["initial_memory_bytes"].as_u64().unwrap() <= 256 << 10,
        "the stack is small"
    );
}

#[test]
fn run_shows_both_messages_the_log_and_the_times() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("request.http", "GET /orders HTTP/1.1\nAuthorization: alice\n\n");
    write("answer.http", "HTTP/1.1 200 OK\nX-User: alice\n\n");
    write(
        "response.http",
        "HTTP/1.1 201 Created\nContent-Type: text/plain\n\nmade\n",
    );
    write("config.json", r#"{"target": "auth", "headers": ["x-user"]}"#);
    let module = example("external_auth");
    let run = [
        "filter",
        "run",
        module.to_str().unwrap(),
        "--config",
        "config.json",
        "request.http",
    ];
    let answered = [
        &run[..],
        &["--answer", "answer.http", "--response", "response.http"],
    ]
    .concat();
    let text = stdout(&tidegate(folder.path(), &answered));
    for part in [
        "--- to the upstream\nGET /orders\n",
        "\nx-user: alice\n",
        "--- to the client\n201 Created\ncontent-type: text/plain\n\nmade\n",
        "--- log\n",
        "µs  configure\n",
        "µs  request head\n",
        "µs  call answered\n",
        "µs  response head\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = stdout(&tidegate(folder.path(), &run));
    for part in [
        "--- nothing went upstream\n",
        "503 Service Unavailable",
        "gave no verdict",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_refused_configuration_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("request.http"), "GET /\n\n").unwrap();
    let module = example("token_bucket");
    let module = module.to_str().unwrap();
    let refused = |config: &str| {
        let output = tidegate(
            folder.path(),
            &["filter", "run", module, "request.http", "--config", config],
        );
        assert_eq!(output.status.code(), Some(1), "{output:#?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let by_schema = refused(r#"{"burst": "x", "per_second": 1}"#);
    assert!(by_schema.contains("config.burst"), "{by_schema}");
    let by_filter = refused(r#"{"burst": 1, "per_second": -1}"#);
    assert!(
        by_filter.contains("config.per_second: must be above 0"),
        "{by_filter}"
    );
    assert!(refused("{").contains("the configuration is no JSON"));
}

#[test]
fn bench_gives_percentiles_for_each_callback() {
    let module = example("sign_request");
    let config = r#"{"secret": "0123456789abcdef"}"#;
    let arguments = [
        "filter",
        "bench",
        module.to_str().unwrap(),
        "--config",
        config,
        "--exchanges",
        "200",
    ];
    let text = stdout(&tidegate(Path::new("/"), &arguments));
    for part in ["p50", "p99", "request head", "response head", "200 exchanges, "] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_is_no_filter_is_refused_with_its_reason() {
    let output = tidegate(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        &["filter", "inspect", "Cargo.toml"],
    );
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not a WebAssembly module"), "{text}");
}
