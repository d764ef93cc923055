//! Entities against what Kong answers, text for text.

use crate::entity_table::{entity_table, entity_type};
use crate::schema::{Context, Processed, RouterFlavor, schema_violation_message, violations_to_fields};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use proptest::strategy::{Strategy, Union};
use serde_json::{Map, Value, json};

const ID: &str = "00000000-0000-4000-8000-000000000001";

/// Processes an entry as loaders do: with an id.
fn process_in(flavor: RouterFlavor, collection: &str, entry: Value) -> Processed {
    let Value::Object(mut entry) = entry else {
        panic!("{collection}: {entry} is no object")
    };
    entry.entry("id").or_insert_with(|| ID.into());
    let entity = entity_type(collection).expect(collection);
    entity.schema().process_with(
        &entry,
        &Context {
            router_flavor: flavor,
            ..Context::default()
        },
    )
}

fn process(collection: &str, entry: Value) -> Processed {
    process_in(RouterFlavor::default(), collection, entry)
}

fn fields(collection: &str, entry: Value) -> Value {
    violations_to_fields(&process(collection, entry).violations)
}

fn accepted(collection: &str, entry: Value) -> Value {
    let shown = format!("{collection} {entry}");
    let processed = process(collection, entry);
    assert_eq!(processed.violations, [], "{shown}");
    Value::Object(processed.value)
}

