//! `/openapi.json`: the whole API as an OpenAPI 3.1 document, read off the table of paths and the tables of entities.

use crate::paths;
use serde_json::{Map, Value, json};
use tidegate_model::entity_table::entity_table;

mod operations;
mod shapes;

/// The document.
pub(crate) fn document(product: &str) -> Value {
    let version = product.split_once('/').map_or(product, |(_, version)| version);
    let mut described = Map::new();
    for pattern in paths::patterns() {
        if let Some(path) = operations::of(pattern) {
            described.insert(pattern.text.clone(), path);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate Admin API",
            "description": "Configures and inspects a running gateway. Compatible with the Admin API of Kong Gateway.",
            "version": version,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "token": [] }, { "bearer": [] }],
        "paths": described,
        "components": {
            "securitySchemes": {
                "token": { "type": "apiKey", "in": "header", "name": "Kong-Admin-Token" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
            "parameters": parameters(),
            "schemas": schemas(),
            "responses": {
                "refusal": {
                    "description": "What is wrong, in words and for programs.",
                    "content": { "application/json": { "schema": shapes::reference("error") } },
                },
                "media_type": {
                    "description": "The type of the body is not understood.",
                    "content": { "text/html": { "schema": { "type": "string" } } },
                },
            },
        },
    })
}

fn parameters() -> Value {
    json!({
        "size": {
            "name": "size", "in": "query", "description": "Entities of a page.",
            "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 },
        },
        "offset": {
            "name": "offset", "in": "query", "description": "Where the page begins: `offset` of the one before.",
            "schema": { "type": "string" },
        },
        "tags": {
            "name": "tags", "in": "query",
            "description": "Only entities with all of these tags (`a,b`), or with any of them (`a/b`); five at most.",
            "schema": { "type": "string", "minLength": 1 },
        },
    })
}

fn schemas() -> Value {
    let mut schemas = Map::new();
    for entity in entity_table() {
        let name = entity.collection;
        schemas.insert(name.to_owned(), shapes::shown(entity));
        schemas.insert(format!("{name}_input"), shapes::written(entity, true));
        schemas.insert(format!("{name}_change"), shapes::written(entity, false));
        schemas.insert(format!("{name}_page"), shapes::page(&shapes::reference(name)));
    }
    let others = json!({
        "error": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": { "type": "string" },
                "code": { "type": "integer", "description": "The kind of refusal; absent from plain messages." },
                "name": { "type": "string" },
                "fields": { "type": "object", "description": "A text for each field, nested as the input." },
                "options": { "type": "object" },
                "flattened_errors": { "type": "array", "items": { "type": "object" } },
            },
        },
        "message": {
            "type": "object",
            "required": ["message"],
            "properties": { "message": { "type": "string" } },
        },
        "anything": { "type": "object" },
    });
    if let Value::Object(others) = others {
        schemas.extend(others);
    }
    Value::Object(schemas)
}

#[cfg(test)]
mod tests;
