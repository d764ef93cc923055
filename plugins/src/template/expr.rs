//! What the parser makes of an expression.

use super::functions::Function;
use super::pattern::Pattern;
use http::HeaderName;

/// An expression.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    Nil,
    Bool(bool),
    Number(f64),
    Text(Box<[u8]>),
    /// A table of the request.
    Table(RequestTable),
    /// `headers["X-H"]` with a name known at parse time.
    Header(HeaderKey),
    /// A local variable: its place on the stack.
    Local(usize),
    Index(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Negate(Box<Self>),
    Length(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Binary(Binary, Box<Self>, Box<Self>),
    Call(Function, Vec<Self>),
    /// A function that takes a pattern literal.
    Matching(Matching, Box<Pattern>, Vec<Self>),
    /// A call of something that is no function: an error when it is reached.
    CallOf(Box<str>),
    /// `(function(parameters) ... end)(arguments)`.
    Block(Vec<Self>, Vec<Statement>),
}

/// The tables that a template can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestTable {
    Headers,
    Query,
    Captures,
    Shared,
}

/// A header looked up as written and, failing that, with `-` for `_`.
#[derive(Debug, Clone)]
pub(super) struct HeaderKey {
    pub(super) written: Option<HeaderName>,
    pub(super) dashed: Option<HeaderName>,
}

impl HeaderKey {
    pub(super) fn new(name: &[u8]) -> Self {
        let dashed: Vec<u8> = name
            .iter()
            .map(|byte| if *byte == b'_' { b'-' } else { *byte })
            .collect();
        let same = dashed == name;
        Self {
            written: HeaderName::from_bytes(name).ok(),
            dashed: if same {
                None
            } else {
                HeaderName::from_bytes(&dashed).ok()
            },
        }
    }
}

/// Operators with two operands that evaluate both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Concat,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

/// Functions with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matching {
    Gsub,
    Match,
    Find,
}

/// A statement of a function body.
#[derive(Debug, Clone)]
pub(super) enum Statement {
    /// `local name = expr`: pushes.
    Local(Expr),
    /// `name = expr` for a local.
    Assign(usize, Expr),
    /// `if`/`elseif` arms and the `else` body.
    If(Vec<(Expr, Vec<Self>)>, Vec<Self>),
    Return(Expr),
}
