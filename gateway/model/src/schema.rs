//! Schema tables in Kong's terms: what a field accepts, its default and the text of its errors.
//!
//! A [`RecordSchema`] lists fields and the checks that concern several of them. [`RecordSchema::process`] takes a JSON
//! object as a user wrote it, fills defaults, applies every rule and collects **all** violations, each with its path.

use serde_json::Value;

mod builders;
mod process;
mod violation;

pub use builders::{
    any, array, boolean, foreign, header_name, host, host_with_optional_port, http_method, integer, ip_or_cidr, map,
    name, number, path, port, record, router_path, set, string, tag, tags, timeout, timestamp, uuid, wildcard_host,
    FieldBuilder,
};
pub use process::Processed;
pub use violation::{PathSegment, Violation};

/// Something that has a schema table: every entity and every plugin configuration. Implemented by [`crate::record!`].
pub trait Declared {
    /// The table; built once per process.
    fn schema() -> &'static RecordSchema;
}

/// A function that checks or changes one value. The error is the text shown to the user.
pub type ValueCheck = fn(&Value) -> Result<(), String>;

/// A check over a whole record: returns violations with paths relative to the record.
pub type RecordCheck = fn(&serde_json::Map<String, Value>) -> Vec<Violation>;

/// Fields of an entity or of a nested record, and the rules between them.
#[derive(Debug, Clone, Default)]
pub struct RecordSchema {
    /// Fields in the order in which `/schemas` lists them.
    pub fields: Vec<Field>,
    /// Rules that concern more than one field, in order.
    pub checks: Vec<EntityCheck>,
    /// Input-only fields that are rewritten into others before validation (Kong's `shorthand_fields`).
    pub shorthands: Vec<Shorthand>,
}

/// One field.
#[derive(Debug, Clone)]
pub struct Field {
    /// JSON name.
    pub name: &'static str,
    /// One or two sentences for `/schemas` and the documentation.
    pub doc: &'static str,
    /// What values it accepts.
    pub kind: Kind,
    /// Absent or null is a violation (`required field missing`) when there is no default.
    pub required: bool,
    /// Value when the field is absent or null.
    pub default: Option<Value>,
    /// Accepts `{vault://...}` references.
    pub referenceable: bool,
    /// Holds a secret: masked in logs and in the Admin API's own dumps.
    pub secret: bool,
    /// Unique among the entities of one collection.
    pub unique: bool,
}

/// What values a field or an element accepts, with its rules.
#[derive(Debug, Clone)]
pub struct Kind {
    /// The JSON shape.
    pub shape: Shape,
    /// Rules, applied in order until one fails.
    pub rules: Vec<Rule>,
}

/// The JSON shape of a value.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A string; empty only with [`Rule::AllowEmpty`].
    String,
    /// An integral number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list that keeps duplicates.
    Array(Box<Kind>),
    /// A list in which duplicates are dropped, first occurrence kept.
    Set(Box<Kind>),
    /// An object with free keys.
    Map {
        /// What the keys must be.
        keys: Box<Kind>,
        /// What the values must be.
        values: Box<Kind>,
    },
    /// A nested record.
    Record(RecordSource),
    /// `{"id": uuid}` of an entity in the named collection, e.g. `"services"`.
    Foreign(&'static str),
    /// Any JSON value, unchecked.
    Any,
}

/// How a nested record gets its table: lazily, since tables refer to each other.
#[derive(Clone, Copy)]
pub struct RecordSource(pub fn() -> &'static RecordSchema);

impl std::fmt::Debug for RecordSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordSource")
    }
}

