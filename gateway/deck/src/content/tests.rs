use super::{Variables, read};
use crate::kinds::Kind;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;

fn content_of(text: &str) -> Result<super::Content, String> {
    let environment = BTreeMap::from([("DECK_PORT".to_owned(), "81".to_owned())]);
    let mut stdin = text.as_bytes();
    read(&["-".to_owned()], &mut stdin, Variables::Filled(&environment)).map_err(|error| error.to_string())
}

#[test]
fn the_head_is_taken_off_and_variables_are_filled_in() {
    let content = content_of(
        "_format_version: \"3.0\"\n_workspace: w\n_konnect: {control_plane_name: cp}\n_info:\n  select_tags: [a, b, a]\n  \
         defaults:\n    service: {retries: 1}\n  default_lookup_tags:\n    consumers: [all]\nservices:\n- name: x\n  host: h\n  \
         port: ${{ env \"DECK_PORT\" | toInt }}\n  enabled: yes\n",
    )
    .expect("a good file");
    assert_eq!(content.format_version.as_deref(), Some("3.0"));
    assert_eq!(content.workspace.as_deref(), Some("w"));
    assert_eq!(content.control_plane.as_deref(), Some("cp"));
    assert_eq!(content.info.select_tags, ["a", "b"]);
    assert_eq!(
        content
            .info
            .defaults_of(Kind::Service)
            .and_then(|fields| fields.get("retries")),
        Some(&json!(1))
    );
    assert!(content.info.lookup_tags.concern(Kind::Consumer));
    assert_eq!(
        content.entities["services"],
        json!([{"name": "x", "host": "h", "port": 81, "enabled": true}])
    );
}

#[test]
fn every_fault_of_a_file_is_named_in_decks_words() {
    let fault =
        content_of("services:\n- name: x\n  hostx: a\n  port: eighty\nfoo: 1\n").expect_err("three faults");
    let expected = "1 errors occurred:\n\treading file STDIN: validating file content: 3 errors occurred:\n\
                    \tvalidation error: object=\"a\", err=services.0: Additional property hostx is not allowed\n\
                    \tvalidation error: object=\"eighty\", err=services.0.port: Invalid type. Expected: integer, given: string\n\
                    \tvalidation error: object=1, err=(root): Additional property foo is not allowed\n\n";
    assert_eq!(fault, expected);
}

#[test]
fn what_cannot_be_synced_is_refused() {
    for (text, expected) in [
        ("", "it seems like you are trying to sync an empty configuration"),
        (" a: 1", "file must not begin with a whitespace"),
        (
            "_transform: false\nservices: []",
            "_transform: false is not supported",
        ),
        (
            "_konnect: {control_plane_name: a, runtime_group_name: b}",
            "multiple Konnect control planes at the same time ([a b])",
        ),
        (
            "_info: {defaults: {service: {name: x}}}",
            "name cannot be set as a default for service",
        ),
        (
            "_info: {default_lookup_tags: {routes: []}}",
            "global routes specified but no global tags",
        ),
        (
            "licenses: [{payload: x}]",
            "licenses: is not supported by this client",
        ),
        (
            "services: {}",
            "services: Invalid type. Expected: array, given: object",
        ),
        (
            "a: ${{ env \"DECK_NONE\" }}",
            "parsing file: template: state:1:7: executing",
        ),
        ("a: [", "validating file content: unmarshaling file content: "),
        (
            "services: [{name: a, routes: [{service: {name: a}}]}]",
            "services.0.routes.0: Additional property service is not allowed",
        ),
    ] {
        let fault = content_of(text).expect_err(text);
        assert!(fault.contains(expected), "{text}: {fault}");
    }
}

#[test]
fn files_and_folders_are_merged_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("sub");
    fs::create_dir(&inner).expect("a folder");
    for (path, text) in [
        (
            folder.path().join("a.yaml"),
            "_format_version: \"3.0\"\nservices: [{name: one}]\n_plugin_configs: {x: {a: 1}}",
        ),
        (
            inner.join("b.JSON"),
            "{\"services\": [{\"name\": \"two\"}], \"_plugin_configs\": {\"y\": {}}}",
        ),
        (inner.join("c.yml"), "routes: [{name: r}]"),
        (inner.join("notes.txt"), "not: [read"),
    ] {
        fs::write(path, text).expect("a file");
    }
    let paths = [folder.path().display().to_string()];
    let content = read(&paths, &mut std::io::empty(), Variables::Named).expect("good files");
    assert_eq!(
        content.entities["services"],
        json!([{"name": "one"}, {"name": "two"}])
    );
    assert_eq!(content.entities["routes"], json!([{"name": "r"}]));
    assert_eq!(content.plugin_configs.len(), 2);
    let missing = read(
        &["/nonexistent.yaml".to_owned()],
        &mut std::io::empty(),
        Variables::Named,
    );
    assert!(missing.is_err_and(|error| error.to_string().starts_with("reading state file: ")));
}
