//! Rules between fields of one record, with Kong's texts and Kong's rules on when a check is left out.

use super::values::is_reference;
use super::{CONFIG, REQUIRED, is_about_plugin, rules};
use crate::schema::{Condition, Context, ContextCheck, EntityCheck, PathSegment, RecordSchema, Violation};
use serde_json::{Map, Value};

impl EntityCheck {
    /// The fields that it is about; empty when it does not say.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        match self {
            Self::AtLeastOneOf(names)
            | Self::ExactlyOneOf(names)
            | Self::OnlyOneOf(names)
            | Self::MutuallyRequired(names)
            | Self::Distinct(names)
            | Self::Among { fields: names, .. } => names.to_vec(),
            Self::Conditional {
                if_field, then_field, ..
            } => vec![if_field, then_field],
            Self::Custom(..) => Vec::new(),
        }
    }
}

/// Runs one check over a record whose own violations are `found[start..]`.
pub(super) fn run(
    check: &EntityCheck,
    schema: Option<&RecordSchema>,
    record: &Map<String, Value>,
    context: &Context,
    found: &mut Vec<Violation>,
    start: usize,
) {
    let view = View { record, schema };
    let fields = check.fields();
    if fields.iter().any(|name| view.holds_reference(name)) {
        return;
    }
    let is_at_fault =
        |found: &[Violation], name: &str| found.iter().skip(start).any(|known| known.is_within(name));
    let any_at_fault = fields.iter().any(|name| is_at_fault(found, view.local(name)));
    let set = |names: &[&str]| names.iter().filter(|name| is_set(view.get(name))).count();

    let message = match check {
        EntityCheck::AtLeastOneOf(names) if set(names) == 0 => {
            format!(
                "at least one of these fields must be non-empty: {}",
                quoted(names)
            )
        }
        EntityCheck::ExactlyOneOf(names) if set(names) != 1 => {
            format!("exactly one of these fields must be non-empty: {}", quoted(names))
        }
        EntityCheck::OnlyOneOf(names) if !any_at_fault && set(names) > 1 => {
            format!("only one or none of these fields must be set: {}", quoted(names))
        }
        EntityCheck::MutuallyRequired(names) if !any_at_fault && (1..names.len()).contains(&set(names)) => {
            format!("all or none of these fields must be set: {}", quoted(names))
        }
        EntityCheck::Distinct(names) if has_duplicates(&view, names) => {
            format!("values of these fields must be distinct: {}", quoted(names))
        }
        EntityCheck::Conditional {
            if_field,
            if_one_of,
            then_field,
            then,
        } => {
            let decides = view.get(if_field);
            if !if_one_of.iter().any(|value| rules::same(value, decides)) {
                return;
            }
            let value = view.get(then_field);
            match unmet(then, value) {
                Some(fault) => report(found, start, Violation::at(view.local(then_field), fault)),
                // Its own fault already stands there: the condition is then not met either.
                None if !value.is_null() && is_at_fault(found, view.local(then_field)) => {}
                None => return,
            }
            format!("failed conditional validation given value of field '{if_field}'")
        }
        EntityCheck::Custom(_, check) if found.len() == start => {
            let faults = check(record);
            faults.into_iter().for_each(|fault| report(found, start, fault));
            return;
        }
        EntityCheck::Among {
            check: fault_of,
            even_if_at_fault,
            ..
        } if *even_if_at_fault || !any_at_fault => {
            run_among(check, *fault_of, record, context, |fault| {
                report(found, start, fault)
            });
            return;
        }
        _ => return,
    };
    found.push(Violation::entity(message));
}

/// Runs a free-form check. One that names its fields `config.x` always gets the configuration; seen from the plugin, what
/// it says of fields lies below `config`, and what it says of the whole is said of the plugin.
fn run_among(
    check: &EntityCheck,
    fault_of: ContextCheck,
    record: &Map<String, Value>,
    context: &Context,
    mut report: impl FnMut(Violation),
) {
    let config = record
        .get(CONFIG)
        .and_then(Value::as_object)
        .filter(|_| is_about_plugin(check));
    for fault in fault_of(config.unwrap_or(record), context) {
        let is_of_plugin = config.is_none() || (fault.is_entity_check && fault.path.is_empty());
        report(if is_of_plugin {
            fault
        } else {
            fault.under(PathSegment::Key(CONFIG.to_owned()))
        });
    }
}

/// Why the consequence of a condition does not hold.
fn unmet(condition: &Condition, value: &Value) -> Option<String> {
    match condition {
        Condition::Required | Condition::RequiredAnd(..) if value.is_null() => Some(REQUIRED.to_owned()),
        Condition::Required => None,
        Condition::RequiredAnd(_, check) => check(value).err(),
        Condition::MustBeNull => rules::is_equal(value, &Value::Null).err(),
        Condition::OneOf(_) if value.is_null() => None,
        Condition::OneOf(options) => rules::is_one_of(value, options).err(),
        Condition::Equals(wanted) => rules::is_equal(value, wanted).err(),
    }
}

/// Adds a violation. One on a field takes the place of what is known of that field.
fn report(found: &mut Vec<Violation>, start: usize, violation: Violation) {
    if !violation.is_entity_check && !violation.path.is_empty() {
        let mut position = 0;
        found.retain(|known| {
            position += 1;
            position <= start || !known.path.starts_with(&violation.path)
        });
    }
    found.push(violation);
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn has_duplicates(view: &View<'_>, names: &[&str]) -> bool {
    let values: Vec<&Value> = names
        .iter()
        .map(|name| view.get(name))
        .filter(|value| is_set(value))
        .collect();
    values.iter().enumerate().any(|(position, value)| {
        values
            .iter()
            .take(position)
            .any(|other| rules::same(value, other))
    })
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}

/// A record with its table, read by dotted names.
struct View<'a> {
    record: &'a Map<String, Value>,
    schema: Option<&'a RecordSchema>,
}

impl<'a> View<'a> {
    /// The name as seen from this record. Tables of plugin configurations may say `config.x`, as Kong does, although
    /// the record at hand is the configuration itself.
    fn local<'n>(&self, name: &'n str) -> &'n str {
        if self.record.contains_key(CONFIG) {
            return name;
        }
        name.strip_prefix(CONFIG)
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or(name)
    }

    fn get(&self, name: &str) -> &'a Value {
        let mut steps = self.local(name).split('.');
        let first = steps.next().and_then(|name| self.record.get(name));
        steps
            .fold(first, |value, step| value.and_then(|value| value.get(step)))
            .unwrap_or(&Value::Null)
    }

    fn holds_reference(&self, name: &str) -> bool {
        let is_referenceable = || {
            let in_config = name.strip_prefix("config.");
            let field = |name| self.schema.and_then(|schema| schema.find(name));
            field(name)
                .or_else(|| in_config.and_then(field))
                .is_some_and(|field| field.referenceable)
        };
        self.get(name).as_str().is_some_and(is_reference) && is_referenceable()
    }
}
