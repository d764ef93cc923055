use super::{Schemas, fields_of_json_schema, plugin_config};
use crate::kinds::Kind;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => panic!("not an object"),
    }
}

fn schemas() -> Schemas {
    let config = json!({"fields": [{"config": {"type": "record", "required": true, "fields": [
        {"minute": {"type": "number"}},
        {"policy": {"type": "string", "default": "local"}},
        {"methods": {"type": "set", "default": ["GET", "PUT"]}},
        {"order": {"type": "array"}},
        {"redis": {"type": "record", "required": true, "fields": [
            {"host": {"type": "string"}}, {"port": {"type": "integer", "default": 6379}},
        ]}},
        {"log": {"type": "record", "fields": [{"level": {"type": "string", "default": "info"}}]}},
        {"rules": {"type": "array", "elements": {"type": "record", "fields": [{"on": {"type": "boolean", "default": true}}]}}},
    ], "shorthand_fields": [
        {"redis_host": {"type": "string", "deprecation": {"replaced_with": [{"path": ["redis", "host"]}]}}},
    ]}}]});
    Schemas {
        kinds: [(
            Kind::Plugin,
            json!({"fields": [{"enabled": {"type": "boolean", "default": true}}]}),
        )]
        .into(),
        plugins: [("rate-limiting".to_owned(), plugin_config(config))].into(),
    }
}

#[test]
fn defaults_are_filled_where_nothing_is_set() {
    let mut body =
        object(json!({"name": "rate-limiting", "config": {"minute": 5, "policy": null, "rules": [{}]}}));
    schemas().fill(Kind::Plugin, &mut body);
    assert_eq!(
        Value::Object(body),
        json!({"name": "rate-limiting", "enabled": true, "config": {
            "minute": 5, "policy": "local", "methods": ["GET", "PUT"], "redis": {"port": 6379}, "rules": [{"on": true}],
        }})
    );
}

#[test]
fn what_is_as_by_default_is_stripped_again() {
    let mut body = object(json!({"name": "rate-limiting", "config": {"minute": 5, "redis": {"host": "r"}}}));
    let written = body.clone();
    schemas().fill(Kind::Plugin, &mut body);
    schemas().strip(Kind::Plugin, &mut body);
    assert_eq!(body, written);
}

#[test]
fn old_names_count_as_the_new_ones() {
    let stored = json!({"name": "rate-limiting", "config": {
        "minute": 5, "redis_host": "r", "redis": {"host": "r", "port": 6379}, "methods": ["PUT", "GET"],
        "policy": "local",
    }});
    for written in [
        json!({"minute": 5, "redis_host": "r"}),
        json!({"minute": 5, "redis": {"host": "r"}, "methods": ["GET", "PUT"]}),
    ] {
        let mut current = object(stored.clone());
        let mut target = object(json!({"name": "rate-limiting", "config": written}));
        let schemas = schemas();
        schemas.align(&mut current, &mut target);
        schemas.fill(Kind::Plugin, &mut target);
        schemas.align(&mut current, &mut target);
        assert!(
            crate::compare::same(&current["config"], &target["config"]),
            "{target:?}"
        );
    }
}

#[test]
fn a_json_schema_gives_the_same_defaults() {
    let schema = json!({"properties": {
        "port": {"type": "integer", "default": 80},
        "healthchecks": {"type": "object", "properties": {"threshold": {"type": "number", "default": 0}}},
    }});
    let mut body = Map::new();
    super::fill(&mut body, &fields_of_json_schema(&schema));
    assert_eq!(
        Value::Object(body),
        json!({"port": 80, "healthchecks": {"threshold": 0}})
    );
}

proptest! {
    #[test]
    fn filling_twice_changes_nothing(minute in prop::option::of(0..9_i64), policy in prop::option::of("[a-z]{0,4}")) {
        let mut body = object(json!({"name": "rate-limiting", "config": {"minute": minute, "policy": policy}}));
        schemas().fill(Kind::Plugin, &mut body);
        let once = body.clone();
        schemas().fill(Kind::Plugin, &mut body);
        prop_assert_eq!(body, once);
    }
}
