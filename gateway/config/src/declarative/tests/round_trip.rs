//! What is dumped loads back to the same entities.

use super::support::{loaded, options};
use crate::declarative::{Source, dump, load};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_model::entities::EntitySet;

fn reload(set: &EntitySet) -> EntitySet {
    let text = dump(set);
    // Another clock: times must come from the dump.
    let options = crate::declarative::LoadOptions {
        now: Some(9.0),
        ..options()
    };
    load(
        &Source {
            name: "dump.yaml",
            bytes: text.as_bytes(),
        },
        &options,
    )
    .unwrap_or_else(|faults| panic!("{faults}\n{text}"))
    .entities
}

fn check(text: &str) {
    let set = loaded(text).entities;
    assert_eq!(reload(&set), set);
}

#[test]
fn every_collection_survives() {
    check(
        "
services:
- {name: s, url: 'https://h:8443/p', tags: [a, 'b c'], retries: 0, routes: [{name: r, hosts: ['*.a.test'], methods: [GET], headers: {x-a: ['1', yes]}}]}
consumers:
- {username: u, custom_id: '007', groups: [{name: g}, {name: h}], acls: [{group: x}], keyauth_credentials: [{key: '12345'}], basicauth_credentials: [{username: u, password: p}], jwt_secrets: [{key: k, secret: s}], hmacauth_credentials: [{username: u, secret: s}], oauth2_credentials: [{name: n, client_id: c, client_secret: s, redirect_uris: ['https://x/y']}]}
- {username: v, groups: [{name: h}]}
consumer_groups: [{name: g, plugins: [{name: rate-limiting, config: {second: 1}}]}, {name: h}]
plugins: [{name: cors, instance_name: one, enabled: false, protocols: [http]}, {name: request-transformer, config: {add: {headers: ['a:b: c', ' x', \"l1\\nl2\"]}}}]
upstreams: [{name: u, hash_on: header, hash_on_header: x-h, targets: [{target: '[::1]:80', weight: 0}]}]
vaults: [{prefix: my-env, name: env, description: 'about: it #1', config: {prefix: A_}}]
key_sets: [{name: ks, keys: [{kid: k, jwk: '{\"kid\":\"k\",\"kty\":\"oct\",\"k\":\"AA\"}'}]}]
filter_chains: [{name: fc, route: r, filters: [{name: f, config: {a: [null, 1.5, {b: '~'}]}}]}]
",
    );
}

#[test]
fn a_dump_says_that_passwords_are_hashed_already() {
    let text = dump(
        &loaded("consumers:\n- {username: u, basicauth_credentials: [{username: u, password: p}]}\n")
            .entities,
    );
    assert!(
        text.starts_with("_format_version: \"3.0\"\n_transform: false\n"),
        "{text}"
    );
    assert!(!text.contains("password: p\n"), "{text}");
}

#[test]
fn a_dump_is_pleasant_to_read() {
    let set = loaded("services:\n- {name: s, host: example.test, id: 3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d10, routes: [{name: r, paths: [/a, '~/\\d+'], id: 3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d11}]}\n").entities;
    let text = dump(&set);
    let expected = "routes:\n- id: \"3f6c9c0a-7c5e-4c7e-9b5c-0a3f2a6c1d11\"\n  created_at: 1700000000\n  updated_at: 1700000000\n  name: r\n  protocols:\n  - http\n  - https\n  paths:\n  - /a\n  - \"~/\\\\d+\"\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn an_empty_set_survives() {
    assert_eq!(reload(&EntitySet::default()), EntitySet::default());
}

/// Text that YAML likes to take for something else, and any other.
fn text() -> impl Strategy<Value = String> {
    let odd = [
        "no",
        "~",
        "null",
        "1",
        "0x1",
        "1e3",
        "- a",
        "a: b",
        "a #b",
        "'",
        "\"",
        "*x",
        "&x",
        "{",
        "[",
        "|",
        ">",
        "%",
        "@",
        "`",
        "!",
        "?",
        ":",
        "-",
        "a\n",
        "\na",
        "a\nb",
        "a\n\nb\n",
        " a",
        "a ",
        "\ta",
        "<<",
        "é",
        "\u{2028}",
        "\u{7f}",
        "\u{feff}",
        "\r",
        "a\r\nb",
        "---",
        "...",
        "# a",
        "😀",
        "\u{85}",
        "-----BEGIN\nabc\n-----END\n",
    ];
    prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[a-z/~.-]{1,12}",
        any::<String>().prop_filter("texts are not empty", |text| !text.is_empty()),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no infinities", |number| number.is_finite())
            .prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((text(), inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

fn service(index: usize, tags: &[String], port: u16, path: bool, retries: u16) -> Value {
    let path = if path { json!("/base") } else { Value::Null };
    json!({ "name": format!("s{index}"), "host": "h.test", "port": port, "path": path, "retries": retries, "tags": tags })
}

fn plain_tag() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 :#~!-]{1,8}".prop_filter("spaces at the ends are trimmed by nobody", |tag| !tag.is_empty())
}

fn configuration() -> impl Strategy<Value = Value> {
    let services = proptest::collection::vec(
        (
            proptest::collection::vec(plain_tag(), 0..3),
            any::<u16>(),
            any::<bool>(),
            0..=32_767_u16,
        ),
        0..4,
    );
    let routes = proptest::collection::vec((any::<bool>(), "/[a-z]{0,6}", any::<i32>(), 0..4_usize), 0..6);
    let headers = proptest::collection::vec(text(), 0..4);
    let usernames = proptest::collection::hash_set(text(), 0..4);
    (services, routes, headers, usernames, any_json(), any::<bool>()).prop_map(
        |(services, routes, headers, usernames, filter_config, is_nested)| {
            let mut services: Vec<Value> = services
                .iter()
                .enumerate()
                .map(|(index, (tags, port, path, retries))| service(index, tags, *port, *path, *retries))
                .collect();
            let mut flat = Vec::new();
            for (strip, path, priority, at) in routes {
                let mut route = json!({ "paths": [path], "strip_path": strip, "regex_priority": priority });
                match services.get_mut(at) {
                    Some(service) if is_nested => {
                        if service.get("routes").is_none() {
                            service["routes"] = json!([]);
                        }
                        service["routes"].as_array_mut().expect("a list").push(route);
                    }
                    Some(service) => {
                        route["service"] = service["name"].clone();
                        flat.push(route);
                    }
                    None => flat.push(route),
                }
            }
            let consumers: Vec<Value> = usernames
                .into_iter()
                .map(|name| json!({ "username": name, "keyauth_credentials": [{ "key": format!("key of {name}") }] }))
                .collect();
            let chains = if services.is_empty() {
                json!([])
            } else {
                json!([{ "name": "chain", "service": "s0", "filters": [{ "name": "f", "config": filter_config }] }])
            };
            json!({
                "_format_version": "3.0", "services": services, "routes": flat, "consumers": consumers,
                "plugins": [{ "name": "request-transformer", "config": { "add": { "headers": headers } } }],
                "filter_chains": chains,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_configuration_survives_a_dump(configuration in configuration()) {
        let text = configuration.to_string();
        let set = match load(&Source { name: "a.json", bytes: text.as_bytes() }, &options()) {
            Ok(loaded) => loaded.entities,
            Err(faults) => return Err(TestCaseError::fail(faults.to_string())),
        };
        prop_assert_eq!(reload(&set), set);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::declarative::fuzz(&bytes);
    }
}
