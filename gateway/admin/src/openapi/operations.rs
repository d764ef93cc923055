//! Paths and their operations.

use super::shapes::reference;
use crate::paths::{Endpoint, Pattern};
use serde_json::{Map, Value, json};
use tidegate_model::entity_table::EntityType;

/// What is described of a path; nothing of those that are never there.
pub(super) fn of(pattern: &Pattern) -> Option<Value> {
    if let Endpoint::Nothing = pattern.endpoint {
        return None;
    }
    let mut described = Map::new();
    let places = places(&pattern.text);
    if !places.is_empty() {
        described.insert("parameters".to_owned(), places.into());
    }
    let methods = pattern.endpoint.methods().iter();
    for method in methods.filter(|method| !matches!(**method, "HEAD" | "OPTIONS")) {
        described.insert(method.to_ascii_lowercase(), operation(pattern, method));
    }
    Some(Value::Object(described))
}

fn places(text: &str) -> Vec<Value> {
    let names = text
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true,
                "schema": { "type": "string", "minLength": 1 },
            })
        })
        .collect()
}

fn operation(pattern: &Pattern, method: &str) -> Value {
    let about = About::of(pattern.endpoint);
    let group = pattern
        .text
        .split('/')
        .nth(1)
        .filter(|name| !name.is_empty())
        .unwrap_or("information");
    let mut operation = json!({
        "tags": [group],
        "summary": summary(pattern, &about, method),
        "operationId": operation_id(&pattern.text, method),
        "responses": responses(&about, method),
    });
    if let Some(members) = operation.as_object_mut() {
        if about.is_list && method == "GET" {
            let names: &[&str] = if about.has_tags {
                &["size", "offset", "tags"]
            } else {
                &["size", "offset"]
            };
            let parameters = names
                .iter()
                .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
            members.insert("parameters".to_owned(), parameters.collect());
        }
        if let Some(body) = about.body(method) {
            members.insert("requestBody".to_owned(), body);
        }
    }
    operation
}

/// What an endpoint is about, as far as its description goes.
struct About {
    entity: Option<&'static EntityType>,
    is_list: bool,
    has_tags: bool,
    /// Its body is a free object.
    takes_anything: bool,
}

impl About {
    fn of(endpoint: Endpoint) -> Self {
        let targets = || tidegate_model::entity_table::entity_type("targets");
        let (entity, is_list) = match endpoint {
            Endpoint::Collection(entity) => (Some(entity), true),
            Endpoint::Entity(entity) => (Some(entity), false),
            Endpoint::Children(link) => (Some(link.child), true),
            Endpoint::Child(link) => (Some(link.child), false),
            Endpoint::Parent(field) => (Some(field.parent), false),
            Endpoint::Targets | Endpoint::AllTargets => (targets(), true),
            Endpoint::Target => (targets(), false),
            Endpoint::Tags | Endpoint::TagRows | Endpoint::Members | Endpoint::Groups => (None, true),
            _ => (None, false),
        };
        Self {
            entity,
            is_list,
            has_tags: matches!(endpoint, Endpoint::Collection(_)),
            takes_anything: matches!(
                endpoint,
                Endpoint::Members
                    | Endpoint::Groups
                    | Endpoint::Configuration
                    | Endpoint::EntityValidation
                    | Endpoint::PluginValidation
                    | Endpoint::VaultValidation
            ),
        }
    }

    fn body(&self, method: &str) -> Option<Value> {
        let schema = match (method, self.entity) {
            ("POST" | "PUT", Some(entity)) => reference(&format!("{}_input", entity.collection)),
            ("PATCH", Some(entity)) => reference(&format!("{}_change", entity.collection)),
            ("POST", None) if self.takes_anything => reference("anything"),
            _ => return None,
        };
        let content = [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ];
        let content: Map<String, Value> = content
            .into_iter()
            .map(|kind| (kind.to_owned(), json!({ "schema": schema })))
            .collect();
        Some(json!({ "required": true, "content": content }))
    }

    /// What comes back when all went well.
    fn shown(&self, method: &str) -> Value {
        match (self.entity, self.is_list && method == "GET") {
            (Some(entity), true) => reference(&format!("{}_page", entity.collection)),
            (Some(entity), false) => reference(entity.collection),
            (None, _) => reference("anything"),
        }
    }
}

fn summary(pattern: &Pattern, about: &About, method: &str) -> String {
    let what = about
        .entity
        .map_or(pattern.text.as_str(), |entity| entity.collection);
    match (method, about.is_list, about.entity) {
        ("GET", true, Some(_)) => format!("List {what}"),
        ("GET", false, Some(_)) => format!("Show one of {what}"),
        ("POST", _, Some(_)) => format!("Create one of {what}"),
        ("PUT", _, Some(_)) => format!("Create or replace one of {what}"),
        ("PATCH", _, Some(_)) => format!("Change one of {what}"),
        ("DELETE", _, Some(_)) => format!("Delete one of {what}"),
        ("GET", ..) => format!("Show {what}"),
        ("DELETE", ..) => format!("Delete {what}"),
        _ => format!("Set {what}"),
    }
}

/// `get_services_services_routes`
fn operation_id(text: &str, method: &str) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mut id = method.to_ascii_lowercase();
    for word in words.filter(|word| !word.is_empty()) {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn responses(about: &About, method: &str) -> Value {
    let well = |description: &str| {
        json!({
            "description": description,
            "content": { "application/json": { "schema": about.shown(method) } },
        })
    };
    let refusal = || json!({ "$ref": "#/components/responses/refusal" });
    let mut responses = Map::new();
    let mut put = |status: &str, response: Value| {
        responses.insert(status.to_owned(), response);
    };
    match method {
        "DELETE" => put("204", json!({ "description": "It is gone." })),
        "POST" => {
            put("201", well("It is there."));
            if about.takes_anything {
                put("200", well("Nothing is wrong with it."));
                put("304", json!({ "description": "This is what there is already." }));
            }
        }
        "PUT" if about.entity.is_none() => {
            put("200", well("It is so now."));
            put("204", json!({ "description": "It is so now." }));
        }
        _ => put("200", well("This is it.")),
    }
    for status in ["400", "401", "404", "405"] {
        put(status, refusal());
    }
    if matches!(method, "POST" | "PUT" | "PATCH") {
        put("409", refusal());
        put("413", refusal());
        put("415", json!({ "$ref": "#/components/responses/media_type" }));
    }
    put("501", refusal());
    put("503", refusal());
    Value::Object(responses)
}
