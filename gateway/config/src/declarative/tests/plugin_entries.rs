//! Plugin entries: kinds, scopes, configuration.

use super::support::{faults, lines, loaded};
use serde_json::json;

#[test]
fn configuration_goes_through_the_table_of_its_kind() {
    let set =
        loaded("plugins:\n- name: rate-limiting\n  config: {minute: 5}\n- {name: request-transformer}\n")
            .entities;
    assert_eq!(
        set.plugins[0].config,
        json!({ "second": null, "minute": 5, "policy": "local", "fault_tolerant": true })
    );
    assert_eq!(
        set.plugins[1].config,
        json!({ "add": { "headers": [] }, "append": { "headers": [] } })
    );
    assert!(set.plugins[0].enabled);
    assert_eq!(set.plugins[0].protocols.len(), 4);
}

#[test]
fn every_fault_of_a_configuration_has_its_place() {
    let found = faults(
        "plugins:\n- name: rate-limiting\n  config:\n    minute: many\n    second: 0\n    policy: disk\n    minut: 5\n- name: request-transformer\n  config:\n    add:\n      headers: [ok:1, 7]\n      heders: []\n- name: cors\n  config: 5\n",
    );
    assert_eq!(
        lines(&found),
        [
            "4:13 plugins[0].config.minute: expected an integer",
            "5:13 plugins[0].config.second: value must be greater than 0",
            "6:13 plugins[0].config.policy: expected one of: local, redis",
            "7:5 plugins[0].config.minut: unknown field",
            "11:23 plugins[1].config.add.headers[1]: expected a string",
            "12:7 plugins[1].config.add.heders: unknown field",
            "14:11 plugins[2].config: expected a record",
        ]
    );
    let hints: Vec<_> = found.items.iter().map(|item| item.hint.as_deref()).collect();
    assert_eq!(hints[3], Some("did you mean 'minute'?"));
    assert_eq!(hints[4], Some("put the value in quotes"));
    assert_eq!(hints[5], Some("did you mean 'headers'?"));
}

#[test]
fn unknown_plugins_say_what_to_do() {
    let found = faults(
        "plugins:\n- name: rate-limitng\n- name: pre-function\n- name: oauth2\n- name: my-own\n- {}\n",
    );
    let text =
        |name: &str| format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property");
    assert_eq!(
        lines(&found),
        [
            format!("2:9 plugins[0].name: {}", text("rate-limitng")),
            format!("3:9 plugins[1].name: {}", text("pre-function")),
            format!("4:9 plugins[2].name: {}", text("oauth2")),
            format!("5:9 plugins[3].name: {}", text("my-own")),
            "6:3 plugins[4].name: required field missing".to_owned(),
        ]
    );
    let hints: Vec<_> = found
        .items
        .iter()
        .map(|item| item.hint.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(hints[0], "did you mean 'rate-limiting'?");
    assert!(
        hints[1].contains("Lua") && hints[1].contains("Wasm filter"),
        "{}",
        hints[1]
    );
    assert!(hints[2].contains("planned"), "{}", hints[2]);
    assert_eq!(hints[3], "");
}

#[test]
fn scopes_that_a_kind_refuses_must_be_null() {
    let found = faults(
        "consumers:\n- username: a\n  plugins:\n  - name: key-auth\nplugins:\n- {name: cors, consumer: a}\n- {name: key-auth, consumer: null}\n",
    );
    assert_eq!(
        lines(&found),
        [
            "4:5 consumers[0].plugins[0].consumer: value must be null",
            "6:26 plugins[0].consumer: value must be null",
        ]
    );
    assert_eq!(
        found.items[0].hint.as_deref(),
        Some("'key-auth' cannot be attached to a consumer")
    );
}

#[test]
fn lua_in_a_log_plugin_is_refused_and_an_empty_map_is_not() {
    let found = faults(
        "plugins:\n- name: file-log\n  config:\n    path: /x\n    custom_fields_by_lua: {a: return 1}\n",
    );
    assert_eq!(
        lines(&found),
        ["5:5 plugins[0].config.custom_fields_by_lua: Lua code is not supported"]
    );
    assert!(
        found.items[0]
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("Wasm filter"))
    );
    loaded("plugins:\n- name: file-log\n  config: {path: /x, custom_fields_by_lua: {}}\n");
}

#[test]
fn protocols_must_be_those_of_the_kind_and_meet_those_of_the_route() {
    let found = faults(
        "services:\n- name: s\n  host: h\n  routes:\n  - paths: [/a]\n    protocols: [http]\n    plugins:\n    - {name: cors, protocols: [grpc]}\n  plugins:\n  - {name: cors, protocols: [https]}\nplugins:\n- {name: cors, protocols: [http, tcp]}\n- {name: key-auth, protocols: [htp]}\n",
    );
    let all = "expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp";
    assert_eq!(lines(&found), [
        "8:31 services[0].routes[0].plugins[0].protocols: must match the associated route's protocols".to_owned(),
        "10:29 services[0].plugins[0].protocols: must match the protocols of at least one route pointing to this Plugin's service".to_owned(),
        "12:34 plugins[0].protocols[1]: expected one of: grpc, grpcs, http, https".to_owned(),
        format!("13:32 plugins[1].protocols[0]: {all}"),
    ]);
}

#[test]
fn shared_configurations_fill_what_the_entry_leaves_out() {
    let set = loaded(
        "_plugin_configs:\n  slow: {minute: 5, policy: redis}\nplugins:\n- {name: rate-limiting, _config: slow}\n- {name: rate-limiting, _config: slow, config: {minute: 9}, consumer: c}\nconsumers: [{username: c}]\n",
    )
    .entities;
    assert_eq!(set.plugins[0].config["minute"], 5);
    assert_eq!(set.plugins[1].config["minute"], 9);
    assert_eq!(set.plugins[1].config["policy"], "redis");
    let found = faults(
        "_plugin_configs: {slow: {}}\nplugins:\n- {name: cors, _config: slw}\n- {name: key-auth, _config: 5}\n",
    );
    assert_eq!(
        lines(&found),
        [
            "3:25 plugins[0]._config: invalid reference '_config: slw' (no such entry in '_plugin_configs')",
            "4:29 plugins[1]._config: expected a string",
        ]
    );
}

#[test]
fn secrets_are_not_shown_in_excerpts() {
    let found = faults("plugins:\n- name: file-log\n  config:\n    path: /x\n    token: 12345\n");
    assert_eq!(lines(&found), ["5:12 plugins[0].config.token: expected a string"]);
    assert!(!found.to_string().contains("12345"), "{found}");
}
