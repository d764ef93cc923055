use crate::record;
use crate::schema::{
    self, Condition, Context, Declared, EntityCheck, Moment, RecordSchema, RouterFlavor, Shorthand,
    Transform, Violation, any, array, boolean, foreign, integer, map, number, record, set, string,
};
use inputs::input_for;
use proptest::prelude::{prop_assert_eq, proptest};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(crate) mod inputs;

record! {
    /// Inner table.
    pub struct Inner {
        /// With a default.
        pub port: u16 = integer().between(0, 65_535).default(6379),
        /// Without.
        pub host: Option<String> = string().referenceable(),
    }
}

record! {
    /// One field of every shape and with every rule.
    pub struct Sample {
        /// Text.
        pub text: Option<String> = string(),
        /// Text that may be empty.
        pub empty: Option<String> = string().allow_empty(),
        /// Text of bounded length.
        pub sized: Option<String> = string().len_min(2).len_max(4),
        /// One of some.
        pub mode: String = string().one_of(["a", "b"]).default("a"),
        /// None of some.
        pub other: Option<String> = string().not_one_of(["x"]),
        /// Exactly this.
        pub fixed: Option<bool> = boolean().equals(true),
        /// By pattern.
        pub upper: Option<String> = string().matches("^[A-Z]+$", "invalid value: "),
        /// By pattern, with its own text.
        pub pair: Option<String> = string().matches("^[^:]+:.*$", "expected name:value"),
        /// Whole number.
        pub count: Option<i64> = integer().between(1, 10),
        /// Any number.
        pub rate: Option<f64> = number().gt(0.0),
        /// List.
        pub list: Option<Vec<String>> = array(string()),
        /// Set.
        pub unique: Option<Vec<String>> = set(string()),
        /// Set of one family.
        pub family: Option<Vec<String>> = set(string()).within_one_of(&[&["a", "b"], &["c"]]),
        /// Map.
        pub table: Option<BTreeMap<String, Vec<i64>>> = map(schema::header_name(), array(integer())),
        /// Record.
        pub inner: Inner = record::<Inner>(),
        /// Record that may be absent.
        pub maybe: Option<Inner> = record::<Inner>().optional(),
        /// Reference.
        pub service: Option<Value> = foreign("services"),
        /// Id.
        pub id: Option<uuid::Uuid> = schema::uuid(),
        /// Secret.
        pub secret: Option<String> = string().len_min(64).referenceable(),
        /// Secrets.
        pub secrets: Option<Vec<String>> = array(string().len_min(64).referenceable()),
        /// Anything.
        pub free: Option<Value> = any(),
    }
    shorthands [
        Shorthand { name: "host_and_port", kind: string().into_kind(), overrides: true, shows: None, expand: |value| {
            let (host, port) = value.as_str().and_then(|text| text.split_once(':')).ok_or("expected host:port")?;
            Ok(vec![("inner.host", host.into()), ("inner.port", port.parse::<u64>().ok().into())])
        } },
        Shorthand { name: "old_port", kind: integer().into_kind(), overrides: false, shows: Some("inner.port"), expand: |value| {
            Ok(vec![("inner.port", value.clone())])
        } },
    ]
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else {
        panic!("{value} is no object")
    };
    object
}