/// One rule for a value, each with Kong's error text.
#[derive(Debug, Clone)]
pub enum Rule {
    /// `value should be between LOW and HIGH`, both inclusive.
    Between(i64, i64),
    /// `value must be greater than N`.
    GreaterThan(f64),
    /// `expected one of: a, b, c`.
    OneOf(Vec<Value>),
    /// `value must be X`.
    Equals(Value),
    /// `length must be at least N` (strings in bytes, lists in elements).
    LenMin(usize),
    /// `length must be at most N`.
    LenMax(usize),
    /// The empty string is accepted.
    AllowEmpty,
    /// Regular expression on strings; text on failure.
    Matches(&'static str, &'static str),
    /// Any other check, named for `/schemas`.
    Custom(&'static str, ValueCheck),
}

/// A rule between the fields of one record. Texts are Kong's.
#[derive(Debug, Clone)]
pub enum EntityCheck {
    /// `at least one of these fields must be non-empty: 'a', 'b'`.
    AtLeastOneOf(&'static [&'static str]),
    /// `exactly one of these fields must be non-empty: 'a', 'b'`.
    ExactlyOneOf(&'static [&'static str]),
    /// `only one or none of these fields must be set: 'a', 'b'`.
    OnlyOneOf(&'static [&'static str]),
    /// `all or none of these fields must be set: 'a', 'b'`.
    MutuallyRequired(&'static [&'static str]),
    /// If `if_field` is one of the values, `then_field` must satisfy the rule; else
    /// `failed conditional validation given value of field 'X'` plus the rule's own text on `then_field`.
    Conditional {
        /// Field that decides.
        if_field: &'static str,
        /// Values of it (null included when listed) for which the condition holds.
        if_one_of: Vec<Value>,
        /// Field that is then checked.
        then_field: &'static str,
        /// What must hold for it.
        then: Condition,
    },
    /// Free-form, named for `/schemas`.
    Custom(&'static str, RecordCheck),
}

/// The consequence of [`EntityCheck::Conditional`].
#[derive(Debug, Clone)]
pub enum Condition {
    /// `required field missing` unless it is set.
    Required,
    /// `value must be null`.
    MustBeNull,
    /// `expected one of: ...`.
    OneOf(Vec<Value>),
    /// `value must be X`.
    Equals(Value),
}

/// An input-only field: removed from the input and turned into other fields.
#[derive(Debug, Clone)]
pub struct Shorthand {
    /// Its JSON name.
    pub name: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// Returns the fields to write, as `(dotted path, value)`; they win over what the user wrote when `overrides`.
    pub expand: fn(&Value) -> Result<Vec<(&'static str, Value)>, String>,
    /// Whether expanded values replace explicitly sent ones.
    pub overrides: bool,
}

/// Declares a struct and its schema table in one place.
///
/// ```
/// use tidegate_model::{record, schema::{self, Declared}};
/// record! {
///     /// Configuration of an example.
///     pub struct Example {
///         /// How many.
///         pub count: u32 = schema::integer().between(1, 10).default(3),
///         /// Optional label.
///         pub label: Option<String> = schema::string(),
///     }
/// }
/// assert_eq!(Example::schema().fields.len(), 2);
/// ```
///
/// After the fields, `checks [ ... ]` lists [`EntityCheck`]s and `shorthands [ ... ]` lists [`Shorthand`]s.
#[macro_export]
macro_rules! record {
    (
        $(#[doc = $doc:expr])*
        pub struct $name:ident {
            $(
                $(#[doc = $fdoc:expr])*
                pub $field:ident : $ty:ty = $kind:expr
            ),* $(,)?
        }
        $(checks [ $($check:expr),* $(,)? ])?
        $(shorthands [ $($shorthand:expr),* $(,)? ])?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, $crate::__private::serde::Deserialize, $crate::__private::serde::Serialize)]
        #[serde(crate = "tidegate_model::__private::serde")]
        pub struct $name {
            $( $(#[doc = $fdoc])* pub $field: $ty, )*
        }

        impl $crate::schema::Declared for $name {
            fn schema() -> &'static $crate::schema::RecordSchema {
                static SCHEMA: ::std::sync::LazyLock<$crate::schema::RecordSchema> =
                    ::std::sync::LazyLock::new(|| $crate::schema::RecordSchema {
                        fields: vec![ $( $crate::schema::FieldBuilder::named(
                            $kind,
                            stringify!($field),
                            concat!($($fdoc),*),
                        ) ),* ],
                        checks: vec![ $($($check),*)? ],
                        shorthands: vec![ $($($shorthand),*)? ],
                    });
                &SCHEMA
            }
        }
    };
}
