//! Evaluates expressions over one request.

use super::RenderError;
use super::expr::{Binary, Expr, HeaderKey, Matching, RequestTable, Statement};
use super::functions::bounded;
use super::pattern::Pattern;
use super::value::Value;
use crate::query;
use http::HeaderMap;
use serde_json::Map;
use std::borrow::Cow;
use std::cmp::Ordering;
use tidegate_plugin::exchange::Captures;

/// What expressions can see of a request.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `headers`.
    pub headers: &'a HeaderMap,
    /// `query_params`: the query without `?`.
    pub query: Option<&'a str>,
    /// `uri_captures`.
    pub captures: Option<&'a Captures>,
    /// `shared`.
    pub shared: Option<&'a Map<String, serde_json::Value>>,
}

/// Evaluates an expression of its own.
pub(super) fn run<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Value<'a>, RenderError> {
    Machine {
        scope,
        locals: Vec::new(),
    }
    .eval(expr)
}

struct Machine<'s, 'a> {
    scope: &'s Scope<'a>,
    locals: Vec<Value<'a>>,
}

impl<'a> Machine<'_, 'a> {
    fn eval(&mut self, expr: &'a Expr) -> Result<Value<'a>, RenderError> {
        Ok(match expr {
            Expr::Nil => Value::Nil,
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Number(number) => Value::Number(*number),
            Expr::Text(text) => Value::Text(Cow::Borrowed(text)),
            Expr::Table(table) => Value::Table(*table),
            Expr::Header(key) => self.header(key),
            Expr::Local(slot) => self.locals.get(*slot).cloned().unwrap_or(Value::Nil),
            Expr::Index(object, key) => {
                let table = self.eval(object)?;
                let key = self.eval(key)?;
                self.index(&table, &key)?
            }
            Expr::Not(operand) => Value::Bool(!self.eval(operand)?.is_true()),
            Expr::Negate(operand) => {
                let value = self.eval(operand)?;
                Value::Number(-value.to_number().ok_or_else(|| arithmetic(&value))?)
            }
            Expr::Length(operand) => length(&self.eval(operand)?)?,
            Expr::And(left, right) => {
                let left = self.eval(left)?;
                if left.is_true() { self.eval(right)? } else { left }
            }
            Expr::Or(left, right) => {
                let left = self.eval(left)?;
                if left.is_true() { left } else { self.eval(right)? }
            }
            Expr::Binary(operator, left, right) => {
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                binary(*operator, left, right)?
            }
            Expr::Call(function, args) => function.call(self.all(args)?)?,
            Expr::Matching(function, pattern, args) => matching(*function, pattern, self.all(args)?)?,
            Expr::CallOf(name) => return Err(RenderError(format!("attempt to call '{name}' (a nil value)"))),
            Expr::Block(args, body) => {
                let floor = self.locals.len();
                for arg in args {
                    let value = self.eval(arg)?;
                    self.locals.push(value);
                }
                let result = self.block(body)?;
                self.locals.truncate(floor);
                result.unwrap_or(Value::Nil)
            }
        })
    }

    fn all(&mut self, exprs: &'a [Expr]) -> Result<Vec<Value<'a>>, RenderError> {
        exprs.iter().map(|expr| self.eval(expr)).collect()
    }

    /// The returned value, when a `return` was reached.
    fn block(&mut self, body: &'a [Statement]) -> Result<Option<Value<'a>>, RenderError> {
        let floor = self.locals.len();
        for statement in body {
            let returned = match statement {
                Statement::Local(expr) => {
                    let value = self.eval(expr)?;
                    self.locals.push(value);
                    None
                }
                Statement::Assign(slot, expr) => {
                    let value = self.eval(expr)?;
                    if let Some(local) = self.locals.get_mut(*slot) {
                        *local = value;
                    }
                    None
                }
                Statement::If(arms, otherwise) => self.branch(arms, otherwise)?,
                Statement::Return(expr) => Some(self.eval(expr)?),
            };
            if returned.is_some() {
                return Ok(returned);
            }
        }
        self.locals.truncate(floor);
        Ok(None)
    }

    fn branch(
        &mut self,
        arms: &'a [(Expr, Vec<Statement>)],
        otherwise: &'a [Statement],
    ) -> Result<Option<Value<'a>>, RenderError> {
        for (condition, body) in arms {
            if self.eval(condition)?.is_true() {
                return self.block(body);
            }
        }
        self.block(otherwise)
    }

    fn header(&self, key: &HeaderKey) -> Value<'a> {
        let lines = |name: &Option<http::HeaderName>| match name {
            Some(name) => list(
                self.scope
                    .headers
                    .get_all(name)
                    .iter()
                    .map(|value| text(value.as_bytes())),
            ),
            None => Value::Nil,
        };
        match lines(&key.written) {
            Value::Nil => lines(&key.dashed),
            found => found,
        }
    }

    fn index(&self, table: &Value<'a>, key: &Value<'a>) -> Result<Value<'a>, RenderError> {
        match (table, key) {
            (Value::Table(RequestTable::Headers), Value::Text(name)) => {
                Ok(self.header(&HeaderKey::new(name)))
            }
            (Value::Table(RequestTable::Query), Value::Text(name)) => Ok(self.argument(name)),
            (Value::Table(RequestTable::Captures), key) => Ok(self.capture(key)),
            (Value::Table(RequestTable::Shared), Value::Text(name)) => {
                let member = self
                    .scope
                    .shared
                    .and_then(|shared| shared.get(std::str::from_utf8(name).ok()?));
                Ok(member.map_or(Value::Nil, Value::from_json))
            }
            (Value::List(items), key) => Ok(place(key)
                .and_then(|place| items.get(place))
                .cloned()
                .unwrap_or(Value::Nil)),
            (Value::Json(serde_json::Value::Array(items)), key) => Ok(place(key)
                .and_then(|place| items.get(place))
                .map_or(Value::Nil, Value::from_json)),
            (Value::Json(serde_json::Value::Object(members)), Value::Text(name)) => {
                let member = std::str::from_utf8(name).ok().and_then(|name| members.get(name));
                Ok(member.map_or(Value::Nil, Value::from_json))
            }
            // Indexing a string finds methods only, and those are called with `:`.
            (Value::Table(_) | Value::Json(_) | Value::Text(_), _) => Ok(Value::Nil),
            (Value::Nil | Value::Bool(_) | Value::Number(_), key) => {
                let key = key.to_text().unwrap_or(Cow::Borrowed(b"?"));
                let key = String::from_utf8_lossy(&key);
                Err(RenderError(format!(
                    "attempt to index a {} value (field '{key}')",
                    table.type_name()
                )))
            }
        }
    }

    fn argument(&self, name: &[u8]) -> Value<'a> {
        let found = query::pairs(self.scope.query.unwrap_or(""))
            .filter(|(key, _)| key.as_ref() == name)
            .map(|(_, value)| value.map_or(Value::Bool(true), Value::Text));
        list(found)
    }

    fn capture(&self, key: &Value<'a>) -> Value<'a> {
        let Some(captures) = self.scope.captures else {
            return Value::Nil;
        };
        let found = match key {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be integral"
            )]
            Value::Number(number) if *number >= 0.0 && number.fract() == 0.0 => {
                captures.number(*number as usize)
            }
            Value::Text(name) => std::str::from_utf8(name)
                .ok()
                .and_then(|name| captures.name(name)),
            _ => None,
        };
        found.map_or(Value::Nil, |found| text(found.as_bytes()))
    }
}

