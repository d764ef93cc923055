//! Applies a table to a JSON object.
//!
//! Order within a record: transforms on the input, shorthands, then field by field (default or shape and rules), then the
//! checks between fields, then transforms on the result. Nothing stops at the first fault.

use super::{
    Context, EntityCheck, Field, Kind, Moment, PathSegment, RecordSchema, Shape, Shorthand, Violation,
};
use serde_json::{Map, Value};
use std::borrow::Cow;

pub(super) mod checks;
pub(crate) mod pem;
mod relations;
mod rules;
mod update;
mod values;

#[cfg(test)]
pub(crate) mod tests;

pub use values::is_reference;

/// Outcome of [`RecordSchema::process`].
#[derive(Debug, Clone)]
pub struct Processed {
    /// The record with every field of the table present (unset ones null, unless the table hides them) and defaults
    /// filled. A field at fault holds what the user wrote.
    pub value: Map<String, Value>,
    /// Everything that is wrong; empty means that `value` deserialises into the declared struct.
    pub violations: Vec<Violation>,
}

impl RecordSchema {
    /// Expands shorthands, fills defaults, checks types, rules and entity checks. Collects all violations.
    #[must_use]
    pub fn process(&self, input: &Map<String, Value>) -> Processed {
        self.process_with(input, &Context::default())
    }

    /// [`RecordSchema::process`] for a gateway that is set up as the context says.
    #[must_use]
    pub fn process_with(&self, input: &Map<String, Value>, context: &Context) -> Processed {
        let mut violations = Vec::new();
        let value = record(self, input, context, &mut violations, Level::Record);
        Processed { value, violations }
    }

    /// Processes the `config` of a plugin with this table, and reports as the plugin entity does: paths begin with
    /// `config`, except that checks whose table names fields as `config.x` are rules of the plugin itself.
    #[must_use]
    pub fn process_config(&self, input: &Map<String, Value>, context: &Context) -> Processed {
        let mut violations = Vec::new();
        let value = record(self, input, context, &mut violations, Level::Config);
        for violation in &mut violations {
            violation.path.insert(0, PathSegment::Key(CONFIG.to_owned()));
        }
        let plugin = Map::from_iter([(CONFIG.to_owned(), Value::Object(value))]);
        for check in self.checks.iter().filter(|check| is_about_plugin(check)) {
            relations::run(check, Some(self), &plugin, context, &mut violations, 0);
        }
        let value = match plugin.into_iter().next() {
            Some((_, Value::Object(value))) => value,
            _ => Map::new(),
        };
        Processed { value, violations }
    }

    /// The field that a dotted path leads to, through nested records.
    pub(super) fn find(&self, dotted: &str) -> Option<&Field> {
        let (name, rest) = dotted
            .split_once('.')
            .map_or((dotted, None), |(name, rest)| (name, Some(rest)));
        let field = self.fields.iter().find(|field| field.name == name)?;
        match (rest, &field.kind.shape) {
            (None, _) => Some(field),
            (Some(rest), Shape::Record(source)) => (source.0)().find(rest),
            _ => None,
        }
    }
}

const CONFIG: &str = "config";

/// Who runs the checks that name their fields `config.x`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The record itself: the prefix is left out of look-ups.
    Record,
    /// The caller, later, seen from the plugin.
    Config,
    /// The record itself; what was sent of it is merged in already.
    Merged,
}

