//! Faults in Kong's shape: the trees that Kong 3.9 answers to `POST /config`.

use super::support::faults_of_file;
use serde_json::{Value, json};

struct Case {
    input: Value,
    fields: Value,
    message: Option<&'static str>,
}

fn case(input: Value, fields: Value) -> Case {
    Case {
        input,
        fields,
        message: None,
    }
}

fn check(cases: Vec<Case>) {
    for Case {
        mut input,
        fields,
        message,
    } in cases
    {
        if let Some(members) = input.as_object_mut() {
            members.entry("_format_version").or_insert_with(|| "3.0".into());
        }
        let text = input.to_string();
        let errors = faults_of_file("config.json", text.as_bytes()).to_kong_fields(false);
        assert_eq!(errors.fields, fields, "fields of {text}");
        if let Some(message) = message {
            assert_eq!(
                errors.message(),
                format!("declarative config is invalid: {message}"),
                "message of {text}"
            );
        }
    }
}

#[test]
fn faults_of_the_head_stand_under_their_keys() {
    check(vec![
        case(
            json!({ "_format_version": "9.9" }),
            json!({ "_format_version": "expected one of: 1.1, 2.1, 3.0" }),
        ),
        case(
            json!({ "_format_version": 3.0 }),
            json!({ "_format_version": "expected a string" }),
        ),
        Case {
            input: json!({ "foo": 1 }),
            fields: json!({ "foo": "unknown field" }),
            message: Some("{foo=\"unknown field\"}"),
        },
    ]);
    let errors = faults_of_file("config.json", b"{}").to_kong_fields(false);
    assert_eq!(
        errors.fields,
        json!({ "_format_version": "required field missing" })
    );
}

#[test]
fn faults_of_fields_mirror_the_input() {
    check(vec![
        case(
            json!({ "services": [{}] }),
            json!({ "services": [{ "host": "required field missing" }] }),
        ),
        case(
            json!({ "services": [{ "name": "a", "url": "http://h:99999" }] }),
            json!({ "services": [{ "port": "value should be between 0 and 65535" }] }),
        ),
        Case {
            input: json!({ "services": [
                { "name": "a", "host": "h", "routes": [{ "paths": ["/a%20"], "hosts": ["*.*"], "methods": ["x"] }] },
                { "name": "b", "host": "h", "port": "x" },
            ] }),
            fields: json!({ "services": [
                { "routes": [{
                    "hosts": ["invalid wildcard: must have at most one wildcard"],
                    "methods": ["invalid value: x"],
                    "paths": ["non-normalized path, consider use '/a ' instead"],
                }] },
                { "port": "expected an integer" },
            ] }),
            message: Some(
                "{services={{routes={{hosts={\"invalid wildcard: must have at most one wildcard\"},\
                 methods={\"invalid value: x\"},paths={\"non-normalized path, consider use '/a ' instead\"}}}},\
                 {port=\"expected an integer\"}}}",
            ),
        },
        case(
            json!({ "upstreams": [{ "name": "u", "targets": [{}] }] }),
            json!({ "upstreams": [{ "targets": [{ "target": "required field missing" }] }] }),
        ),
        case(
            json!({ "keyauth_credentials": [{ "key": "k" }] }),
            json!({ "keyauth_credentials": [{ "consumer": "required field missing" }] }),
        ),
        case(
            json!({ "snis": [{ "name": "a" }] }),
            json!({ "snis": [{ "certificate": "required field missing" }] }),
        ),
        case(
            json!({ "vaults": [{ "name": "env", "prefix": "ENV" }] }),
            json!({ "vaults": [{ "prefix": "invalid value: ENV" }] }),
        ),
    ]);
}

#[test]
fn rules_about_a_whole_entity_stand_under_entity() {
    check(vec![
        case(
            json!({ "routes": [{ "name": "r" }] }),
            json!({ "routes": [{ "@entity": [
                "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"
            ] }] }),
        ),
        case(
            json!({ "consumers": [{}] }),
            json!({ "consumers": [{ "@entity": [
                "at least one of these fields must be non-empty: 'custom_id', 'username'"
            ] }] }),
        ),
        case(
            json!({ "plugins": [{ "name": "rate-limiting" }] }),
            json!({ "plugins": [{ "@entity": [
                "at least one of these fields must be non-empty: 'config.second', 'config.minute'"
            ] }] }),
        ),
    ]);
}

