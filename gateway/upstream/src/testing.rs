//! Entities from the fields that matter, for tests and benchmarks.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what is wrong here is wrong in a test"
)]

use serde_json::{Value, json};
use tidegate_model::entities;
use tidegate_model::schema::Declared;

fn entity<T: Declared + serde::de::DeserializeOwned>(input: &Value) -> T {
    let processed = T::schema().process(input.as_object().expect("an object"));
    assert!(processed.violations.is_empty(), "{:?}", processed.violations);
    serde_json::from_value(Value::Object(processed.value)).expect("a sound entity")
}

const UPSTREAM: &str = "5f1d7e76-1f0a-4f7c-9a52-000000000001";

/// An upstream with these fields beside id and name.
pub(crate) fn upstream(fields: &Value) -> entities::Upstream {
    let mut input = json!({ "id": UPSTREAM, "name": "up" });
    for (key, value) in fields.as_object().expect("an object") {
        input[key] = value.clone();
    }
    entity(&input)
}

/// A target of that upstream; its id follows from its address.
pub(crate) fn target(address: &str, weight: u16) -> entities::Target {
    let number = address.bytes().fold(0_u64, |number, byte| {
        (number * 31 + u64::from(byte)) & 0xffff_ffff_ffff
    });
    entity(&json!({
        "id": format!("5f1d7e76-1f0a-4f7c-9a52-{number:012x}"),
        "upstream": { "id": UPSTREAM },
        "target": address,
        "weight": weight,
    }))
}
