//! Secrets that reach filters, and where they do not show.

use super::built::built;
use super::guest::{Folder, GOT, Guest, OUT};
use std::process::Command;
use tidegate_tests::gateway::Builder;
use tidegate_tests::{Gateway, Upstream, binary};

const SECRET: &str = "open-sesame-5d1c";

fn yaml(upstream: &Upstream, filters: &str) -> String {
    format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/]}}\n\
         vaults:\n- {{name: env, prefix: own, config: {{prefix: my_}}}}\n\
         filter_chains:\n- {{name: c, route: a, filters: [{filters}]}}\n",
        upstream.url()
    )
}

fn with_secret(builder: Builder) -> Builder {
    builder.environment("X", SECRET).environment("MY_Y", SECRET)
}

/// Neither the log nor a page of the status listener has it.
async fn assert_kept(gateway: &Gateway) {
    assert!(!gateway.log().contains(SECRET), "the log");
    for page in ["/status", "/metrics"] {
        let text = gateway.status_page(page).await.text();
        assert!(!text.contains(SECRET), "{page}");
    }
}

#[tokio::test]
async fn a_component_reads_the_references_that_its_attachment_grants() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new().meta("guest", r#"{"config_schema": {"type": "object"}}"#);
    let module = &built("../gateway/wasm/tests/guests/component")[0];
    folder.put("guest.wasm", &std::fs::read(module).unwrap());
    // The guest asks for `{vault://env/x}`.
    for (options, shown) in [
        ("secrets: ['{vault://env/x}']", format!("Ok(\"{SECRET}\")")),
        ("secrets: ['{vault://own/y}']", "Err(Failure::Denied)".to_owned()),
        ("permissions: [kv]", "Err(Failure::Denied)".to_owned()),
    ] {
        let filter = format!("{{name: guest, config: {{request: secret}}, tidegate: {{{options}}}}}");
        let start = folder.attached(Gateway::with(yaml(&upstream, &filter)));
        let gateway = with_secret(start).start().await;
        assert_eq!(gateway.get("/").await.status, 200);
        assert_eq!(upstream.last().header("x-secret"), shown, "{options}");
        assert_kept(&gateway).await;
    }
    let filter = "{name: guest, config: {request: secret}, tidegate: {secrets: ['{vault://env/x}']}}";
    let gateway = folder
        .attached(Gateway::with(yaml(&upstream, filter)))
        .start()
        .await;
    assert_eq!(gateway.get("/").await.status, 200);
    let shown = upstream.last().header("x-secret").to_owned();
    assert!(
        shown.contains("Failure::Other"),
        "a reference without a value: {shown}"
    );
    gateway.logs("environment variable X is not set").await;
}

/// Shows its configuration in a header.
fn telling() -> Guest {
    let mut guest = Guest::default();
    let name = guest.text("x-config");
    let statements = format!(
        "(call $ok (call $get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 1000) {OUT}))
         (call $ok (call $add_header_map_value (i32.const 0) {name} {GOT}))"
    );
    guest.on("request_headers", 3, &statements, "(i32.const 0)")
}

#[tokio::test]
async fn references_in_a_configuration_are_resolved_before_the_filter_gets_it() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new()
        .with("text", &telling())
        .with("record", &telling())
        .meta(
            "record",
            r#"{"config_schema": {"type": "object", "properties": {"keys": {"type": "array"}}}}"#,
        );
    let keys = format!(r#"{{"keys":["plain",{{"a":"{SECRET}"}}]}}"#);
    let record = "config: {keys: [plain, {a: '{vault://own/y}'}]}";
    for (filter, expected) in [
        ("name: text, config: '{vault://env/x}'".to_owned(), SECRET),
        (format!("name: record, {record}"), keys.as_str()),
        (
            format!("name: other, {record}, tidegate: {{module: record.wasm}}"),
            &keys,
        ),
    ] {
        let chain = yaml(&upstream, &format!("{{{filter}}}"));
        let plugin = chain.replace(
            "filter_chains:\n- {name: c, route: a, filters: [{",
            "plugins:\n- {route: a, ",
        );
        let plugin = plugin.replace("}]}\n", "}\n");
        for text in [chain, plugin] {
            let gateway = with_secret(folder.attached(Gateway::with(text))).start().await;
            assert_eq!(gateway.get("/").await.status, 200);
            assert_eq!(upstream.last().header("x-config"), expected, "{filter}");
            assert_kept(&gateway).await;
        }
    }
}

#[tokio::test]
async fn check_tells_of_grants_that_are_none_and_of_secrets_that_are_not_set() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new().with("text", &telling());
    let check = |options: &str| {
        let text = yaml(
            &upstream,
            &format!("{{name: text, tidegate: {{secrets: {options}}}}}"),
        );
        let file = folder.path().join("kong.yaml");
        std::fs::write(&file, format!("_format_version: \"3.0\"\n{text}")).unwrap();
        let folder = folder.path().display();
        let mut command = Command::new(binary::path());
        command.env_clear().env("X", SECRET).arg("check").arg(&file);
        for setting in [
            "wasm=on".to_owned(),
            format!("wasm_filters_path={folder}"),
            format!("prefix={folder}"),
        ] {
            command.arg("--set").arg(setting);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains(SECRET));
        (output.status.success(), text)
    };
    let (is_right, text) = check("['{vault://env/x}']");
    assert!(is_right && text.contains("no faults"), "{text}");
    let (is_right, text) = check("['{vault://env/x}', '{vault://env/none}']");
    assert!(
        is_right && text.contains("environment variable NONE is not set"),
        "{text}"
    );
    assert!(
        text.contains("filter_chains[0].filters[0].tidegate.secrets[1]"),
        "{text}"
    );
    for wrong in ["[env/x]", "'{vault://env/x}'", "[5]"] {
        let (is_right, text) = check(wrong);
        assert!(
            !is_right && text.contains("tidegate: secrets: expected"),
            "{wrong}: {text}"
        );
    }
}
