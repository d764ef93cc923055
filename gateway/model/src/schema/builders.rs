//! Short functions that read like Kong's schema tables: `string().one_of([..]).default("x")`.

use super::{Declared, Field, Kind, RecordSource, Rule, Shape, ValueCheck};
use serde_json::Value;

/// A field on its way into a table.
#[derive(Debug, Clone)]
pub struct FieldBuilder(Field);

fn build(shape: Shape) -> FieldBuilder {
    FieldBuilder(Field {
        name: "",
        doc: "",
        kind: Kind { shape, rules: Vec::new() },
        required: false,
        default: None,
        referenceable: false,
        secret: false,
        unique: false,
    })
}

impl FieldBuilder {
    /// Absence without a default is a violation.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.0.required = true;
        self
    }

    /// Value when absent or null.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.0.default = Some(value.into());
        self
    }

    /// Accepts `{vault://...}`.
    #[must_use]
    pub fn referenceable(mut self) -> Self {
        self.0.referenceable = true;
        self
    }

    /// Masked wherever it would be shown.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.0.secret = true;
        self
    }

    /// Unique in its collection.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.0.unique = true;
        self
    }

    /// Inclusive range.
    #[must_use]
    pub fn between(self, low: i64, high: i64) -> Self {
        self.rule(Rule::Between(low, high))
    }

    /// Strictly greater.
    #[must_use]
    pub fn gt(self, low: f64) -> Self {
        self.rule(Rule::GreaterThan(low))
    }

    /// One of the listed values.
    #[must_use]
    pub fn one_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Self {
        self.rule(Rule::OneOf(values.into_iter().map(Into::into).collect()))
    }

    /// Exactly this value.
    #[must_use]
    pub fn equals(self, value: impl Into<Value>) -> Self {
        self.rule(Rule::Equals(value.into()))
    }

    /// Minimum length.
    #[must_use]
    pub fn len_min(self, length: usize) -> Self {
        self.rule(Rule::LenMin(length))
    }

    /// Maximum length.
    #[must_use]
    pub fn len_max(self, length: usize) -> Self {
        self.rule(Rule::LenMax(length))
    }

    /// The empty string is a value.
    #[must_use]
    pub fn allow_empty(self) -> Self {
        self.rule(Rule::AllowEmpty)
    }

    /// Must match the regular expression, else the text.
    #[must_use]
    pub fn matches(self, pattern: &'static str, message: &'static str) -> Self {
        self.rule(Rule::Matches(pattern, message))
    }

    /// Any other check.
    #[must_use]
    pub fn check(self, name: &'static str, check: ValueCheck) -> Self {
        self.rule(Rule::Custom(name, check))
    }

    fn rule(mut self, rule: Rule) -> Self {
        self.0.kind.rules.push(rule);
        self
    }

    /// What the value must be, without the field around it.
    #[must_use]
    pub fn into_kind(self) -> Kind {
        self.0.kind
    }

    /// The finished field. Used by [`crate::record!`].
    #[must_use]
    pub fn named(mut self, name: &'static str, doc: &'static str) -> Field {
        self.0.name = name.strip_prefix("r#").unwrap_or(name);
        self.0.doc = doc.trim();
        self.0
    }
}

/// A string of at least one character.
pub fn string() -> FieldBuilder {
    build(Shape::String)
}

/// An integer.
pub fn integer() -> FieldBuilder {
    build(Shape::Integer)
}

/// Any number.
pub fn number() -> FieldBuilder {
    build(Shape::Number)
}

/// A boolean.
pub fn boolean() -> FieldBuilder {
    build(Shape::Boolean)
}

/// A list that keeps duplicates.
pub fn array(element: FieldBuilder) -> FieldBuilder {
    build(Shape::Array(Box::new(element.into_kind())))
}

/// A list that drops duplicates.
pub fn set(element: FieldBuilder) -> FieldBuilder {
    build(Shape::Set(Box::new(element.into_kind())))
}

/// An object with free keys.
pub fn map(keys: FieldBuilder, values: FieldBuilder) -> FieldBuilder {
    build(Shape::Map { keys: Box::new(keys.into_kind()), values: Box::new(values.into_kind()) })
}

/// A nested record. Required, so that its defaults always show (kong-core A.1).
pub fn record<T: Declared>() -> FieldBuilder {
    build(Shape::Record(RecordSource(T::schema))).required()
}

/// A reference to an entity of the named collection.
pub fn foreign(collection: &'static str) -> FieldBuilder {
    build(Shape::Foreign(collection))
}

/// Unchecked JSON.
pub fn any() -> FieldBuilder {
    build(Shape::Any)
}

/// An id, generated when absent.
pub fn uuid() -> FieldBuilder {
    string().check("uuid", super::process::checks::uuid)
}

/// Unix seconds, filled by the gateway.
pub fn timestamp() -> FieldBuilder {
    integer()
}

/// Entity name: ASCII alphanumerics, `. - _ ~` and any other UTF-8.
pub fn name() -> FieldBuilder {
    string().unique().check("name", super::process::checks::name)
}

/// Host name or address without a port.
pub fn host() -> FieldBuilder {
    string().check("host", super::process::checks::host)
}

/// Host name or address with an optional port.
pub fn host_with_optional_port() -> FieldBuilder {
    string().check("host_with_optional_port", super::process::checks::host_with_optional_port)
}

/// SNI names: a host that may begin or end with `*`.
pub fn wildcard_host() -> FieldBuilder {
    string().check("wildcard_host", super::process::checks::wildcard_host)
}

/// URL path.
pub fn path() -> FieldBuilder {
    string().check("path", super::process::checks::path)
}

/// Route path: `/prefix` or `~/regex`.
pub fn router_path() -> FieldBuilder {
    string().check("router_path", super::process::checks::router_path)
}

/// Port number, 0 to 65535.
pub fn port() -> FieldBuilder {
    integer().between(0, 65_535)
}

/// HTTP method in upper case.
pub fn http_method() -> FieldBuilder {
    string().matches("^[A-Z]+$", "invalid value: ")
}

/// HTTP header name.
pub fn header_name() -> FieldBuilder {
    string().check("header_name", super::process::checks::header_name)
}

/// One tag.
pub fn tag() -> FieldBuilder {
    string().check("tag", super::process::checks::tag)
}

/// The `tags` field of every entity.
pub fn tags() -> FieldBuilder {
    set(tag())
}

/// Milliseconds, 1 to 2147483646.
pub fn timeout() -> FieldBuilder {
    integer().between(1, 2_147_483_646)
}

/// IPv4 or IPv6 address or CIDR range.
pub fn ip_or_cidr() -> FieldBuilder {
    string().check("ip_or_cidr", super::process::checks::ip_or_cidr)
}
