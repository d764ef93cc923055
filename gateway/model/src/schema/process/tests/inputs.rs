//! Random input for tables.

use crate::schema::RecordSchema;
use proptest::prelude::{Just, Strategy, any as arbitrary, prop};
use serde_json::{Map, Value};

/// JSON of the kinds that tables must tell apart.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = proptest::prop_oneof![
        Just(Value::Null),
        arbitrary::<bool>().prop_map(Value::from),
        arbitrary::<i64>().prop_map(Value::from),
        arbitrary::<f64>().prop_map(Value::from),
        (-3_i64..12).prop_map(Value::from),
        proptest::sample::select(vec![
            "",
            "a",
            "b",
            "x",
            "http",
            "grpc",
            "tcp",
            "/",
            "~/a(",
            "*.a.test",
            "{vault://env/x}"
        ])
        .prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        proptest::prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,4}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Objects that use the names of a table, with values of any kind.
pub(crate) fn input_for(schema: &'static RecordSchema) -> impl Strategy<Value = Map<String, Value>> {
    let fields = schema.fields.iter().map(|field| field.name);
    let mut names: Vec<&'static str> = fields
        .chain(schema.shorthands.iter().map(|shorthand| shorthand.name))
        .collect();
    names.push("unknown");
    let entry =
        (proptest::sample::select(names), json_value()).prop_map(|(name, value)| (name.to_owned(), value));
    prop::collection::vec(entry, 0..10).prop_map(Map::from_iter)
}