#[test]
fn plugin_entries_are_told_by_name_scope_and_config() {
    check(vec![
        Case {
            input: json!({ "plugins": [{ "name": "nope" }] }),
            fields: json!({ "plugins": [{
                "name": "plugin 'nope' not enabled; add it to the 'plugins' configuration property"
            }] }),
            message: Some(
                "{plugins={{name=\"plugin 'nope' not enabled; add it to the 'plugins' configuration property\"}}}",
            ),
        },
        case(
            json!({ "plugins": [{ "name": "cors", "config": { "zz": 1 } }] }),
            json!({ "plugins": [{ "config": { "zz": "unknown field" } }] }),
        ),
        case(
            json!({
                "services": [{ "name": "a", "host": "h", "plugins": [{ "name": "key-auth", "consumer": "x" }] }],
                "consumers": [{ "username": "x" }],
            }),
            json!({ "services": [{ "plugins": [{ "consumer": "value must be null" }] }] }),
        ),
    ]);
}

#[test]
fn what_is_declared_twice_is_reported_where_kong_reports_it() {
    let unique = |text: &str| format!("uniqueness violation: {text} already declared");
    check(vec![
        Case {
            input: json!({ "services": [{ "name": "a", "host": "h" }, { "name": "a", "host": "h" }] }),
            fields: json!({ "services": [null, unique("'services' entity with name set to 'a'")] }),
            message: Some(
                "{services={[2]=\"uniqueness violation: 'services' entity with name set to 'a' already declared\"}}",
            ),
        },
        case(
            json!({ "services": [{ "name": "a", "host": "h", "routes": [
                { "name": "r", "paths": ["/"] }, { "name": "r", "paths": ["/"] },
            ] }] }),
            json!({ "routes": [null, unique("'routes' entity with name set to 'r'")] }),
        ),
        case(
            json!({ "plugins": [{ "name": "cors" }, { "name": "cors" }] }),
            json!({ "plugins": [
                null, unique("'plugins' entity with primary key set to '48ee727e-8b90-5faa-bda1-a3c6bc3c9daa'"),
            ] }),
        ),
        case(
            json!({ "consumers": [
                { "username": "a", "keyauth_credentials": [{ "key": "k" }] },
                { "username": "b", "keyauth_credentials": [{ "key": "k" }] },
            ] }),
            json!({ "keyauth_credentials": [unique("'keyauth_credentials' entity with key set to 'k'")] }),
        ),
        case(
            json!({ "consumers": [{ "username": "a", "acls": [{ "group": "g" }, { "group": "g" }] }] }),
            json!({ "consumers": [{ "acls": [
                null, unique("'acls' entity with primary key set to '4add49ad-f75d-577a-86fb-a51c9e63fd66'"),
            ] }] }),
        ),
        case(
            json!({ "upstreams": [{ "name": "u", "targets": [{ "target": "a:1" }, { "target": "a:1" }] }] }),
            json!({ "upstreams": [{ "targets": [
                null, unique("'targets' entity with primary key set to 'b21a4848-f7f7-52f5-b249-52528a43601f'"),
            ] }] }),
        ),
        case(
            json!({ "consumers": [
                { "username": "foo", "custom_id": "conflict" }, { "username": "bar", "custom_id": "conflict" },
            ] }),
            json!({ "consumers": { "bar": unique("'consumers' entity with custom_id set to 'conflict'") } }),
        ),
    ]);
}

