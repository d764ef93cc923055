//! Questions about finished values. Recursion is bounded, since values obey the depth limit.

use serde_json::Value;

/// Whether a merge key may hold the value.
pub(super) fn is_mergeable(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(list) => list.iter().all(Value::is_object),
        _ => false,
    }
}

/// How many values this one consists of.
pub(super) fn nodes_of(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(nodes_of).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(nodes_of).sum::<usize>(),
        _ => 1,
    }
}

/// Levels of nesting below and including this value; 0 for a scalar. Bounded, since values obey the depth limit.
pub(super) fn depth_of(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth_of).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}
