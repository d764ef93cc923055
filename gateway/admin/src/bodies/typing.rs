//! Fields of a form get the types that the table has for them.

use super::brackets::Tree;
use serde_json::{Map, Number, Value};
use tidegate_config::declarative::PluginSchemas;
use tidegate_model::schema::{Kind, RecordSchema, Shape};

/// The tables to go by.
#[derive(Clone, Copy)]
pub(crate) struct Types<'t> {
    pub(crate) schema: &'t RecordSchema,
    /// For `config` of a plugin, whose table hangs on its name.
    pub(crate) plugins: Option<&'t dyn PluginSchemas>,
    /// Name of the plugin that is there already, for a form that does not say it again.
    pub(crate) plugin: Option<&'t str>,
    /// Names of fields beside the table that are lists of texts.
    pub(crate) lists: &'t [&'t str],
}

impl Types<'_> {
    pub(super) fn typed(&self, members: Vec<(String, Tree)>) -> Map<String, Value> {
        let kind = self.plugin_kind(&members);
        members
            .into_iter()
            .map(|(name, tree)| {
                let value = match (&kind, name.as_str()) {
                    (Some(config), "config") => record(config, tree),
                    _ if self.lists.contains(&name.as_str()) => list(None, tree),
                    _ => field(self.schema, &name, tree),
                };
                (name, value)
            })
            .collect()
    }

    fn plugin_kind(&self, members: &[(String, Tree)]) -> Option<&'static RecordSchema> {
        let sent = members.iter().find_map(|(name, tree)| match tree {
            Tree::Text(text) if name == "name" => Some(text.as_str()),
            _ => None,
        });
        Some(self.plugins?.get(sent.or(self.plugin)?)?.config)
    }
}

fn field(schema: &RecordSchema, name: &str, tree: Tree) -> Value {
    let shorthand = schema.shorthands.iter().find(|shorthand| shorthand.name == name);
    let kind = schema
        .field(name)
        .map(|field| &field.kind)
        .or_else(|| shorthand.map(|shorthand| &shorthand.kind));
    value(kind, tree)
}

fn record(schema: &RecordSchema, tree: Tree) -> Value {
    match tree {
        Tree::Map(members) => members
            .into_iter()
            .map(|(name, tree)| {
                let value = field(schema, &name, tree);
                (name, value)
            })
            .collect(),
        other => value(None, other),
    }
}

fn value(kind: Option<&Kind>, tree: Tree) -> Value {
    match (kind.map(|kind| &kind.shape), tree) {
        (_, Tree::Empty) => Value::Null,
        (Some(Shape::Array(element) | Shape::Set(element)), tree) => list(Some(element), tree),
        (Some(Shape::Record(source)), tree @ Tree::Map(_)) => record((source.0)(), tree),
        (Some(Shape::Map { values, .. }), Tree::Map(members)) => members
            .into_iter()
            .map(|(name, tree)| (name, value(Some(values), tree)))
            .collect(),
        (Some(Shape::Map { values, .. }), Tree::List(items)) => items
            .into_iter()
            .map(|(at, tree)| (at.to_string(), value(Some(values), tree)))
            .collect(),
        (shape, Tree::Text(text)) => scalar(shape, text),
        (_, Tree::Map(members)) => members
            .into_iter()
            .map(|(name, tree)| (name, value(None, tree)))
            .collect(),
        (_, Tree::List(items)) => items.into_values().map(|tree| value(None, tree)).collect(),
    }
}

/// A single value becomes a list of one; an empty one unsets the list.
fn list(element: Option<&Kind>, tree: Tree) -> Value {
    match tree {
        Tree::Text(text) if text.is_empty() => Value::Null,
        text @ Tree::Text(_) => Value::Array(vec![value(element, text)]),
        Tree::List(items) => items.into_values().map(|tree| value(element, tree)).collect(),
        other => value(None, other),
    }
}

/// An empty text is null. What does not read as its type stays a text, which the table then refuses.
fn scalar(shape: Option<&Shape>, text: String) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    match shape {
        Some(Shape::Boolean) => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::String(text),
        },
        Some(Shape::Integer | Shape::Number) => number(&text).map_or(Value::String(text), Value::Number),
        _ => Value::String(text),
    }
}

fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    let integer = text.parse::<i64>().ok().map(Number::from);
    integer.or_else(|| Number::from_f64(text.parse().ok()?))
}