#[test]
fn references_that_lead_nowhere_are_listed_under_the_name_of_the_entity() {
    check(vec![
        Case {
            input: json!({ "routes": [{ "name": "r", "paths": ["/"], "service": "nope" }] }),
            fields: json!({ "routes": { "r": ["invalid reference 'service: nope' (no such entry in 'services')"] } }),
            message: Some(
                "{routes={r={\"invalid reference 'service: nope' (no such entry in 'services')\"}}}",
            ),
        },
        case(
            json!({ "keyauth_credentials": [{ "key": "k", "consumer": "nope" }] }),
            json!({ "keyauth_credentials": {
                "k": ["invalid reference 'consumer: nope' (no such entry in 'consumers')"]
            } }),
        ),
        case(
            json!({ "routes": [{ "paths": ["/"], "service": "nope" }] }),
            json!({ "routes": [["invalid reference 'service: nope' (no such entry in 'services')"]] }),
        ),
        // A named and a nameless entity at once: Lua's table has both kinds of keys.
        case(
            json!({ "routes": [
                { "name": "r", "paths": ["/"], "service": "nope" }, { "paths": ["/"], "service": "nope" },
            ] }),
            json!({ "routes": {
                "r": ["invalid reference 'service: nope' (no such entry in 'services')"],
                "2": ["invalid reference 'service: nope' (no such entry in 'services')"],
            } }),
        ),
    ]);
}

#[test]
fn a_text_that_cannot_be_read_has_one_fault_named_error() {
    let errors = faults_of_file("config", b"config=x").to_kong_fields(false);
    assert_eq!(
        errors.fields,
        json!({ "error": "failed parsing declarative configuration: expected an object" })
    );
    let errors = faults_of_file("config.yaml", b"a: [").to_kong_fields(false);
    let text = errors.fields["error"].as_str().expect("a text");
    assert!(
        text.starts_with("failed parsing declarative configuration: 1:"),
        "{text}"
    );
}

#[test]
fn flattened_errors_carry_the_entity_without_its_children() {
    let input = json!({
        "_format_version": "3.0",
        "services": [{
            "name": "a", "host": "h", "tags": ["q"],
            "routes": [{ "name": "r", "paths": ["x"] }],
            "plugins": [{ "name": "cors", "config": { "zz": 1 } }],
            "port": "x",
        }],
        "consumers": [{ "username": "u", "keyauth_credentials": [{ "key": 1 }] }],
    });
    let errors = faults_of_file("config.json", input.to_string().as_bytes()).to_kong_fields(true);
    assert_eq!(errors.fields, json!({}));
    let mut found = errors.flattened_errors.clone();
    found.sort_by_key(|error| error["entity_type"].to_string());
    let field = |field: &str, message: &str| json!([{ "type": "field", "field": field, "message": message }]);
    assert_eq!(
        found,
        [
            json!({ "entity_type": "keyauth_credential", "entity": { "key": 1 },
                "errors": field("key", "expected a string") }),
            json!({ "entity_type": "plugin", "entity_name": "cors", "entity": { "name": "cors", "config": { "zz": 1 } },
                "errors": field("config.zz", "unknown field") }),
            json!({ "entity_type": "route", "entity_name": "r", "entity": { "name": "r", "paths": ["x"] },
                "errors": field("paths.1", "should start with: / (fixed path) or ~/ (regex path)") }),
            json!({ "entity_type": "service", "entity_name": "a", "entity_tags": ["q"],
                "entity": { "name": "a", "host": "h", "tags": ["q"], "port": "x" },
                "errors": field("port", "expected an integer") }),
        ]
    );
    let body = errors.to_body(true);
    assert_eq!(body["message"], "declarative config is invalid: {}");
    assert_eq!(body["code"], 14);
}

#[test]
fn a_flattened_child_names_its_parent_when_the_id_is_written() {
    let id = "3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10";
    let input = json!({
        "_format_version": "3.0",
        "upstreams": [{ "id": id, "name": "u", "tags": ["t"], "slots": 1, "targets": [{ "target": "a:b", "tags": ["t"] }] }],
    });
    let errors = faults_of_file("config.json", input.to_string().as_bytes()).to_kong_fields(true);
    assert_eq!(errors.flattened_errors.len(), 2);
    assert_eq!(errors.flattened_errors[0]["entity_id"], id);
    assert_eq!(errors.flattened_errors[1]["entity_type"], "target");
    assert_eq!(errors.flattened_errors[1]["entity_tags"], json!(["t"]));
    assert_eq!(
        errors.flattened_errors[1]["entity"],
        json!({ "target": "a:b", "tags": ["t"], "upstream": { "id": id } })
    );
}
