//! YAML as people write it: anchors, merges, old booleans, odd keys.

use super::support::{faults, lines, loaded};

#[test]
fn anchors_and_merge_keys_share_settings() {
    let set = loaded(
        "_ignore:\n- &slow {connect_timeout: 1000, retries: 1}\n- &fast {retries: 9, port: 81}\nservices:\n- {<<: *slow, name: a, host: h, retries: 2}\n- {<<: [*slow, *fast], name: b, host: h}\n- name: c\n  host: h\n  <<: {port: 99}\n",
    )
    .entities;
    let told: Vec<_> = set
        .services
        .iter()
        .map(|service| (service.connect_timeout, service.retries, service.port))
        .collect();
    assert_eq!(told, [(1000, 2, 80), (1000, 1, 81), (60_000, 5, 99)]);
}

#[test]
fn faults_in_shared_parts_point_at_the_place_where_they_are_written() {
    let found = faults(
        "_ignore:\n- &bad {retries: many}\n- &paths [/ok, bad]\nservices:\n- {<<: *bad, name: a, host: h}\n- {<<: *bad, name: b, host: h, port: x}\nroutes:\n- {name: r, paths: *paths}\n",
    );
    assert_eq!(
        lines(&found),
        [
            "2:18 services[0].retries: expected an integer",
            "2:18 services[1].retries: expected an integer",
            "3:16 routes[0].paths[1]: should start with: / (fixed path) or ~/ (regex path)",
            "6:38 services[1].port: expected an integer",
        ]
    );
}

#[test]
fn old_booleans_are_text_except_where_a_boolean_must_stand() {
    let set = loaded(
        "routes:\n- name: no\n  paths: [/a]\n  strip_path: no\n  preserve_host: yes\n  headers: {x-country: [no]}\nplugins:\n- name: rate-limiting\n  enabled: off\n  config: {minute: 1, fault_tolerant: off}\n",
    )
    .entities;
    let route = &set.routes[0];
    assert_eq!(
        (route.name.as_deref(), route.strip_path, route.preserve_host),
        (Some("no"), false, true)
    );
    assert_eq!(
        route
            .headers
            .as_ref()
            .map(|headers| headers["x-country"][0].as_str()),
        Some("no")
    );
    assert!(!set.plugins[0].enabled);
    assert_eq!(set.plugins[0].config["fault_tolerant"], false);
    let found = faults("routes:\n- paths: [/a]\n  strip_path: 'no'\n  preserve_host: maybe\n");
    assert_eq!(
        lines(&found),
        [
            "3:15 routes[0].strip_path: expected a boolean",
            "4:18 routes[0].preserve_host: expected a boolean",
        ]
    );
    assert_eq!(
        found.items[0].hint.as_deref(),
        Some("write `false`, without quotes")
    );
}

#[test]
fn repeated_keys_are_reported_with_both_places() {
    let found = faults("services:\n- name: a\n  host: h\n  name: b\nservices: []\n");
    assert_eq!(
        lines(&found),
        [
            "4:3 : failed parsing declarative configuration: duplicate key 'name'",
            "5:1 : failed parsing declarative configuration: duplicate key 'services'",
        ]
    );
    assert_eq!(
        found.items[0].hint.as_deref(),
        Some("it stands first at line 3, column 3")
    );
    let json = super::support::faults_of_file("a.json", b"{\"a\": 1,\n \"a\": 2}");
    assert_eq!(
        lines(&json),
        ["2:2 : failed parsing declarative configuration: duplicate key 'a'"]
    );
    assert_eq!(
        json.items[0].hint.as_deref(),
        Some("it stands first at line 1, column 2")
    );
}

#[test]
fn numbers_as_keys_are_text() {
    let set = loaded("routes:\n- {name: a, headers: {42: [x], true: [y]}}\n").entities;
    let keys: Vec<_> = set.routes[0]
        .headers
        .iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(keys, ["42", "true"]);
}

#[test]
fn null_means_not_set() {
    let set =
        loaded("services:\n- {name: ~, host: h, path: null, port: }\nroutes:\nconsumers: {}\n").entities;
    assert_eq!(
        (set.services[0].name.as_deref(), set.services[0].port),
        (None, 80)
    );
}

#[test]
fn tags_of_the_core_schema_are_obeyed_and_others_refused() {
    let set = loaded("consumers:\n- username: !!str 5\n- {username: x, custom_id: !!str true}\nservices:\n- {host: h, port: !!int '81'}\n").entities;
    assert_eq!(set.consumers[0].username.as_deref(), Some("5"));
    assert_eq!(set.services[0].port, 81);
    let found = faults("services: !mine []\n");
    assert_eq!(
        lines(&found),
        ["1:11 : failed parsing declarative configuration: unsupported YAML tag '!mine'"]
    );
}
