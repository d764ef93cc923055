//! Short functions that read like Kong's schema tables: `string().one_of([..]).default("x")`.

use super::{Declared, Field, Kind, RecordSource, RouterFlavor, Rule, Shape, ValueCheck};
use serde_json::Value;

/// A field on its way into a table.
#[derive(Debug, Clone)]
pub struct FieldBuilder(Field);

fn build(shape: Shape) -> FieldBuilder {
    FieldBuilder(Field {
        name: "",
        doc: "",
        kind: Kind {
            shape,
            rules: Vec::new(),
        },
        required: false,
        default: None,
        referenceable: false,
        secret: false,
        unique: false,
        cascade: false,
        hidden_when_unset: false,
        only_with: None,
    })
}

impl FieldBuilder {
    /// Absence without a default is a violation.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.0.required = true;
        self
    }

    /// Absence is fine. Fields are optional from the start, except nested records: an optional record stays null when
    /// it is left out, its defaults do not show.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.0.required = false;
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
        self.rule(Rule::Referenceable)
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

    /// On a reference: goes when the entity goes that it points to.
    #[must_use]
    pub fn cascade(mut self) -> Self {
        self.0.cascade = true;
        self
    }

    /// Does not show while it is unset: for fields that Kong's open source edition does not have.
    #[must_use]
    pub fn hidden_when_unset(mut self) -> Self {
        self.0.hidden_when_unset = true;
        self
    }

    /// Known only with this router flavour.
    #[must_use]
    pub fn only_with(mut self, flavor: RouterFlavor) -> Self {
        self.0.only_with = Some(flavor);
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

    /// One of the listed values, or of those of our own, which the error text does not name.
    #[must_use]
    pub fn one_of_and<V: Into<Value>>(
        self,
        values: impl IntoIterator<Item = V>,
        own: impl IntoIterator<Item = V>,
    ) -> Self {
        let [values, own] = [
            values.into_iter().map(Into::into).collect(),
            own.into_iter().map(Into::into).collect(),
        ];
        self.rule(Rule::OneOfAnd(values, own))
    }

    /// None of the listed values.
    #[must_use]
    pub fn not_one_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Self {
        self.rule(Rule::NotOneOf(values.into_iter().map(Into::into).collect()))
    }

    /// All elements of a list are of one of the sets.
    #[must_use]
    pub fn within_one_of(self, sets: &'static [&'static [&'static str]]) -> Self {
        self.rule(Rule::WithinOneOf(sets))
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

    /// Must match the regular expression, else the text; the value is added to a text that ends in `: `.
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
    build(Shape::Map {
        keys: Box::new(keys.into_kind()),
        values: Box::new(values.into_kind()),
    })
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
    string().rule(Rule::Uuid)
}

/// Unix seconds, filled by the gateway.
pub fn timestamp() -> FieldBuilder {
    integer().check("timestamp", super::process::checks::timestamp)
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
    string().check(
        "host_with_optional_port",
        super::process::checks::host_with_optional_port,
    )
}

/// SNI names: a host that may begin or end with `*`.
pub fn wildcard_host() -> FieldBuilder {
    string().check("wildcard_host", super::process::checks::wildcard_host)
}

/// Server name of a TLS connection: a host name, without wildcard.
pub fn sni() -> FieldBuilder {
    string().check("sni", super::process::checks::sni)
}

/// Host of a route: a host with an optional port, in which `*` may stand for the first or the last label.
pub fn route_host() -> FieldBuilder {
    string().check("route_host", super::process::checks::route_host)
}

/// Name of an upstream: a host name without a port.
pub fn upstream_name() -> FieldBuilder {
    string().check("upstream_name", super::process::checks::upstream_name)
}

/// Address of a target: a host with an optional port.
pub fn target() -> FieldBuilder {
    string().check("target", super::process::checks::target)
}

/// PEM text of certificates.
pub fn certificate() -> FieldBuilder {
    string().check("certificate", super::process::pem::certificate)
}

/// PEM text of a private key.
pub fn private_key() -> FieldBuilder {
    string().check("key", super::process::pem::private_key)
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

/// Cookie name: an HTTP token.
pub fn cookie_name() -> FieldBuilder {
    string().check("cookie_name", super::process::checks::cookie_name)
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
