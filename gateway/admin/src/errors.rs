//! What an Admin API request can fail with, in Kong's numbers and words (kong-core G.3).

use crate::reply::Reply;
use http::StatusCode;
use serde_json::{Map, Value, json};
use tidegate_model::entity_table::entity_type;
use tidegate_model::schema::{Violation, lua_table, schema_violation_message, violations_to_fields};
use tidegate_store::Conflict;
use uuid::Uuid;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ApiError {
    /// 1: the id in the path is none.
    #[error("invalid primary key")]
    InvalidPrimaryKey(String),
    /// 2: rules of the table are broken; the tree of texts.
    #[error("schema violation")]
    SchemaViolation(Box<Value>),
    /// 3: the id is taken.
    #[error("primary key violation")]
    PrimaryKey(Uuid),
    /// 4: a reference leads nowhere.
    #[error("foreign key violation")]
    MissingReference {
        field: &'static str,
        target: &'static str,
        id: Uuid,
    },
    /// 4: a delete is refused.
    #[error("foreign key violation")]
    Referenced {
        collection: &'static str,
        by: &'static str,
    },
    /// 5: another entity has the same values.
    #[error("unique constraint violation")]
    Unique(Box<Map<String, Value>>),
    /// 6: nothing to change; the key that was looked for.
    #[error("not found")]
    NotFound { key: Box<Value>, is_id: bool },
    /// 7
    #[error("invalid offset")]
    InvalidOffset { offset: String, reason: &'static str },
    /// 9
    #[error("invalid size")]
    InvalidSize(&'static str),
    /// 10: the name in the path could be nobody's.
    #[error("invalid unique value")]
    InvalidUnique { field: &'static str, reason: String },
    /// 11: an argument beside the entity.
    #[error("invalid options")]
    InvalidOption { option: &'static str, reason: String },
    /// 12: there is no database; what cannot be done.
    #[error("operation unsupported")]
    Unsupported(String),
    /// 13: a reference by name leads nowhere.
    #[error("foreign keys unresolved")]
    UnresolvedReference {
        field: &'static str,
        by: &'static str,
        name: String,
        target: &'static str,
    },
    /// 14: the whole body.
    #[error("invalid declarative configuration")]
    InvalidConfiguration(Box<Value>),
    /// 19: a CA certificate that is trusted.
    #[error("referenced by others")]
    InUse { id: Uuid, by: &'static str, user: Uuid },
    /// A text without a number.
    #[error("{1}")]
    Message(StatusCode, String),
    /// 415.
    #[error("unsupported media type")]
    MediaType,
}

impl ApiError {
    /// From the rules that are broken; `None` when there are none.
    pub(crate) fn from_violations(violations: &[Violation]) -> Option<Self> {
        (!violations.is_empty()).then(|| Self::SchemaViolation(Box::new(violations_to_fields(violations))))
    }

    pub(crate) fn violation(field: &str, message: impl Into<String>) -> Self {
        Self::SchemaViolation(Box::new(violations_to_fields(&[Violation::field(
            field, message,
        )])))
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::Message(StatusCode::BAD_REQUEST, message.into())
    }

    pub(crate) fn missing() -> Self {
        Self::Message(StatusCode::NOT_FOUND, "Not found".to_owned())
    }

    /// The answer.
    pub(crate) fn reply(&self) -> Reply {
        match self {
            Self::Message(status, message) => Reply::message(*status, message),
            Self::MediaType => Reply::unsupported_media_type(),
            Self::InvalidConfiguration(body) => Reply::json(StatusCode::BAD_REQUEST, body),
            _ => Reply::json(self.status(), &self.body()),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unique(_) => StatusCode::CONFLICT,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Unsupported(_) => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn body(&self) -> Value {
        let (code, message, fields) = self.parts();
        let mut body = json!({ "code": code, "name": self.name(), "message": message });
        if let (Some(members), Some((key, fields))) = (body.as_object_mut(), fields) {
            members.insert(key.to_owned(), fields);
        }
        body
    }

    /// The short text; for names in a path it tells the field.
    fn name(&self) -> String {
        match self {
            Self::InvalidUnique { field, .. } => format!("invalid unique {field}"),
            other => other.to_string(),
        }
    }

    /// Number, message, and what stands under `fields` or `options`.
    fn parts(&self) -> (u8, String, Option<(&'static str, Value)>) {
        let fields = |value| Some(("fields", value));
        match self {
            Self::InvalidPrimaryKey(id) => (
                1,
                format!("invalid primary key: '{}'", lua_table(&json!({ "id": id }))),
                fields(json!({ "id": "expected a valid UUID" })),
            ),
            Self::SchemaViolation(tree) => (2, schema_violation_message(tree), fields((**tree).clone())),
            Self::PrimaryKey(id) => {
                let key = json!({ "id": id.to_string() });
                let message = format!("primary key violation on key '{}'", lua_table(&key));
                (3, message, fields(key))
            }
            Self::MissingReference { field, target, id } => {
                let key = json!({ "id": id.to_string() });
                let message = format!(
                    "the foreign key '{}' does not reference an existing '{target}' entity.",
                    lua_table(&key)
                );
                (4, message, fields(json!({ *field: key })))
            }
            Self::Referenced { collection, by } => (
                4,
                format!("an existing '{by}' entity references this '{collection}' entity"),
                fields(json!({ "@referenced_by": by })),
            ),
            Self::Unique(values) => {
                let values = Value::Object((**values).clone());
                let message = format!("UNIQUE violation detected on '{}'", lua_table(&values));
                (5, message, fields(values))
            }
            Self::NotFound { key, is_id } => {
                let by = if *is_id { "primary key " } else { "" };
                let message = format!("could not find the entity with {by}'{}'", lua_table(key));
                (6, message, fields((**key).clone()))
            }
            Self::InvalidOffset { offset, reason } => {
                (7, format!("'{offset}' is not a valid offset: {reason}"), None)
            }
            Self::InvalidSize(message) => (9, (*message).to_owned(), None),
            Self::InvalidUnique { reason, .. } => (10, reason.clone(), None),
            Self::InvalidOption { option, reason } => (
                11,
                format!("invalid option ({option}: {reason})"),
                Some(("options", json!({ *option: reason }))),
            ),
            Self::Unsupported(message) => (12, message.clone(), None),
            Self::UnresolvedReference {
                field,
                by,
                name,
                target,
            } => {
                let key = json!({ *by: name });
                let text = format!(
                    "the foreign key cannot be resolved with '{}' for an existing '{target}' entity",
                    lua_table(&key)
                );
                let message = format!("foreign key unresolved ({field}.{by}: {text})");
                (13, message, fields(json!({ *field: { *by: text } })))
            }
            Self::InUse { id, by, user } => (
                19,
                format!("ca certificate {id} is still referenced by {by} (id = {user})"),
                fields(json!({ "@referenced_by": by })),
            ),
            Self::InvalidConfiguration(_) | Self::Message(..) | Self::MediaType => {
                (0, self.to_string(), None)
            }
        }
    }
}

impl From<Conflict> for ApiError {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::PrimaryKey { id, .. } => Self::PrimaryKey(id),
            Conflict::Unique {
                collection, fields, ..
            } => Self::Unique(Box::new(shown_key(collection, fields))),
            Conflict::MissingReference {
                field, target, id, ..
            } => Self::MissingReference { field, target, id },
            Conflict::Referenced { collection, by, .. } => Self::Referenced { collection, by },
            Conflict::InUse { id, by, user, .. } => Self::InUse { id, by, user },
            Conflict::NotFound { id, .. } => Self::NotFound {
                key: Box::new(json!({ "id": id.to_string() })),
                is_id: true,
            },
            Conflict::Malformed { reason, .. } => Self::bad_request(reason),
        }
    }
}

/// Kong's open source edition knows no groups of consumers: an unset one is not named.
fn shown_key(collection: &str, fields: Vec<(&'static str, Value)>) -> Map<String, Value> {
    let hides = |name: &str| {
        let field = entity_type(collection).and_then(|entity| entity.schema().field(name));
        field.is_some_and(|field| field.hidden_when_unset)
    };
    let shown = fields
        .into_iter()
        .filter(|(name, value)| !(value.is_null() && hides(name)));
    shown.map(|(name, value)| (name.to_owned(), value)).collect()
}
