use super::document;
use crate::paths::patterns;
use serde_json::Value;
use std::collections::BTreeSet;

/// Every `$ref` of a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document("tidegate/1.2.3");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 60);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    assert_eq!(document["info"]["version"], "1.2.3");
}

#[test]
fn every_path_and_method_is_described_once() {
    let document = document("x");
    let mut ids = BTreeSet::new();
    for pattern in patterns() {
        let path = &document["paths"][&pattern.text];
        if path.is_null() {
            assert!(
                matches!(pattern.endpoint, crate::paths::Endpoint::Nothing),
                "{}",
                pattern.text
            );
            continue;
        }
        for method in pattern
            .endpoint
            .methods()
            .iter()
            .filter(|name| !matches!(**name, "HEAD" | "OPTIONS"))
        {
            let operation = &path[method.to_ascii_lowercase()];
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {}", pattern.text));
            assert!(ids.insert(id.to_owned()), "{id}");
            assert!(operation["responses"]["400"].is_object());
        }
    }
}

#[test]
fn fields_have_types_bounds_and_defaults() {
    let document = document("x");
    let service = &document["components"]["schemas"]["services_input"];
    let port = &service["properties"]["port"];
    assert_eq!(
        (port["type"][0].as_str(), &port["maximum"], &port["default"]),
        (Some("integer"), &65535.into(), &80.into())
    );
    assert_eq!(service["additionalProperties"], false);
    assert!(service["properties"]["url"].is_object());
    let upstream = &document["components"]["schemas"]["upstreams_input"];
    assert_eq!(upstream["required"], Value::from(vec!["name"]));
    assert_eq!(
        document["components"]["schemas"]["upstreams_change"].get("required"),
        None
    );
    let shown = &document["components"]["schemas"]["certificates"]["properties"];
    assert!(shown["snis"].is_object() && shown["id"]["format"] == "uuid");
}