#[test]
fn faults_are_told_in_the_words_of_kong() {
    let lines = include_str!("tests/faults.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (given, expected) = line.split_once(" => ").expect(line);
        let (collection, entry) = given.split_once(' ').expect(line);
        let parsed = |text: &str| {
            serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        assert_eq!(fields(collection, parsed(entry)), parsed(expected), "{given}");
    }
}

#[test]
fn messages_count_and_order_their_parts_as_kong_does() {
    let message = |collection, entry| schema_violation_message(&fields(collection, entry));
    assert_eq!(
        message("services", json!({})),
        "schema violation (host: required field missing)"
    );
    assert_eq!(
        message("services", json!({"url": "x"})),
        "2 schema violations (host: required field missing; path: should start with: /)"
    );
    assert_eq!(
        message("routes", json!({"paths": [1]})),
        "schema violation (paths.1: expected a string)"
    );
    assert_eq!(
        message("upstreams", json!({"name": "x", "hash_on": "header"})),
        "2 schema violations (failed conditional validation given value of field 'hash_on'; hash_on_header: required \
         field missing)"
    );
}

#[test]
fn an_accepted_service_has_every_default() {
    let service = accepted("services", json!({"url": "http://h", "host": "z"}));
    assert_eq!(
        service,
        json!({
            "id": ID, "created_at": null, "updated_at": null, "name": null, "retries": 5, "protocol": "http", "host": "h",
            "port": 80, "path": null, "connect_timeout": 60000, "write_timeout": 60000, "read_timeout": 60000,
            "tags": null, "client_certificate": null, "tls_verify": null, "tls_verify_depth": null,
            "ca_certificates": null, "enabled": true,
        })
    );
}

#[test]
fn routes_accept_what_their_protocols_mean() {
    for entry in [
        json!({"hosts": ["*.a.test", "a.*", "*.a.test:80", "a.*:80", "1.2.3.4:80", "[::1]:80", "a_b"]}),
        json!({"paths": ["/", "/a b", "/é", "~/users/(?<id>\\d+)$", "/a%2Fb"]}),
        json!({"protocols": ["http"], "headers": {"x": ["1", "~*^v[0-9]+$"]}}),
        json!({"protocols": ["https"], "snis": ["a.test", "*.b.test", "c.*"]}),
        json!({"protocols": ["grpc", "grpcs"], "paths": ["/hello.Greeter"]}),
        json!({"protocols": ["tls_passthrough"], "snis": ["a.test"]}),
        json!({"protocols": ["tcp"], "sources": [{"ip": "10.0.0.0/8"}, {"port": 80}, {"ip": "::1", "port": 1}]}),
    ] {
        accepted("routes", entry);
    }
    assert_eq!(
        accepted("routes", json!({"protocols": ["grpc"], "hosts": ["a"]}))["strip_path"],
        false
    );
    assert_eq!(accepted("routes", json!({"hosts": ["a"]}))["strip_path"], true);
}

#[test]
fn expressions_are_fields_of_their_flavour_and_stand_alone() {
    let faults =
        |entry| violations_to_fields(&process_in(RouterFlavor::Expressions, "routes", entry).violations);
    assert_eq!(
        faults(json!({"expression": "http.path == \"/\"", "priority": 5})),
        json!({})
    );
    assert_eq!(
        faults(json!({"hosts": ["a"], "sources": [{"port": 1}]})),
        json!({})
    );
    let simultaneously =
        "'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations' simultaneously";
    assert_eq!(
        faults(json!({"expression": "x", "hosts": ["a"]})),
        json!({"@entity": [format!("Router Expression failed validation: cannot set 'expression' with {simultaneously}")]})
    );
    assert_eq!(
        faults(json!({"hosts": ["a"], "priority": 1})),
        json!({"@entity": [format!("Router Expression failed validation: cannot set 'priority' with {simultaneously}")]})
    );
    assert_eq!(
        faults(json!({"expression": "x", "regex_priority": 1})),
        json!({"@entity": ["Router Expression failed validation: cannot set 'regex_priority' with 'expression' simultaneously"]})
    );
    assert_eq!(
        faults(json!({"protocols": ["http"]})),
        json!({"@entity": [
            "must set one of 'methods', 'hosts', 'headers', 'paths', 'expression' when 'protocols' is 'http'"
        ]})
    );
    let traditional = process_in(
        RouterFlavor::Traditional,
        "routes",
        json!({"snis": ["a.test", "*.b.test"]}),
    );
    assert_eq!(
        violations_to_fields(&traditional.violations),
        json!({"snis": [null, "invalid value: *.b.test"]})
    );
}

#[test]
fn the_algorithm_of_an_upstream_follows_hash_on() {
    let cases = [
        (json!({}), "round-robin", "none"),
        (
            json!({"algorithm": "least-connections", "hash_on": "ip"}),
            "least-connections",
            "none",
        ),
        (json!({"algorithm": "latency"}), "latency", "none"),
        (
            json!({"hash_on": "none", "algorithm": "consistent-hashing"}),
            "round-robin",
            "none",
        ),
        (json!({"hash_on": "ip"}), "consistent-hashing", "ip"),
        (
            json!({"hash_on": "ip", "algorithm": "round-robin"}),
            "consistent-hashing",
            "ip",
        ),
        (
            json!({"hash_on": null, "algorithm": "consistent-hashing"}),
            "consistent-hashing",
            "none",
        ),
    ];
    for (mut entry, algorithm, hash_on) in cases {
        entry["name"] = "u".into();
        let upstream = accepted("upstreams", entry.clone());
        assert_eq!(
            (upstream["algorithm"].as_str(), upstream["hash_on"].as_str()),
            (Some(algorithm), Some(hash_on)),
            "{entry}"
        );
    }
}

#[test]
fn an_upstream_has_our_extension_only_when_it_is_given() {
    let plain = accepted("upstreams", json!({ "name": "up" }));
    assert_eq!(plain.get("tidegate"), None);
    let given = accepted(
        "upstreams",
        json!({ "name": "up", "tidegate": { "slow_start_seconds": 30 } }),
    );
    assert_eq!(given["tidegate"]["slow_start_seconds"], 30);
    assert_eq!(given["tidegate"]["max_ejection_percent"], json!(null));
    let wrong =
        json!({ "max_ejection_percent": 101, "retry_budget_percent": -1, "slow_start_seconds": "long" });
    let faults = fields("upstreams", json!({ "name": "up", "tidegate": wrong }));
    assert_eq!(
        faults,
        json!({ "tidegate": {
            "max_ejection_percent": "value should be between 0 and 100",
            "retry_budget_percent": "value should be between 0 and 100",
            "slow_start_seconds": "expected a number",
        }})
    );
}

#[test]
fn targets_are_stored_with_port_and_brackets() {
    let stored = |target: &str| {
        accepted("targets", json!({"upstream": {"id": ID}, "target": target}))["target"].clone()
    };
    assert_eq!(stored("127.0.0.1"), "127.0.0.1:8000");
    assert_eq!(stored("a.test:1"), "a.test:1");
    assert_eq!(stored("[::1]:80"), "[0000:0000:0000:0000:0000:0000:0000:0001]:80");
}

#[test]
fn keys_and_secrets_are_generated_when_left_out() {
    let credential = |collection, entry| accepted(collection, entry);
    let owner = json!({"id": ID});
    let key = credential("keyauth_credentials", json!({"consumer": owner}))["key"].clone();
    assert_eq!(key.as_str().map(str::len), Some(32));
    assert_ne!(
        key,
        credential("keyauth_credentials", json!({"consumer": owner}))["key"]
    );
    let jwt = credential("jwt_secrets", json!({"consumer": owner, "key": "mine"}));
    assert_eq!(
        (jwt["key"].as_str(), jwt["secret"].as_str().map(str::len)),
        (Some("mine"), Some(32))
    );
}

#[test]
fn an_authority_gets_its_digest() {
    // Three bytes stand for a certificate: what they mean is not looked at here.
    let pem = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
    let authority = accepted("ca_certificates", json!({"cert": pem, "cert_digest": "sent"}));
    assert_eq!(
        authority["cert_digest"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let twice = format!("{pem}{pem}");
    assert_eq!(
        fields("ca_certificates", json!({"cert": twice})),
        json!({"@entity": ["please submit only one certificate at a time"]})
    );
}

/// Entries of every collection.
fn entries() -> impl Strategy<Value = (&'static str, Map<String, Value>)> {
    let one = |entity: &'static crate::entity_table::EntityType| {
        let inputs = crate::schema::test_inputs::input_for(entity.schema());
        inputs.prop_map(|input| (entity.collection, input)).boxed()
    };
    Union::new(entity_table().iter().map(one))
}

proptest! {
    #[test]
    fn any_entry_is_processed_and_the_result_is_a_fixed_point((collection, mut entry) in entries()) {
        entry.insert("id".into(), ID.into());
        let schema = entity_type(collection).unwrap().schema();
        let once = schema.process(&entry);
        let message = schema_violation_message(&violations_to_fields(&once.violations));
        prop_assert!(message.contains("schema violation"));
        // Hashing is the exception: whether `hash_on` was sent or filled in decides the algorithm.
        let is_exempt = once.value.get("algorithm") == Some(&"consistent-hashing".into()) && once.value["hash_on"] == "none";
        if once.violations.is_empty() && !is_exempt {
            let twice = schema.process(&once.value);
            prop_assert_eq!(twice.violations, vec![]);
            prop_assert_eq!(twice.value, once.value);
        }
    }
}
