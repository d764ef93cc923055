//! The language of route expressions (kong-core C.8): parse, check, evaluate.
//!
//! `||` binds tighter than `&&`, as in the reference engine: `a || b && c` means `(a || b) && c`.

mod anchors;
mod ast;
mod evaluate;
mod literal;
mod parser;

pub(crate) use anchors::{HostAnchor, required_values};
pub(crate) use ast::{Field, Node};
pub(crate) use evaluate::{Notes, fold_case, visit_field};

use crate::facts::RequestFacts;

/// Most bytes of one expression.
pub const MAX_EXPRESSION_BYTES: usize = 64 * 1024;
/// Deepest nesting of parentheses.
pub const MAX_EXPRESSION_DEPTH: usize = 64;

/// Which fields an expression may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsystem {
    /// Routes for HTTP and gRPC.
    Http,
    /// Routes for TCP, TLS and UDP.
    Stream,
}

/// A parsed and checked expression.
#[derive(Debug)]
pub struct Expression {
    source: Box<str>,
    root: Node,
}

/// Why an expression is refused. The first five texts are those of Kong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// The field does not exist for this kind of route.
    #[error("Unknown LHS field")]
    UnknownField,
    /// A string field with a number, and the like.
    #[error("Type mismatch between the LHS and RHS values of predicate")]
    TypeMismatch,
    /// `lower()` of a number or address.
    #[error("lower-case transformation function only supported with String type fields")]
    LowerOfNonString,
    /// `~` with something else than a string.
    #[error("Regex operators only supports string operands")]
    RegexOfNonString,
    /// `in` and `not in` with something else than address and range.
    #[error("In/NotIn operators only supports IP in CIDR")]
    InOfNonCidr,
    /// Ordering of something else than integers, or `^=`, `=^`, `contains` of something else than strings.
    #[error("operator `{0}` is not supported for this type of field")]
    OperatorType(&'static str),
    /// Neither `lower` nor `any`.
    #[error("unknown transformation function: {0}")]
    UnknownTransformation(String),
    /// `http.path.segments.` with something that is no index.
    #[error("illformed http.path.segments.* field")]
    IllformedSegments,
    /// The regex does not parse or is too large.
    #[error("invalid regex `{pattern}`: {reason}")]
    Regex {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The text does not follow the grammar.
    #[error("expected {expected} at column {column}")]
    Syntax {
        /// What could stand there.
        expected: &'static str,
        /// Byte offset plus one.
        column: usize,
    },
    /// A literal that reads like a number or address but is none.
    #[error("invalid {what} `{text}`")]
    Literal {
        /// Kind of literal.
        what: &'static str,
        /// As written.
        text: String,
    },
    /// Longer or deeper than allowed.
    #[error(
        "expression exceeds {MAX_EXPRESSION_BYTES} bytes or {MAX_EXPRESSION_DEPTH} levels of parentheses"
    )]
    TooLarge,
}

/// Parses an expression for an HTTP route.
///
/// # Errors
/// The first fault found, as [`ExpressionError`].
pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
    parse_for(text, Subsystem::Http)
}

/// Parses an expression that may name the fields of `subsystem`.
///
/// # Errors
/// The first fault found, as [`ExpressionError`].
pub fn parse_for(text: &str, subsystem: Subsystem) -> Result<Expression, ExpressionError> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(ExpressionError::TooLarge);
    }
    let root = parser::parse(text, subsystem)?;
    Ok(Expression {
        source: text.into(),
        root,
    })
}

impl Expression {
    /// As written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a request satisfies the expression.
    #[must_use]
    pub fn matches(&self, facts: &RequestFacts<'_>) -> bool {
        self.evaluate(facts, &mut Notes::default())
    }

    pub(crate) fn evaluate<'a>(&'a self, facts: &RequestFacts<'_>, notes: &mut Notes<'a>) -> bool {
        evaluate::holds(&self.root, facts, notes)
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}
