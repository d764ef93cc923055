//! Template strings: `text $(expression) text` (`TMPL` of the plugin reference).
//!
//! The expression language is a documented subset of Lua expressions, evaluated by this module: no loops, no function
//! values, no writes outside a function's own locals, every intermediate string bounded. It therefore always ends.
//!
//! | form | example |
//! |---|---|
//! | request data | `headers.h`, `headers["X-H"]`, `query_params.q`, `uri_captures.name`, `uri_captures[1]`, `shared.a.b` |
//! | literals | `"text"`, `'text'`, `[[text]]`, `12`, `1.5`, `0x1f`, `true`, `false`, `nil` |
//! | operators | `or` `and` `not` `==` `~=` `<` `<=` `>` `>=` `..` `+` `-` `*` `/` `%` `^` `#` and parentheses |
//! | functions | `type`, `tostring`, `tonumber`, `table.concat`, `math.floor ceil abs min max` |
//! | strings | `string.sub lower upper len rep reverse format gsub match find`, also as methods: `headers.h:lower()` |
//! | function bodies | `(function() local v = headers.h if v then return v end return "none" end)()` |
//!
//! Patterns of `gsub`, `match` and `find` must be string literals; they are compiled with the configuration and run in
//! linear time. `%b`, `%f`, back references and position captures are refused.
//!
//! `nil` and `false` render as nothing; the values of a repeated header or argument render joined by `, ` unless one is
//! picked by index. A name that does not exist is `nil`, as in Lua; a name of Lua's library that is not listed above is
//! refused when the configuration is read. `$(` without a closing parenthesis is plain text.

mod eval;
mod expr;
mod functions;
mod lexer;
mod parser;
mod pattern;
mod value;

pub use eval::Scope;

use expr::Expr;
use value::Value;

/// Longest string that an expression may make, in bytes.
pub const MAX_STRING: usize = 1 << 20;

/// A template that does not parse, or uses a form outside of the subset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {message}")]
pub struct ParseError {
    /// Where, in bytes from 1.
    pub position: usize,
    /// What is wrong, naming the form.
    pub message: String,
}

/// An expression failed on a request, e.g. it joined a string to `nil`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub String);

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    Text(Box<[u8]>),
    Expression(Expr),
}

impl Template {
    /// Parses `source`.
    ///
    /// # Errors
    /// When an expression is not in the subset.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        let mut segments = Vec::new();
        let mut text = Vec::new();
        let mut rest = source;
        while let Some(start) = rest.find("$(") {
            let (before, after) = (
                rest.get(..start).unwrap_or(""),
                rest.get(start + 2..).unwrap_or(""),
            );
            text.extend_from_slice(before.as_bytes());
            match parser::expression(after) {
                Ok((expr, consumed)) => {
                    push_text(&mut segments, &mut text);
                    segments.push(Segment::Expression(expr));
                    rest = after.get(consumed..).unwrap_or("");
                }
                Err(_) if !closes(after) => {
                    text.extend_from_slice(b"$(");
                    rest = after;
                }
                Err(mut error) => {
                    error.position += source.len() - after.len();
                    return Err(error);
                }
            }
        }
        text.extend_from_slice(rest.as_bytes());
        push_text(&mut segments, &mut text);
        Ok(Self { segments })
    }

    /// The text, when the template is the same for every request.
    #[must_use]
    pub fn as_constant(&self) -> Option<&[u8]> {
        match self.segments.as_slice() {
            [] => Some(b""),
            [Segment::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Fills in the values of one request.
    ///
    /// # Errors
    /// When an expression fails, e.g. indexes `nil`.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Vec<u8>, RenderError> {
        let mut out = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => out.extend_from_slice(text),
                Segment::Expression(expr) => write(&eval::run(expr, scope)?, &mut out)?,
            }
            if out.len() > MAX_STRING {
                return Err(RenderError(format!(
                    "the rendered value exceeds {MAX_STRING} bytes"
                )));
            }
        }
        Ok(out)
    }
}

fn push_text(segments: &mut Vec<Segment>, text: &mut Vec<u8>) {
    if !text.is_empty() {
        segments.push(Segment::Text(std::mem::take(text).into_boxed_slice()));
    }
}

/// Whether the parenthesis that was opened before `text` is closed in it.
fn closes(text: &str) -> bool {
    let mut depth = 1_usize;
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return true;
        }
    }
    false
}

fn write(value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), RenderError> {
    match value {
        Value::Nil | Value::Bool(false) => Ok(()),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write(item, out)?;
            }
            Ok(())
        }
        other => match other.to_text() {
            Some(text) => {
                out.extend_from_slice(&text);
                Ok(())
            }
            None => Err(RenderError(
                "a table cannot be rendered: pick a member".to_owned(),
            )),
        },
    }
}

/// Entry point of the fuzz target: parses arbitrary bytes and renders what parses over a request made of them.
pub fn fuzz(data: &[u8]) {
    let source = String::from_utf8_lossy(data);
    let Ok(template) = Template::parse(&source) else {
        return;
    };
    let mut headers = http::HeaderMap::new();
    for part in data.chunks(7) {
        if let Ok(value) = http::HeaderValue::from_bytes(part) {
            headers.append("h", value);
        }
    }
    let captures = tidegate_plugin::exchange::Captures {
        groups: vec![Some(source.to_string()), None],
        names: vec![("id".to_owned(), 1)],
    };
    let scope = Scope {
        headers: &headers,
        query: Some(&source),
        captures: Some(&captures),
        shared: None,
    };
    let _ = template.render(&scope);
}

#[cfg(test)]
mod tests;
