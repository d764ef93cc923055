//! Drafts to typed entities: every draft goes through the table of its collection.

use super::document::Document;
use super::flatten::{Drafts, nearest};
use super::header::Header;
use super::plugins;
use super::report::{Fault, Report};
use super::{LoadOptions, fill};
use serde_json::{Map, Value};
use std::collections::HashMap;
use tidegate_model::entities::EntitySet;
use tidegate_model::entity_table::EntityType;
use tidegate_model::schema::{PathSegment, Processed, RecordSchema, Shape, Violation};

/// Text of the table for a value that is not a boolean.
const NOT_A_BOOLEAN: &str = "expected a boolean";
/// Text of the table for a value that is not a string.
const NOT_A_STRING: &str = "expected a string";
/// Text of the table for a field that it does not have.
const UNKNOWN_FIELD: &str = "unknown field";

/// Everything that the checks of one draft need.
pub(super) struct Assembler<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) header: &'a Header,
    pub(super) options: &'a LoadOptions<'a>,
    pub(super) report: &'a mut Report,
    /// Unix seconds at which the file was loaded.
    pub(super) now: f64,
}

/// The typed entities, and for each plugin and chain the draft it came from.
pub(super) struct Assembled {
    pub(super) entities: EntitySet,
    pub(super) plugin_drafts: Vec<usize>,
    /// Checked records of the collections that have rules among several entities.
    pub(super) records: HashMap<usize, Map<String, Value>>,
}

impl Assembler<'_> {
    /// Checks every draft and keeps those without faults.
    pub(super) fn run(mut self, drafts: &mut Drafts) -> Assembled {
        let mut assembled = Assembled {
            entities: EntitySet::default(),
            plugin_drafts: Vec::new(),
            records: HashMap::new(),
        };
        for at in 0..drafts.list.len() {
            let Some(draft) = drafts.list.get_mut(at) else {
                continue;
            };
            let (entity, id) = (draft.entity, draft.id);
            let mut input = std::mem::take(&mut draft.input);
            fill::missing(entity, &mut input, id, self.now);
            if entity.collection == "routes" && self.header.marks_regex_paths() {
                fill::mark_regex_paths(&mut input);
            }
            let record = if entity.collection == "plugins" {
                plugins::check(&mut self, drafts, at, input)
            } else {
                self.check(drafts, at, entity.schema(), input)
            };
            let Some(mut record) = record else { continue };
            if entity.collection == "basicauth_credentials"
                && self.header.transforms
                && !self.header.skips_password_hash
            {
                fill::hash_password(&mut record);
            }
            if has_shared_rules(entity) {
                assembled.records.insert(at, record.clone());
            }
            if let Err(error) = assembled.entities.push(entity.collection, record) {
                let place = drafts.place(at);
                self.report.fault(
                    Fault::new(drafts.path(at), error.to_string())
                        .of(place)
                        .entity_check(),
                );
                continue;
            }
            if entity.collection == "plugins" {
                assembled.plugin_drafts.push(at);
            }
        }
        assembled
    }

    /// Applies a table to an entity. `None` when something is wrong, which is then reported.
    pub(super) fn check(
        &mut self,
        drafts: &Drafts,
        at: usize,
        schema: &RecordSchema,
        mut input: Map<String, Value>,
    ) -> Option<Map<String, Value>> {
        let mut processed = schema.process_with(&input, &self.options.context);
        if self.document.has_legacy_booleans() && !processed.violations.is_empty() {
            let path = drafts.path(at);
            if self.mend_booleans(&path, &mut input, &processed) {
                processed = schema.process_with(&input, &self.options.context);
            }
        }
        if processed.violations.is_empty() {
            return Some(processed.value);
        }
        for violation in processed.violations {
            self.violation(drafts, at, schema, &input, violation);
        }
        None
    }

    /// Unquoted `yes`, `no`, `on` and `off` are text in YAML 1.2. Where a boolean must stand they are taken as one, as
    /// Kong does. Returns whether anything changed.
    pub(super) fn mend_booleans(
        &self,
        base: &[PathSegment],
        input: &mut Map<String, Value>,
        processed: &Processed,
    ) -> bool {
        let mut changed = false;
        for violation in processed
            .violations
            .iter()
            .filter(|violation| violation.message == NOT_A_BOOLEAN)
        {
            let Some(slot) = value_at_mut(input, &violation.path) else {
                continue;
            };
            let Some(text) = slot.as_str() else { continue };
            let path: Vec<PathSegment> = base.iter().chain(&violation.path).cloned().collect();
            if let Some(meant) = self.document.legacy_boolean(&path, text) {
                *slot = Value::Bool(meant);
                changed = true;
            }
        }
        changed
    }

    /// Reports a broken rule of the entity.
    pub(super) fn violation(
        &mut self,
        drafts: &Drafts,
        at: usize,
        schema: &RecordSchema,
        input: &Map<String, Value>,
        violation: Violation,
    ) {
        let place = Broken {
            base: drafts.path(at),
            schema,
            input,
        };
        self.report_violation(drafts, at, &place, violation);
    }

    /// Reports a broken rule of a record somewhere in the entity.
    pub(super) fn report_violation(
        &mut self,
        drafts: &Drafts,
        at: usize,
        record: &Broken<'_>,
        violation: Violation,
    ) {
        let hint = hint(record.schema, record.input, &violation);
        let path = record.base.iter().chain(&violation.path).cloned().collect();
        let is_unknown = violation.message == UNKNOWN_FIELD;
        let mut fault = Fault::new(path, violation.message)
            .maybe_hint(hint)
            .of(drafts.place(at))
            .secret(is_secret(record.schema, &violation.path));
        if is_unknown {
            fault = fault.at_key();
        }
        if violation.is_entity_check {
            fault = fault.entity_check();
        }
        self.report.fault(fault);
    }
}

