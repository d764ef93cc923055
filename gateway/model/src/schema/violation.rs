//! One broken rule: where and what.

use std::fmt;

/// A step of the path to a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathSegment {
    /// A member of an object.
    Key(String),
    /// An element of a list, counted from 0.
    Index(usize),
    /// A member of a map with free keys. Kong's `fields` tree leaves this step out.
    Entry(String),
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Steps from the record to the value; empty for a rule about the record as a whole.
    pub path: Vec<PathSegment>,
    /// Kong's text.
    pub message: String,
    /// Set when the rule concerns the record at `path` as a whole: Kong lists it under `@entity`.
    pub is_entity_check: bool,
}

impl Violation {
    /// A violation on one field of the record.
    pub fn field(name: &str, message: impl Into<String>) -> Self {
        Self {
            path: vec![PathSegment::Key(name.to_owned())],
            message: message.into(),
            is_entity_check: false,
        }
    }

    /// A violation of the value at hand; the levels around it add the path.
    pub(super) fn here(message: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            message: message.into(),
            is_entity_check: false,
        }
    }

    /// A violation on a nested field, given as a dotted path.
    pub fn at(dotted: &str, message: impl Into<String>) -> Self {
        let path = dotted
            .split('.')
            .map(|step| PathSegment::Key(step.to_owned()))
            .collect();
        Self {
            path,
            message: message.into(),
            is_entity_check: false,
        }
    }

    /// Whether it lies at the field with this dotted path, or inside it.
    #[must_use]
    pub fn is_within(&self, dotted: &str) -> bool {
        let mut steps = self.path.iter();
        dotted
            .split('.')
            .all(|name| matches!(steps.next(), Some(PathSegment::Key(key)) if key == name))
    }

    /// A violation of a rule about the record as a whole.
    pub fn entity(message: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            message: message.into(),
            is_entity_check: true,
        }
    }

    /// The same violation seen from a level further out.
    #[must_use]
    pub fn under(mut self, segment: PathSegment) -> Self {
        self.path.insert(0, segment);
        self
    }
}

impl fmt::Display for Violation {
    /// `config.headers[1]: required field missing`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.path.iter().enumerate() {
            match segment {
                PathSegment::Key(key) | PathSegment::Entry(key) if position == 0 => write!(f, "{key}")?,
                PathSegment::Key(key) | PathSegment::Entry(key) => write!(f, ".{key}")?,
                PathSegment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}