fn text(bytes: &[u8]) -> Value<'_> {
    Value::Text(Cow::Borrowed(bytes))
}

/// Nothing is `nil`, one value is itself, several are a list.
fn list<'a>(mut values: impl Iterator<Item = Value<'a>>) -> Value<'a> {
    let Some(first) = values.next() else {
        return Value::Nil;
    };
    let Some(second) = values.next() else { return first };
    Value::List([first, second].into_iter().chain(values).collect())
}

/// Place of a Lua index, counted from 1, in a list.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be integral and positive"
)]
fn place(key: &Value<'_>) -> Option<usize> {
    match key {
        Value::Number(number) if *number >= 1.0 && number.fract() == 0.0 => Some(*number as usize - 1),
        _ => None,
    }
}

#[allow(clippy::cast_precision_loss, reason = "lengths are below 2^53")]
fn length<'a>(value: &Value<'a>) -> Result<Value<'a>, RenderError> {
    match value {
        Value::Text(text) => Ok(Value::Number(text.len() as f64)),
        Value::List(items) => Ok(Value::Number(items.len() as f64)),
        Value::Json(serde_json::Value::Array(items)) => Ok(Value::Number(items.len() as f64)),
        Value::Table(_) | Value::Json(_) => Ok(Value::Number(0.0)),
        other => Err(RenderError(format!(
            "attempt to get length of a {} value",
            other.type_name()
        ))),
    }
}

fn arithmetic(value: &Value<'_>) -> RenderError {
    RenderError(format!(
        "attempt to perform arithmetic on a {} value",
        value.type_name()
    ))
}

