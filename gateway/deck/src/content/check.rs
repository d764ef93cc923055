//! What a file may say at all, ahead of asking any server: known properties of the right type.

use crate::error::Error;
use crate::kinds::Kind;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use tidegate_model::schema::Shape;

/// Lists that decK knows and this client cannot keep.
const UNSUPPORTED: [&str; 7] = [
    "licenses",
    "partials",
    "custom_entities",
    "cloned_plugins",
    "custom_plugins",
    "service_packages",
    "rbac_roles",
];

/// Everything that is wrong. Remarks are taken out.
pub(super) fn faults(root: &mut Map<String, Value>) -> Vec<Error> {
    let mut check = Check {
        path: String::new(),
        faults: Vec::new(),
    };
    take_remarks(root);
    for (name, value) in root {
        check.top(name, value);
    }
    check.faults
}

/// Kong allows these two everywhere.
fn take_remarks(members: &mut Map<String, Value>) {
    members.shift_remove("_comment");
    members.shift_remove("_ignore");
}

struct Check {
    path: String,
    faults: Vec<Error>,
}

impl Check {
    fn top(&mut self, name: &str, value: &mut Value) {
        match name {
            "_format_version" | "_workspace" => self.expect("string", name, value),
            "_transform" => self.expect("boolean", name, value),
            "_info" | "_konnect" | "_plugin_configs" => self.expect("object", name, value),
            _ if UNSUPPORTED.contains(&name) => {
                if value.as_array().is_some_and(|list| !list.is_empty()) {
                    self.fault(value, &format!("{name}: is not supported by this client"));
                }
            }
            _ => match Kind::of_collection(name).filter(|kind| kind.stands_at_top()) {
                Some(kind) => self.list(kind, name, value, None),
                None => self.unknown(name, value),
            },
        }
    }

    fn list(&mut self, kind: Kind, name: &str, value: &mut Value, parent: Option<&str>) {
        let Value::Array(list) = value else {
            return self.expect("array", name, value);
        };
        let length = self.step(name);
        for (index, entry) in list.iter_mut().enumerate() {
            let Value::Object(members) = entry else {
                self.expect("object", &index.to_string(), entry);
                continue;
            };
            take_remarks(members);
            let length = self.step(&index.to_string());
            for (field, value) in members {
                self.member(kind, field, value, parent);
            }
            self.path.truncate(length);
        }
        self.path.truncate(length);
    }

    fn member(&mut self, kind: Kind, field: &str, value: &mut Value, parent: Option<&str>) {
        if let Some((child, back)) = kind
            .children()
            .iter()
            .find(|(child, _)| child.row().collection == field)
        {
            return self.list(*child, field, value, Some(back));
        }
        match (kind, field) {
            (Kind::Consumer, "groups") | (Kind::ConsumerGroup, "consumers") => {
                self.expect("array", field, value);
            }
            (Kind::Service, "url") | (Kind::Plugin, "_config") => self.expect("string", field, value),
            (Kind::Plugin, "config") => self.expect("object", field, value),
            _ if parent == Some(field) && !value.is_null() => self.unknown(field, value),
            _ if !kind.has_field(field) => self.unknown(field, value),
            _ => self.shaped(kind, field, value),
        }
    }

    fn shaped(&mut self, kind: Kind, field: &str, value: &Value) {
        let expected = match kind.shape(field) {
            Some(Shape::String) => "string",
            Some(Shape::Integer) => "integer",
            Some(Shape::Number) => "number",
            Some(Shape::Boolean) => "boolean",
            Some(Shape::Array(_) | Shape::Set(_)) => "array",
            Some(Shape::Map { .. } | Shape::Record(_)) => "object",
            Some(Shape::Foreign(_) | Shape::Any) | None => return,
        };
        // A key in JSON form is text for the server; people write it either way.
        if kind == Kind::Key && field == "jwk" {
            return;
        }
        self.expect(expected, field, value);
    }

    /// Null is as good as nothing.
    fn expect(&mut self, expected: &str, field: &str, value: &Value) {
        let given = type_of(value);
        // A variable that is not filled in may be anything.
        if value.as_str().is_some_and(|text| text.contains("${{")) {
            return;
        }
        let fits = given == expected || given == "null" || (expected == "number" && given == "integer");
        if !fits {
            let length = self.step(field);
            let text = format!(
                "{}: Invalid type. Expected: {expected}, given: {given}",
                self.path
            );
            self.fault(value, &text);
            self.path.truncate(length);
        }
    }

    fn unknown(&mut self, field: &str, value: &Value) {
        let place = if self.path.is_empty() {
            "(root)"
        } else {
            &self.path
        };
        let text = format!("{place}: Additional property {field} is not allowed");
        self.fault(value, &text);
    }

    fn fault(&mut self, value: &Value, text: &str) {
        self.faults.push(Error::input(format!(
            "validation error: object={value}, err={text}"
        )));
    }

    /// Goes one step down; the length to go back to.
    fn step(&mut self, name: &str) -> usize {
        let length = self.path.len();
        let dot = if length == 0 { "" } else { "." };
        // Writing to a text cannot fail.
        let _ = write!(self.path, "{dot}{name}");
        length
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) => {
            let is_whole = number.as_f64().is_some_and(|number| number.fract() == 0.0);
            if is_whole { "integer" } else { "number" }
        }
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
