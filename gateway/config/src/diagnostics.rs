//! What is wrong with a file, and where: for people, for tools and in the shape of Kong's Admin API.

mod kong;
mod lines;

pub use kong::KongErrors;
pub(crate) use kong::{FaultyEntity, KongPlace};
pub(crate) use lines::Lines;

use serde_json::{Value, json};
use std::fmt;

/// One fault or warning.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// Steps to the value, such as `services[2].routes[0].paths[1]`, counted from 0; empty for the document itself.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong; Kong's text wherever Kong has one.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line of the file, and the column in it that is meant. Absent where the line may hold a secret.
    pub excerpt: Option<Excerpt>,
    pub(crate) kong: KongPlace,
}

/// A line of the file, shortened around the column that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The text, without line break or control characters.
    pub text: String,
    /// Characters before the one that is meant.
    pub caret: usize,
}

/// Faults of one file, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diagnostics {
    /// Name of the file.
    pub source: String,
    /// The faults.
    pub items: Vec<Diagnostic>,
    /// Further faults that are not listed.
    pub omitted: usize,
}

impl Diagnostics {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Faults, those that are only counted included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.items.len() + self.omitted
    }

    /// `{"file": .., "faults": [{"line", "column", "path", "message", "hint"}], "omitted": 0}`
    #[must_use]
    pub fn to_json(&self) -> Value {
        let faults: Vec<Value> = self
            .items
            .iter()
            .map(|item| {
                json!({
                    "path": item.path,
                    "line": item.line,
                    "column": item.column,
                    "message": item.message,
                    "hint": item.hint,
                })
            })
            .collect();
        json!({ "file": self.source, "faults": faults, "omitted": self.omitted })
    }

    /// The error of `POST /config` (kong-core B.4). With `flatten`, faults of entities move out of `fields` into
    /// `flattened_errors`.
    #[must_use]
    pub fn to_kong_fields(&self, flatten: bool) -> KongErrors {
        KongErrors::new(&self.items, flatten)
    }
}

impl fmt::Display for Diagnostics {
    /// One block for each fault: place and text, the line with a caret, the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            write!(f, "{}:", self.source)?;
            writeln!(f, "{item}")?;
        }
        if self.omitted > 0 {
            writeln!(f, "... and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    /// The block of one fault, without the name of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(excerpt) = &self.excerpt {
            let number = self.line.to_string();
            let (margin, gap) = (" ".repeat(number.len()), " ".repeat(excerpt.caret));
            write!(f, "\n  {number} | {}\n  {margin} | {gap}^", excerpt.text)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