fn binary<'a>(operator: Binary, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, RenderError> {
    Ok(match operator {
        Binary::Equal => Value::Bool(left == right),
        Binary::NotEqual => Value::Bool(left != right),
        Binary::Concat => concat(left, right)?,
        Binary::Less => Value::Bool(compare(&left, &right)?.is_some_and(Ordering::is_lt)),
        Binary::LessEqual => Value::Bool(compare(&left, &right)?.is_some_and(Ordering::is_le)),
        Binary::Greater => Value::Bool(compare(&left, &right)?.is_some_and(Ordering::is_gt)),
        Binary::GreaterEqual => Value::Bool(compare(&left, &right)?.is_some_and(Ordering::is_ge)),
        Binary::Add
        | Binary::Subtract
        | Binary::Multiply
        | Binary::Divide
        | Binary::Modulo
        | Binary::Power => {
            let a = left.to_number().ok_or_else(|| arithmetic(&left))?;
            let b = right.to_number().ok_or_else(|| arithmetic(&right))?;
            Value::Number(match operator {
                Binary::Add => a + b,
                Binary::Subtract => a - b,
                Binary::Multiply => a * b,
                Binary::Divide => a / b,
                Binary::Modulo => a - (a / b).floor() * b,
                _ => a.powf(b),
            })
        }
    })
}

/// `None`: one of them is not a number in the sense of IEEE 754, and every comparison is false.
fn compare(left: &Value<'_>, right: &Value<'_>) -> Result<Option<Ordering>, RenderError> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Ok(a.partial_cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        _ => Err(RenderError(format!(
            "attempt to compare {} with {}",
            left.type_name(),
            right.type_name()
        ))),
    }
}

fn concat<'a>(left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, RenderError> {
    let refuse = |name: &str| RenderError(format!("attempt to concatenate a {name} value"));
    let (left_name, right_name) = (left.type_name(), right.type_name());
    let mut joined = left.into_string().ok_or_else(|| refuse(left_name))?.into_owned();
    let right = right.into_string().ok_or_else(|| refuse(right_name))?;
    bounded(joined.len() + right.len())?;
    joined.extend_from_slice(&right);
    Ok(Value::Text(Cow::Owned(joined)))
}

fn matching<'a>(
    function: Matching,
    pattern: &Pattern,
    args: Vec<Value<'a>>,
) -> Result<Value<'a>, RenderError> {
    let mut args = args.into_iter();
    let subject = args.next().unwrap_or(Value::Nil);
    let found = subject.type_name();
    let Some(subject) = subject.into_string() else {
        return Err(RenderError(format!(
            "bad argument #1 to a string function (string expected, got {found})"
        )));
    };
    match function {
        Matching::Match => Ok(pattern.regex.captures(&subject).map_or(Value::Nil, |captures| {
            let group = captures.get(1).or_else(|| captures.get(0));
            group.map_or(Value::Nil, |group| {
                Value::Text(Cow::Owned(group.as_bytes().to_vec()))
            })
        })),
        #[allow(clippy::cast_precision_loss, reason = "positions are below 2^53")]
        Matching::Find => {
            let start = pattern.regex.find(&subject).map(|found| found.start() + 1);
            Ok(start.map_or(Value::Nil, |start| Value::Number(start as f64)))
        }
        Matching::Gsub => {
            let replacement = args.next().unwrap_or(Value::Nil);
            let found = replacement.type_name();
            let Some(replacement) = replacement.into_string() else {
                let problem = format!("bad argument #3 to 'gsub' (string expected, got {found})");
                return Err(RenderError(problem));
            };
            let limit = match args.next() {
                None | Some(Value::Nil) => f64::INFINITY,
                Some(value) => value.to_number().ok_or_else(|| arithmetic(&value))?,
            };
            gsub(pattern, &subject, &replacement, limit)
        }
    }
}

fn gsub<'a>(
    pattern: &Pattern,
    subject: &[u8],
    replacement: &[u8],
    limit: f64,
) -> Result<Value<'a>, RenderError> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut count = 0.0;
    for captures in pattern.regex.captures_iter(subject) {
        if count >= limit {
            break;
        }
        count += 1.0;
        let Some(whole) = captures.get(0) else { continue };
        out.extend_from_slice(subject.get(copied..whole.start()).unwrap_or(b""));
        copied = whole.end();
        let mut rest = replacement;
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            match (first, rest.split_first()) {
                (b'%', Some((digit, tail))) if digit.is_ascii_digit() => {
                    let number = usize::from(digit - b'0');
                    // Without captures, %1 is the whole match.
                    let number = if number == 1 && captures.len() == 1 {
                        0
                    } else {
                        number
                    };
                    if number >= captures.len() {
                        return Err(RenderError(format!(
                            "invalid capture index %{number} in replacement string"
                        )));
                    }
                    out.extend_from_slice(captures.get(number).map_or(&b""[..], |group| group.as_bytes()));
                    rest = tail;
                }
                (b'%', Some((other, tail))) => {
                    out.push(*other);
                    rest = tail;
                }
                (first, _) => out.push(*first),
            }
        }
        bounded(out.len())?;
    }
    out.extend_from_slice(subject.get(copied..).unwrap_or(b""));
    bounded(out.len())?;
    Ok(Value::Text(Cow::Owned(out)))
}