/// A record with a broken rule.
pub(super) struct Broken<'r> {
    /// Steps from the root to the record.
    pub(super) base: Vec<PathSegment>,
    pub(super) schema: &'r RecordSchema,
    /// What was written.
    pub(super) input: &'r Map<String, Value>,
}

/// Collections whose records are compared with each other later on.
fn has_shared_rules(entity: &EntityType) -> bool {
    !entity.unique_together.is_empty()
        || entity
            .schema()
            .fields
            .iter()
            .any(|field| field.unique && Some(field.name) != entity.endpoint_key)
}

fn hint(schema: &RecordSchema, input: &Map<String, Value>, violation: &Violation) -> Option<String> {
    let (last, parents) = violation.path.split_last()?;
    let written = value_at(input, &violation.path);
    match (violation.message.as_str(), last) {
        (UNKNOWN_FIELD, PathSegment::Key(name)) => {
            let record = record_at(schema, parents)?;
            let shorthands = record.shorthands.iter().map(|shorthand| shorthand.name);
            nearest(
                name,
                record.fields.iter().map(|field| field.name).chain(shorthands),
            )
        }
        (NOT_A_BOOLEAN, _) => match written?.as_str()? {
            "yes" | "on" | "true" => Some("write `true`, without quotes".to_owned()),
            "no" | "off" | "false" => Some("write `false`, without quotes".to_owned()),
            _ => None,
        },
        (NOT_A_STRING, _) => match written? {
            // The value may be a secret: it is not repeated.
            Value::Number(_) | Value::Bool(_) => Some("put the value in quotes".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// The table of the nested record at a path.
fn record_at<'s>(schema: &'s RecordSchema, path: &[PathSegment]) -> Option<&'s RecordSchema> {
    let Some((first, rest)) = path.split_first() else {
        return Some(schema);
    };
    let PathSegment::Key(name) = first else {
        return None;
    };
    let mut shape = &schema.fields.iter().find(|field| field.name == name)?.kind.shape;
    let mut rest = rest;
    loop {
        match (shape, rest.split_first()) {
            (Shape::Record(source), _) => return record_at((source.0)(), rest),
            (Shape::Array(element) | Shape::Set(element), Some((PathSegment::Index(_), tail))) => {
                (shape, rest) = (&element.shape, tail);
            }
            (Shape::Map { values, .. }, Some((_, tail))) => (shape, rest) = (&values.shape, tail),
            _ => return None,
        }
    }
}

/// Whether the value at a path, or something around it, is declared a secret.
fn is_secret(schema: &RecordSchema, path: &[PathSegment]) -> bool {
    (0..path.len()).any(|depth| {
        let (Some(parents), Some(PathSegment::Key(name))) = (path.get(..depth), path.get(depth)) else {
            return false;
        };
        record_at(schema, parents)
            .and_then(|record| record.fields.iter().find(|field| field.name == name))
            .is_some_and(|field| field.secret)
    })
}

fn value_at<'v>(input: &'v Map<String, Value>, path: &[PathSegment]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    let PathSegment::Key(name) = first else {
        return None;
    };
    rest.iter()
        .try_fold(input.get(name)?, |value, segment| match segment {
            PathSegment::Key(name) | PathSegment::Entry(name) => value.get(name),
            PathSegment::Index(index) => value.get(index),
        })
}

fn value_at_mut<'v>(input: &'v mut Map<String, Value>, path: &[PathSegment]) -> Option<&'v mut Value> {
    let (first, rest) = path.split_first()?;
    let PathSegment::Key(name) = first else {
        return None;
    };
    rest.iter()
        .try_fold(input.get_mut(name)?, |value, segment| match segment {
            PathSegment::Key(name) | PathSegment::Entry(name) => value.get_mut(name),
            PathSegment::Index(index) => value.get_mut(index),
        })
}
