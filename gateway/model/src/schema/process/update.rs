//! Part of a record over a whole one: what is sent of an entity that is there already (kong-core G.2, PATCH).

use super::{Level, Processed, expand_shorthands, record, slot, transform};
use crate::schema::{Context, Moment, RecordSchema, Shape};
use serde_json::{Map, Value};
use std::borrow::Cow;

impl RecordSchema {
    /// What was sent, laid over what is there: records merge member by member, anything else is replaced, and null
    /// stays null until [`RecordSchema::process_merged`] gives the default. Shorthands are expanded.
    #[must_use]
    pub fn merge(
        &self,
        existing: &Map<String, Value>,
        sent: &Map<String, Value>,
        context: &Context,
    ) -> Processed {
        let mut violations = Vec::new();
        let mut sent = Cow::Borrowed(sent);
        transform(self, Moment::AsSent, context, &mut sent);
        expand_shorthands(self, &mut sent, context, &mut violations);
        let mut value = existing.clone();
        for old_name in self.shorthands.iter().map(|shorthand| shorthand.name) {
            if self.field(old_name).is_none() {
                value.shift_remove(old_name);
            }
        }
        self.lay_over(&mut value, &sent);
        Processed { value, violations }
    }

    /// [`RecordSchema::process_with`] for a record that [`RecordSchema::merge`] made.
    #[must_use]
    pub fn process_merged(&self, merged: &Map<String, Value>, context: &Context) -> Processed {
        let mut violations = Vec::new();
        let value = record(self, merged, context, &mut violations, Level::Merged);
        Processed { value, violations }
    }

    /// Adds the old names under which values show ([`crate::schema::Shorthand::shows`]).
    pub fn show_old_names(&self, record: &mut Map<String, Value>) {
        for (name, path) in self
            .shorthands
            .iter()
            .filter_map(|shorthand| Some((shorthand.name, shorthand.shows?)))
        {
            let value = slot(record, path).map_or(Value::Null, |value| value.clone());
            record.insert(name.to_owned(), value);
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&crate::schema::Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn lay_over(&self, record: &mut Map<String, Value>, sent: &Map<String, Value>) {
        for (name, value) in sent {
            let inner = match self.field(name).map(|field| &field.kind.shape) {
                Some(Shape::Record(source)) => Some((source.0)()),
                _ => None,
            };
            match (inner, record.get_mut(name), value) {
                (Some(inner), Some(Value::Object(there)), Value::Object(sent)) => {
                    inner.lay_over(there, sent);
                }
                _ => {
                    record.insert(name.clone(), value.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::entities::{Service, Upstream};
    use crate::schema::{Context, Declared};
    use serde_json::{Map, Value, json};

    fn record(value: Value) -> Map<String, Value> {
        let Value::Object(record) = value else {
            panic!("{value} is no record")
        };
        record
    }

    fn updated<T: Declared>(first: Value, sent: Value) -> Map<String, Value> {
        let context = Context::default();
        let there = T::schema().process(&record(first)).value;
        let merged = T::schema().merge(&there, &record(sent), &context);
        let done = T::schema().process_merged(&merged.value, &context);
        let faults: Vec<_> = merged.violations.iter().chain(&done.violations).collect();
        assert!(faults.is_empty(), "{faults:?}");
        done.value
    }

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    #[test]
    fn records_merge_deeply_and_lists_are_replaced() {
        let upstream = updated::<Upstream>(
            json!({"id": ID, "name": "u", "healthchecks": {"active": {"http_path": "/x"}}}),
            json!({"healthchecks": {"active": {"healthy": {"interval": 5, "http_statuses": [204]}}}}),
        );
        let active = &upstream["healthchecks"]["active"];
        assert_eq!(active["http_path"], "/x");
        assert_eq!(
            active["healthy"],
            json!({"interval": 5, "http_statuses": [204], "successes": 0})
        );
    }

    #[test]
    fn null_goes_back_to_the_default() {
        let service = updated::<Service>(
            json!({"id": ID, "host": "h", "port": 81, "path": "/x"}),
            json!({"port": null, "path": null}),
        );
        assert_eq!((&service["port"], &service["path"]), (&json!(80), &Value::Null));
    }

    #[test]
    fn a_shorthand_changes_everything_that_it_stands_for() {
        let service = updated::<Service>(
            json!({"id": ID, "host": "h", "port": 81, "path": "/x"}),
            json!({"url": "https://other.test"}),
        );
        assert_eq!(service["host"], "other.test");
        assert_eq!((&service["port"], &service["path"]), (&json!(443), &Value::Null));
    }

    #[test]
    fn an_algorithm_follows_only_a_hash_on_that_is_sent_along() {
        let upstream = updated::<Upstream>(
            json!({"id": ID, "name": "u"}),
            json!({"algorithm": "consistent-hashing"}),
        );
        assert_eq!(upstream["algorithm"], "consistent-hashing");
        let upstream = updated::<Upstream>(json!({"id": ID, "name": "u"}), json!({"hash_on": "ip"}));
        assert_eq!(upstream["algorithm"], "consistent-hashing");
    }
}
