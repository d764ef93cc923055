//! Where Tidegate answers differently on purpose. Each rule says what is to be seen instead, so that a case it covers is
//! still checked.

use crate::gateway::Seen;
use serde_json::{Map, Value};

/// Why a recorded answer is not the one to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// Kong fails with an error of its own: the answer is what was asked for, or says what is wrong.
    Crash,
    /// Groups of consumers exist.
    ConsumerGroups,
    /// All faults are told at once; Kong follows references only when nothing else is wrong.
    AllFaults,
    /// Texts of OpenSSL, of libyaml and of the compiler of expressions are not copied; what stands before them is.
    ForeignText,
    /// Tables have descriptions of their own, and fields that Kong lacks.
    OwnDescriptions,
    /// The plugin is not built in.
    NoPlugin,
}

pub(crate) fn rule(step: &Value, seen: &Seen) -> Option<Rule> {
    let want = &step["expect"];
    let got: Value = serde_json::from_str(&seen.body).ok()?;
    if want["status"] == 500 {
        return (200..500).contains(&seen.status).then_some(Rule::Crash);
    }
    let asked = &step["admin"];
    if asked["json"]["consumer_groups"].is_array() {
        return (seen.status == 201).then_some(Rule::ConsumerGroups);
    }
    if got["message"]
        .as_str()
        .is_some_and(|text| text.contains("not enabled; add it to"))
    {
        return Some(Rule::NoPlugin);
    }
    if want["status"] != seen.status {
        return None;
    }
    if asked["target"].as_str()?.starts_with("/schemas/") {
        return agrees(&want["json"], &got).then_some(Rule::OwnDescriptions);
    }
    if seen.status != 400 || want["json"]["code"] != got["code"] {
        return None;
    }
    let (want, got) = (&want["json"]["fields"], &got["fields"]);
    if within(want, got, |want, got| want == got) {
        return Some(Rule::AllFaults);
    }
    within(want, got, is_foreign).then_some(Rule::ForeignText)
}

/// Whether all of `want` is in `got`.
fn within(want: &Value, got: &Value, same: fn(&str, &str) -> bool) -> bool {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            let mut members = want.iter();
            members.all(|(name, value)| got.get(name).is_some_and(|got| within(value, got, same)))
        }
        (Value::Array(want), Value::Array(got)) => {
            want.len() == got.len() && want.iter().zip(got).all(|(want, got)| within(want, got, same))
        }
        (Value::String(want), Value::String(got)) => same(want, got),
        _ => want == got,
    }
}

const FOREIGN: &[&str] = &[
    "invalid certificate: ",
    "invalid key: ",
    "Router Expression failed validation: ",
    "failed parsing declarative configuration: 1:4: ",
];

fn is_foreign(want: &str, got: &str) -> bool {
    let both = |prefix: &str| want.starts_with(prefix) && got.starts_with(prefix);
    want == got || FOREIGN.iter().any(|prefix| both(prefix))
}

/// What clients go by: names, types, defaults, bounds.
const TELLING: &[&str] = &[
    "type",
    "default",
    "between",
    "one_of",
    "reference",
    "on_delete",
    "auto",
    "timestamp",
    "unique",
    "uuid",
    "gt",
    "eq",
    "encrypted",
];

/// Whether the table `got` has every field of `want`, and says the same of it.
fn agrees(want: &Value, got: &Value) -> bool {
    let listed = |table: &Value, list: &str| -> Map<String, Value> {
        let fields = table[list].as_array().cloned().unwrap_or_default();
        fields
            .iter()
            .filter_map(Value::as_object)
            .flatten()
            .map(|(name, field)| (name.clone(), field.clone()))
            .collect()
    };
    ["fields", "shorthand_fields"].iter().all(|list| {
        let got = listed(got, list);
        listed(want, list).iter().all(|(name, want)| {
            let Some(got) = got.get(name) else {
                return false;
            };
            field_agrees(want, got) && agrees(want, got)
        })
    })
}

fn field_agrees(want: &Value, got: &Value) -> bool {
    let same = |name: &&str| match (&want[*name], &got[*name]) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        // Kong's `cluster` is not recorded where there is no database; what it accepts, we accept.
        (Value::Array(a), Value::Array(b)) if *name == "one_of" => a.iter().all(|value| b.contains(value)),
        (Value::Null, _) => true,
        (a, b) => a == b,
    };
    let is_required = |field: &Value| field["required"] == true;
    TELLING.iter().all(same) && (is_required(got) || !is_required(want))
}