fn faults(schema: &RecordSchema, input: Value) -> Vec<String> {
    schema
        .process(&object(input))
        .violations
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn every_rule_has_its_text() {
    let cases = [
        (json!({"text": 1}), "text: expected a string"),
        (json!({"text": ""}), "text: length must be at least 1"),
        (json!({"sized": "x"}), "sized: length must be at least 2"),
        (json!({"sized": ""}), "sized: length must be at least 2"),
        (json!({"sized": "fünf"}), "sized: length must be at most 4"),
        (json!({"mode": "c"}), "mode: expected one of: a, b"),
        (json!({"mode": ""}), "mode: expected one of: a, b"),
        (json!({"other": "x"}), "other: must not be one of: x"),
        (json!({"fixed": false}), "fixed: value must be true"),
        (json!({"fixed": "true"}), "fixed: expected a boolean"),
        (json!({"upper": "get"}), "upper: invalid value: get"),
        (json!({"pair": "x"}), "pair: expected name:value"),
        (json!({"count": 0}), "count: value should be between 1 and 10"),
        (json!({"count": 1.5}), "count: expected an integer"),
        (json!({"count": "1"}), "count: expected an integer"),
        (json!({"count": 1e300}), "count: expected an integer"),
        (json!({"count": u64::MAX}), "count: expected an integer"),
        (json!({"rate": 0}), "rate: value must be greater than 0"),
        (json!({"rate": "x"}), "rate: expected a number"),
        (json!({"list": "a"}), "list: expected an array"),
        (json!({"list": ["a", 1]}), "list[1]: expected a string"),
        (json!({"list": [null]}), "list[0]: required field missing"),
        (json!({"unique": {"a": 1}}), "unique: expected a set"),
        (
            json!({"family": ["a", "c", "b"]}),
            "family: these sets are mutually exclusive: ('a', 'b'), ('c')",
        ),
        (json!({"table": [1]}), "table: expected a map"),
        (json!({"table": {"x": ["y"]}}), "table.x[0]: expected an integer"),
        (
            json!({"table": {"x y": []}}),
            "table: bad header name 'x y', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
        ),
        (json!({"inner": "x"}), "inner: expected a record"),
        (
            json!({"inner": {"port": 70_000}}),
            "inner.port: value should be between 0 and 65535",
        ),
        (json!({"inner": {"x": 1}}), "inner.x: unknown field"),
        (json!({"service": "x"}), "service.id: missing primary key"),
        (
            json!({"service": {"id": "x"}}),
            "service.id: expected a valid UUID",
        ),
        (
            json!({"service": {"id": null}}),
            "service.id: required field missing",
        ),
        (json!({"service": {"id": 1}}), "service.id: expected a string"),
        (json!({"id": "x"}), "id: expected a valid UUID"),
        (
            json!({"id": "{00000000-0000-4000-8000-000000000001}"}),
            "id: expected a valid UUID",
        ),
        (json!({"secret": "short"}), "secret: length must be at least 64"),
        (
            json!({"secret": "{vault://env/x"}),
            "secret: length must be at least 64",
        ),
        (
            json!({"secrets": ["{vault://env/x}", "short"]}),
            "secrets[1]: length must be at least 64",
        ),
        (json!({"nope": null}), "nope: unknown field"),
        (json!({"host_and_port": 1}), "host_and_port: expected a string"),
        (json!({"host_and_port": "x"}), "host_and_port: expected host:port"),
    ];
    for (input, expected) in cases {
        assert_eq!(faults(Sample::schema(), input.clone()), [expected], "{input}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let input = json!({"text": 1, "list": [1, "a", 2], "inner": {"port": "x", "y": 1}, "z": 1});
    assert_eq!(
        faults(Sample::schema(), input),
        [
            "text: expected a string",
            "list[0]: expected a string",
            "list[2]: expected a string",
            "inner.port: expected an integer",
            "inner.y: unknown field",
            "z: unknown field",
        ]
    );
}

#[test]
fn defaults_are_filled_and_unset_fields_are_null() {
    let processed = Sample::schema().process(&object(
        json!({"text": null, "mode": null, "inner": {"host": "h"}}),
    ));
    assert_eq!(processed.violations, []);
    let value = Value::Object(processed.value);
    assert_eq!(value["mode"], "a");
    assert_eq!(value["inner"], json!({"port": 6379, "host": "h"}));
    assert_eq!(value["maybe"], Value::Null);
    assert_eq!(value["text"], Value::Null);
    let names: Vec<&str> = Sample::schema().fields.iter().map(|field| field.name).collect();
    assert_eq!(
        value.as_object().unwrap().keys().collect::<Vec<_>>(),
        names,
        "every field, in the order of the table"
    );
    let sample: Sample = serde_json::from_value(value).unwrap();
    assert_eq!((sample.inner.port, sample.maybe), (6379, None));
}

#[test]
fn values_are_brought_into_their_normal_form() {
    let input = json!({
        "count": 5.0,
        "unique": ["b", "a", "b"],
        "list": ["b", "a", "b"],
        "table": [],
        "inner": [],
        "service": {"id": "00000000-0000-4000-8000-00000000000A", "name": "x"},
        "secret": "{vault://env/x}",
        "secrets": ["{vault://env/x}"],
        "empty": "",
        "free": {"a": [1, {"b": null}]},
    });
    let processed = Sample::schema().process(&object(input));
    assert_eq!(processed.violations, []);
    let value = Value::Object(processed.value);
    assert_eq!(value["count"].as_i64(), Some(5));
    assert_eq!(value["unique"], json!(["b", "a"]));
    assert_eq!(value["list"], json!(["b", "a", "b"]));
    assert_eq!(value["table"], json!({}));
    assert_eq!(
        value["service"],
        json!({"id": "00000000-0000-4000-8000-00000000000A"})
    );
    assert_eq!(value["free"], json!({"a": [1, {"b": null}]}));
}

#[test]
fn a_shorthand_wins_over_siblings_only_when_it_says_so() {
    let inner = |input| {
        Sample::schema()
            .process(&object(input))
            .value
            .get("inner")
            .cloned()
            .unwrap()
    };
    let sent = json!({"host_and_port": "a:1", "inner": {"host": "b", "port": 2}});
    assert_eq!(inner(sent), json!({"port": 1, "host": "a"}));
    assert_eq!(
        inner(json!({"old_port": 1, "inner": {"port": 2}})),
        json!({"port": 2, "host": null})
    );
    assert_eq!(inner(json!({"old_port": 1})), json!({"port": 1, "host": null}));
    assert_eq!(
        inner(json!({"old_port": null})),
        json!({"port": 6379, "host": null})
    );
    let processed = Sample::schema().process(&object(json!({"old_port": 1})));
    assert!(!processed.value.contains_key("old_port"));
}

record! {
    /// Rules between fields.
    pub struct Related {
        /// First.
        pub a: Option<String> = string().referenceable(),
        /// Second.
        pub b: Option<String> = string(),
        /// Decides.
        pub kind: String = string().one_of(["x", "y", "z"]).default("z"),
        /// Depends.
        pub number: Option<i64> = integer(),
    }
    checks [
        EntityCheck::OnlyOneOf(&["a", "b"]),
        EntityCheck::Distinct(&["a", "b"]),
        EntityCheck::Conditional {
            if_field: "kind", if_one_of: vec!["x".into()], then_field: "number", then: Condition::Required,
        },
        EntityCheck::Conditional {
            if_field: "kind", if_one_of: vec!["y".into()], then_field: "number", then: Condition::MustBeNull,
        },
        EntityCheck::Custom("no_thirteen", |record| match record.get("number").and_then(Value::as_i64) {
            Some(13) => vec![Violation::field("number", "bad luck"), Violation::entity("thirteen")],
            _ => Vec::new(),
        }),
    ]
}

#[test]
fn rules_between_fields_have_their_texts() {
    let cases: [(Value, &[&str]); 8] = [
        (
            json!({"a": "1", "b": "1"}),
            &[
                "only one or none of these fields must be set: 'a', 'b'",
                "values of these fields must be distinct: 'a', 'b'",
            ],
        ),
        (json!({"a": "{vault://env/a}", "b": "1"}), &[]),
        (json!({"a": "1", "b": 2}), &["b: expected a string"]),
        (
            json!({"kind": "x"}),
            &[
                "number: required field missing",
                "failed conditional validation given value of field 'kind'",
            ],
        ),
        (
            json!({"kind": "x", "number": "1"}),
            &[
                "number: expected an integer",
                "failed conditional validation given value of field 'kind'",
            ],
        ),
        (
            json!({"kind": "y", "number": "1"}),
            &[
                "number: value must be null",
                "failed conditional validation given value of field 'kind'",
            ],
        ),
        (json!({"number": 13}), &["number: bad luck", "thirteen"]),
        (json!({"number": 13, "b": 2}), &["b: expected a string"]),
    ];
    for (input, expected) in cases {
        assert_eq!(faults(Related::schema(), input.clone()), expected, "{input}");
    }
}

record! {
    /// As plugins declare their configuration.
    pub struct Config {
        /// Limit.
        pub second: Option<f64> = number(),
        /// Limit.
        pub minute: Option<f64> = number(),
        /// Where.
        pub policy: String = string().default("local"),
        /// Store.
        pub inner: Inner = record::<Inner>(),
        /// Only here.
        pub lonely: Option<bool> = boolean(),
    }
    checks [
        EntityCheck::AtLeastOneOf(&["config.second", "config.minute"]),
        EntityCheck::Conditional {
            if_field: "config.policy", if_one_of: vec!["redis".into()],
            then_field: "config.inner.host", then: Condition::Required,
        },
        EntityCheck::MutuallyRequired(&["lonely", "minute"]),
        EntityCheck::Among {
            name: "no_thirteen",
            fields: &["config.minute"],
            even_if_at_fault: false,
            check: |config, _| match config.get("minute").and_then(Value::as_f64) {
                Some(13.0) => vec![Violation::field("minute", "bad luck"), Violation::entity("thirteen")],
                _ => Vec::new(),
            },
        },
    ]
}

#[test]
fn checks_that_name_config_are_rules_of_the_plugin() {
    let input = object(json!({"policy": "redis", "lonely": true}));
    let told = |violations: Vec<Violation>| schema::violations_to_fields(&violations);
    assert_eq!(
        told(
            Config::schema()
                .process_config(&input, &Context::default())
                .violations
        ),
        json!({
            "config": {
                "@entity": ["all or none of these fields must be set: 'lonely', 'minute'"],
                "inner": {"host": "required field missing"},
            },
            "@entity": [
                "at least one of these fields must be non-empty: 'config.second', 'config.minute'",
                "failed conditional validation given value of field 'config.policy'",
            ],
        })
    );
    // Seen from the configuration alone, the same rules hold.
    let alone = Config::schema().process(&input);
    assert_eq!(alone.violations.len(), 4);
    assert_eq!(
        told(alone.violations)["inner"],
        json!({"host": "required field missing"})
    );
    let unlucky = object(json!({"minute": 13, "lonely": true}));
    assert_eq!(
        told(
            Config::schema()
                .process_config(&unlucky, &Context::default())
                .violations
        ),
        json!({"config": {"minute": "bad luck"}, "@entity": ["thirteen"]})
    );
    let good = object(json!({"minute": 5, "lonely": false}));
    let processed = Config::schema().process_config(&good, &Context::default());
    assert_eq!(processed.violations, []);
    assert_eq!(processed.value["inner"]["port"], 6379);
}

record! {
    /// Fields by flavour, rewrites around validation.
    pub struct Shaped {
        /// Only with expressions.
        pub expression: Option<String> = string().only_with(RouterFlavor::Expressions),
        /// Rewritten.
        pub word: String = string().required(),
    }
    transforms [
        Transform { name: "fill", moment: Moment::BeforeDefaults, apply: |record, _| {
            record.entry("word").or_insert_with(|| "filled".into());
        } },
        Transform { name: "shout", moment: Moment::AfterValidation, apply: |record, _| {
            let word = record.get("word").and_then(Value::as_str).map(str::to_uppercase);
            record.insert("word".into(), word.into());
        } },
    ]
}

#[test]
fn transforms_run_before_defaults_and_after_validation() {
    let word = |input| Shaped::schema().process(&object(input)).value["word"].clone();
    assert_eq!(word(json!({})), "FILLED");
    assert_eq!(word(json!({"word": "sent"})), "SENT");
    assert_eq!(
        word(json!({"word": "sent", "x": 1})),
        "sent",
        "a record with faults stays as it was sent"
    );
}

#[test]
fn a_field_of_another_flavour_is_unknown() {
    let input = object(json!({"expression": "x"}));
    let with = |router_flavor| {
        Shaped::schema().process_with(
            &input,
            &Context {
                router_flavor,
                ..Context::default()
            },
        )
    };
    assert_eq!(with(RouterFlavor::Expressions).violations, []);
    let refused = with(RouterFlavor::TraditionalCompatible);
    assert_eq!(
        refused.violations,
        [Violation::field("expression", "unknown field")]
    );
    assert!(!refused.value.contains_key("expression"));
}

#[test]
fn duplicates_of_a_large_set_are_dropped_in_time() {
    let items: Vec<Value> = (0..200_000)
        .map(|number| Value::from((number % 1_000).to_string()))
        .collect();
    let processed = Sample::schema().process(&object(json!({"unique": items})));
    assert_eq!(processed.value["unique"].as_array().map(Vec::len), Some(1_000));
}

proptest! {
    #[test]
    fn any_input_is_processed_and_the_result_is_a_fixed_point(input in input_for(Sample::schema())) {
        let once = Sample::schema().process(&input);
        if once.violations.is_empty() {
            serde_json::from_value::<Sample>(Value::Object(once.value.clone())).expect("what passed has the declared shape");
            let twice = Sample::schema().process(&once.value);
            prop_assert_eq!(twice.violations, vec![]);
            prop_assert_eq!(twice.value, once.value);
        }
    }
}
