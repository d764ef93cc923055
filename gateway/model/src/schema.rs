//! Schema tables in Kong's terms: what a field accepts, its default and the text of its errors.
//!
//! A [`RecordSchema`] lists fields and the checks that concern several of them. [`RecordSchema::process`] takes a JSON
//! object as a user wrote it, fills defaults, applies every rule and collects **all** violations, each with its path.

use serde_json::Value;

mod builders;
mod context;
mod describe;
mod fields;
mod lua;
mod process;
mod violation;

pub use builders::{
    FieldBuilder, any, array, boolean, certificate, cookie_name, foreign, header_name, host,
    host_with_optional_port, http_method, integer, ip_or_cidr, map, name, number, path, port, private_key,
    record, route_host, router_path, set, sni, string, tag, tags, target, timeout, timestamp, upstream_name,
    uuid, wildcard_host,
};
pub use context::{Context, RouterFlavor};
pub use fields::{schema_violation_message, violations_to_fields};
pub use lua::lua_table;
pub(crate) use process::pem;
#[cfg(test)]
pub(crate) use process::tests::inputs as test_inputs;
pub use process::{Processed, is_reference};
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

/// A check over a whole record that also depends on how the gateway is set up.
pub type ContextCheck = fn(&serde_json::Map<String, Value>, &Context) -> Vec<Violation>;

/// Fields of an entity or of a nested record, and the rules between them.
#[derive(Debug, Clone, Default)]
pub struct RecordSchema {
    /// Fields in the order in which `/schemas` lists them.
    pub fields: Vec<Field>,
    /// Rules that concern more than one field, in order.
    pub checks: Vec<EntityCheck>,
    /// Input-only fields that are rewritten into others before validation (Kong's `shorthand_fields`).
    pub shorthands: Vec<Shorthand>,
    /// Rewrites of the whole record, in order.
    pub transforms: Vec<Transform>,
}

/// A rewrite of a whole record, for what one field's default or shorthand cannot say.
#[derive(Debug, Clone, Copy)]
pub struct Transform {
    /// Name, for people who debug tables.
    pub name: &'static str,
    /// The moment at which it runs.
    pub moment: Moment,
    /// The rewrite itself. It must leave alone what it does not understand: before validation any JSON may be there.
    pub apply: fn(&mut serde_json::Map<String, Value>, &Context),
}

/// When a [`Transform`] runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// On what was sent alone: a whole record, or the part of one that is to change.
    AsSent,
    /// On the whole input, ahead of shorthands and defaults: tells what was sent from what was filled in.
    BeforeDefaults,
    /// On the finished record, only when no rule is broken.
    AfterValidation,
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
    /// On a reference: the entity is deleted together with the one it points to, instead of keeping that from being
    /// deleted.
    pub cascade: bool,
    /// Left out of the record while it is unset, instead of being null there.
    pub hidden_when_unset: bool,
    /// The field exists only with this router flavour; with another it is an `unknown field`.
    pub only_with: Option<RouterFlavor>,
}

impl Field {
    /// Whether there is such a field in a gateway that is set up like this.
    #[must_use]
    pub fn exists_with(&self, context: &Context) -> bool {
        self.only_with
            .is_none_or(|flavor| flavor == context.router_flavor)
    }
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
    /// As [`Rule::OneOf`], and further values of our own that its text, which is Kong's, does not name.
    OneOfAnd(Vec<Value>, Vec<Value>),
    /// `value must be X`.
    Equals(Value),
    /// `length must be at least N` (strings in bytes, lists in elements).
    LenMin(usize),
    /// `length must be at most N`.
    LenMax(usize),
    /// The empty string is accepted.
    AllowEmpty,
    /// Regular expression on strings; text on failure. A text that ends in `: ` is followed by the value.
    Matches(&'static str, &'static str),
    /// `must not be one of: a, b`.
    NotOneOf(Vec<Value>),
    /// `these sets are mutually exclusive: ('a', 'b'), ('c')`: all elements of a list must be of one of the sets.
    WithinOneOf(&'static [&'static [&'static str]]),
    /// `expected a valid UUID`.
    Uuid,
    /// A `{vault://...}` reference is accepted and skips every other rule; on a list or a map: as an element or a value.
    Referenceable,
    /// Any other check, named for `/schemas`.
    Custom(&'static str, ValueCheck),
}

/// A rule between the fields of one record. Texts are Kong's. A field may be named by a dotted path into nested records.
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
    /// `values of these fields must be distinct: 'a', 'b'`; empty ones do not count.
    Distinct(&'static [&'static str]),
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
    /// Free-form, named for `/schemas`. Runs only when no field of the record is at fault, so that the record has the
    /// shape that its table promises. A violation on a field replaces what is already known of that field.
    Custom(&'static str, RecordCheck),
    /// Free-form over some fields of the record. Tables of plugin configurations name fields `config.x` to say that the
    /// rule is one of the plugin entity, as in Kong; the check gets the configuration all the same.
    Among {
        /// Name for `/schemas`.
        name: &'static str,
        /// The fields it reads. It does not run when one of them holds a `{vault://...}` reference.
        fields: &'static [&'static str],
        /// Whether it runs although one of `fields` is at fault; that field then holds what the user wrote.
        even_if_at_fault: bool,
        /// The check.
        check: ContextCheck,
    },
}

/// The consequence of [`EntityCheck::Conditional`].
#[derive(Debug, Clone)]
pub enum Condition {
    /// `required field missing` unless it is set.
    Required,
    /// `required field missing` unless it is set; then the check must pass.
    RequiredAnd(&'static str, ValueCheck),
    /// `value must be null`.
    MustBeNull,
    /// `expected one of: ...`.
    OneOf(Vec<Value>),
    /// `value must be X`.
    Equals(Value),
}

/// Turns the value of a shorthand into the fields to write, as `(dotted path, value)`, or says why it cannot.
pub type Expand = fn(&Value) -> Result<Vec<(&'static str, Value)>, String>;

/// An input-only field: removed from the input and turned into other fields.
#[derive(Debug, Clone)]
pub struct Shorthand {
    /// Its JSON name.
    pub name: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// Returns the fields to write, as `(dotted path, value)`; they win over what the user wrote when `overrides`.
    /// Called only with a value that is not null and passed `kind`.
    pub expand: Expand,
    /// Whether expanded values replace explicitly sent ones.
    pub overrides: bool,
    /// The field whose value shows under this name too, as a dotted path: for old clients that read the old name.
    pub shows: Option<&'static str>,
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
/// After the fields, in this order: `checks [ ... ]` lists [`EntityCheck`]s, `shorthands [ ... ]` lists [`Shorthand`]s
/// and `transforms [ ... ]` lists [`Transform`]s.
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
        $(transforms [ $($transform:expr),* $(,)? ])?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, $crate::__private::serde::Deserialize, $crate::__private::serde::Serialize)]
        #[serde(crate = "tidegate_model::__private::serde")]
        #[allow(unreachable_pub, reason = "a table may stand in a private module")]
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
                        transforms: vec![ $($($transform),*)? ],
                    });
                &SCHEMA
            }
        }
    };
}