/// Whether a check of a configuration is one of the plugin's entry: it names fields as `config.x`.
pub(super) fn is_about_plugin(check: &EntityCheck) -> bool {
    check.fields().iter().any(|name| {
        name.strip_prefix(CONFIG)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn record(
    schema: &RecordSchema,
    input: &Map<String, Value>,
    context: &Context,
    found: &mut Vec<Violation>,
    level: Level,
) -> Map<String, Value> {
    let start = found.len();
    let mut input = Cow::Borrowed(input);
    if level != Level::Merged {
        transform(schema, Moment::AsSent, context, &mut input);
    }
    transform(schema, Moment::BeforeDefaults, context, &mut input);
    let shorthand_failed = expand_shorthands(schema, &mut input, context, found);

    let mut output = Map::with_capacity(schema.fields.len());
    for field in schema.fields.iter().filter(|field| field.exists_with(context)) {
        let value = match input.get(field.name) {
            None | Some(Value::Null) => unset(field, context, found, shorthand_failed),
            Some(value) => nested(
                || PathSegment::Key(field.name.to_owned()),
                found,
                |found| values::check(&field.kind, value, context, found),
            ),
        };
        if !value.is_null() || !field.hidden_when_unset {
            output.insert(field.name.to_owned(), value);
        }
    }
    let is_known = |name: &str| {
        schema
            .fields
            .iter()
            .any(|field| field.name == name && field.exists_with(context))
    };
    let is_shorthand = |name: &str| schema.shorthands.iter().any(|shorthand| shorthand.name == name);
    for name in input.keys().filter(|name| !is_known(name) && !is_shorthand(name)) {
        found.push(Violation::field(name, "unknown field"));
    }

    if !shorthand_failed {
        for check in schema
            .checks
            .iter()
            .filter(|check| level != Level::Config || !is_about_plugin(check))
        {
            relations::run(check, Some(schema), &output, context, found, start);
        }
    }
    if found.len() == start {
        let mut finished = Cow::Owned(output);
        transform(schema, Moment::AfterValidation, context, &mut finished);
        output = finished.into_owned();
    }
    output
}

fn transform(
    schema: &RecordSchema,
    moment: Moment,
    context: &Context,
    record: &mut Cow<'_, Map<String, Value>>,
) {
    for transform in schema
        .transforms
        .iter()
        .filter(|transform| transform.moment == moment)
    {
        (transform.apply)(record.to_mut(), context);
    }
}

/// The value of a field that was left out.
fn unset(field: &Field, context: &Context, found: &mut Vec<Violation>, shorthand_failed: bool) -> Value {
    let default = field.default.as_ref().filter(|default| !default.is_null());
    match (&field.kind, default) {
        // Nested defaults always show (kong-core A.1), so a record is filled even when it was not sent.
        (
            Kind {
                shape: Shape::Record(source),
                ..
            },
            default,
        ) if default.is_some() || field.required => {
            let empty = Map::new();
            let start = default.and_then(Value::as_object).unwrap_or(&empty);
            nested(
                || PathSegment::Key(field.name.to_owned()),
                found,
                |found| Value::Object(record((source.0)(), start, context, found, Level::Record)),
            )
        }
        (_, Some(default)) => default.clone(),
        (_, None) => {
            // A shorthand that failed might have set it.
            if field.required && !shorthand_failed {
                found.push(Violation::field(field.name, REQUIRED));
            }
            Value::Null
        }
    }
}

const REQUIRED: &str = "required field missing";

/// Runs a check one level further in and puts the step in front of the violations that it finds.
fn nested<T>(
    step: impl Fn() -> PathSegment,
    found: &mut Vec<Violation>,
    check: impl FnOnce(&mut Vec<Violation>) -> T,
) -> T {
    let start = found.len();
    let result = check(found);
    if let Some(new) = found.get_mut(start..) {
        for violation in new {
            violation.path.insert(0, step());
        }
    }
    result
}

/// Replaces shorthands by the fields they stand for. True when one of them is at fault: what it would have set is then
/// unknown, so that missing fields and relations say nothing.
fn expand_shorthands(
    schema: &RecordSchema,
    input: &mut Cow<'_, Map<String, Value>>,
    context: &Context,
    found: &mut Vec<Violation>,
) -> bool {
    let start = found.len();
    for shorthand in &schema.shorthands {
        let Some(value) = input.get(shorthand.name) else {
            continue;
        };
        if value.is_null() {
            continue;
        }
        let before = found.len();
        let checked = nested(
            || PathSegment::Key(shorthand.name.to_owned()),
            found,
            |found| values::check(&shorthand.kind, value, context, found),
        );
        if found.len() > before {
            continue;
        }
        match (shorthand.expand)(&checked) {
            Ok(writes) => write(shorthand, writes, input.to_mut()),
            Err(message) => found.push(Violation::field(shorthand.name, message)),
        }
    }
    found.len() > start
}

fn write(shorthand: &Shorthand, writes: Vec<(&'static str, Value)>, input: &mut Map<String, Value>) {
    // A shorthand may share its name with a field: then its own write below puts the field back.
    input.shift_remove(shorthand.name);
    for (dotted, value) in writes {
        if let Some(slot) = slot(input, dotted)
            && (shorthand.overrides || slot.is_null())
        {
            *slot = value;
        }
    }
}

/// The place of a dotted path, made when absent. None when a value in between is not an object: that is at fault anyway.
fn slot<'a>(record: &'a mut Map<String, Value>, dotted: &str) -> Option<&'a mut Value> {
    let (parents, name) = dotted
        .rsplit_once('.')
        .map_or((None, dotted), |(parents, name)| (Some(parents), name));
    let mut record = record;
    for step in parents.into_iter().flat_map(|parents| parents.split('.')) {
        let inner = record.entry(step).or_insert(Value::Null);
        if inner.is_null() {
            *inner = Value::Object(Map::new());
        }
        record = inner.as_object_mut()?;
    }
    Some(record.entry(name).or_insert(Value::Null))
}
