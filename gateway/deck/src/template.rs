//! Variables in files: `${{ env "DECK_X" | toInt }}`, filled into the raw text ahead of any parsing.
//!
//! The language is the part of Go's templates that state files use: literals, parentheses, pipes and five functions.

use std::collections::BTreeMap;

const OPEN: &str = "${{";
const CLOSE: &str = "}}";
const PREFIX: &str = "DECK_";

/// Where the values of variables come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'e> {
    /// The environment.
    Environment(&'e BTreeMap<String, String>),
    /// The names of the variables, to check files where there are no values.
    Names,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

impl Term {
    fn show(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => crate::diff_text::go_number(*number),
            Self::Boolean(is_true) => is_true.to_string(),
        }
    }
}

/// Fills in every variable. Lines that are comments stay as they are.
///
/// # Errors
/// What is wrong with the first expression that cannot be filled in, with its line.
pub(crate) fn render(text: &str, source: Source<'_>) -> Result<String, String> {
    if !text.contains(OPEN) {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let (before, from) = rest.split_at(at);
        let opened = text.len() - from.len();
        if is_comment(text, opened) {
            let (comment, behind) = from.split_at(from.find('\n').unwrap_or(from.len()));
            out.push_str(before);
            out.push_str(comment);
            rest = behind;
            continue;
        }
        let body = from.get(OPEN.len()..).unwrap_or_default();
        let place = || Place::of(text, opened + OPEN.len());
        let Some(end) = closing(body) else {
            return Err(format!("template: state:{}: unclosed action", place().line));
        };
        let (expression, behind) = body.split_at(end);
        rest = behind.get(CLOSE.len()..).unwrap_or_default();
        let (expression, trims_left) = trimmed(expression, true);
        let (expression, trims_right) = trimmed(expression, false);
        out.push_str(if trims_left { before.trim_end() } else { before });
        let remark = expression.trim();
        if !(remark.starts_with("/*") && remark.ends_with("*/")) {
            let value = evaluate(expression, source).map_err(|fault| fault.at(&place()))?;
            out.push_str(&value.show());
        }
        if trims_right {
            rest = rest.trim_start();
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether the line of this offset is a comment of YAML.
fn is_comment(text: &str, offset: usize) -> bool {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.trim_start().starts_with('#')
}

/// A marker `-` at an end of an action takes the blanks beside it away.
fn trimmed(expression: &str, left: bool) -> (&str, bool) {
    let inner = if left {
        expression.strip_prefix("- ")
    } else {
        expression.strip_suffix(" -")
    };
    (inner.unwrap_or(expression), inner.is_some())
}

/// Where the action ends; braces within quotes do not count.
fn closing(body: &str) -> Option<usize> {
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in body.char_indices() {
        match quote {
            Some('"') if is_escaped => is_escaped = false,
            Some('"') if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '`' => quote = Some(c),
            None if body.get(at..).is_some_and(|rest| rest.starts_with(CLOSE)) => return Some(at),
            Some(_) | None => {}
        }
    }
    None
}

struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Literal(Term),
    Name(String),
    Pipe,
    Open,
    Close,
}

fn evaluate(expression: &str, source: Source<'_>) -> Result<Term, Fault> {
    let tokens = tokens(expression).map_err(Fault::Syntax)?;
    let mut evaluation = Evaluation {
        tokens: tokens.into_iter().peekable(),
        source,
    };
    let term = evaluation.pipeline(0)?;
    match evaluation.tokens.next() {
        None => Ok(term),
        Some(_) => Err(Fault::Syntax("unexpected right paren in command".to_owned())),
    }
}

enum Fault {
    Syntax(String),
    Call {
        name: String,
        shown: String,
        reason: String,
    },
}

impl Fault {
    fn at(self, place: &Place) -> String {
        let Place { line, column } = place;
        match self {
            Self::Syntax(text) => format!("template: state:{line}: {text}"),
            Self::Call { name, shown, reason } => format!(
                "template: state:{line}:{column}: executing \"state\" at <{shown}>: error calling {name}: {reason}"
            ),
        }
    }
}

/// Nested parentheses in one expression, at most.
const MAX_DEPTH: usize = 32;

struct Evaluation<'e> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    source: Source<'e>,
}

impl Evaluation<'_> {
    /// Commands between pipes; each is given the value of the one before as its last argument.
    fn pipeline(&mut self, depth: usize) -> Result<Term, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Syntax("too many parentheses".to_owned()));
        }
        let mut value = self.command(None, depth)?;
        while self.tokens.next_if_eq(&Token::Pipe).is_some() {
            value = self.command(Some(value), depth)?;
        }
        Ok(value)
    }

    fn command(&mut self, piped: Option<Term>, depth: usize) -> Result<Term, Fault> {
        let name = match self.tokens.next() {
            Some(Token::Name(name)) => name,
            Some(Token::Literal(term)) if piped.is_none() => return Ok(term),
            Some(Token::Open) if piped.is_none() => return self.parenthesis(depth),
            None => return Err(Fault::Syntax("missing value for command".to_owned())),
            Some(_) => return Err(Fault::Syntax("non executable command in pipeline".to_owned())),
        };
        let mut arguments = Vec::new();
        loop {
            match self.tokens.peek() {
                Some(Token::Literal(_)) => {
                    if let Some(Token::Literal(term)) = self.tokens.next() {
                        arguments.push(term);
                    }
                }
                Some(Token::Open) => {
                    self.tokens.next();
                    arguments.push(self.parenthesis(depth)?);
                }
                Some(Token::Name(name)) => {
                    return Err(Fault::Syntax(format!("unexpected {name:?} in command")));
                }
                _ => break,
            }
        }
        arguments.extend(piped);
        self.call(&name, &arguments)
    }

    fn parenthesis(&mut self, depth: usize) -> Result<Term, Fault> {
        let value = self.pipeline(depth + 1)?;
        match self.tokens.next() {
            Some(Token::Close) => Ok(value),
            _ => Err(Fault::Syntax("unclosed left paren".to_owned())),
        }
    }

    fn call(&self, name: &str, arguments: &[Term]) -> Result<Term, Fault> {
        let result = match (name, arguments) {
            ("env", [Term::Text(variable)]) => self.variable(variable),
            ("toBool", [Term::Text(text)]) => self.convert(text, Term::Boolean(false), to_bool),
            ("toInt", [Term::Text(text)]) => self.convert(text, Term::Integer(42), to_int),
            ("toFloat", [Term::Text(text)]) => self.convert(text, Term::Float(42.0), to_float),
            ("indent", [Term::Integer(spaces), Term::Text(text)]) => indent(*spaces, text),
            ("env" | "toBool" | "toInt" | "toFloat" | "indent", _) => {
                Err("wrong number or type of arguments".to_owned())
            }
            _ => return Err(Fault::Syntax(format!("function {name:?} not defined"))),
        };
        result.map_err(|reason| {
            let shown = arguments.iter().map(|term| match term {
                Term::Text(text) => format!("{text:?}"),
                other => other.show(),
            });
            Fault::Call {
                name: name.to_owned(),
                shown: std::iter::once(name.to_owned())
                    .chain(shown)
                    .collect::<Vec<_>>()
                    .join(" "),
                reason,
            }
        })
    }

    fn variable(&self, name: &str) -> Result<Term, String> {
        if !name.starts_with(PREFIX) {
            return Err(format!(
                "environment variables in the state file must be prefixed with '{PREFIX}', found: '{name}'"
            ));
        }
        match self.source {
            Source::Names => Ok(Term::Text(name.to_owned())),
            Source::Environment(environment) => match environment.get(name) {
                Some(value) => Ok(Term::Text(value.clone())),
                None => Err(format!(
                    "environment variable '{name}' present in state file but not set"
                )),
            },
        }
    }

    fn convert(
        &self,
        text: &str,
        stand_in: Term,
        convert: fn(&str) -> Result<Term, String>,
    ) -> Result<Term, String> {
        match self.source {
            Source::Names => Ok(stand_in),
            Source::Environment(_) => convert(text),
        }
    }
}

fn to_bool(text: &str) -> Result<Term, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Term::Boolean(true)),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Term::Boolean(false)),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

fn to_int(text: &str) -> Result<Term, String> {
    text.parse()
        .map(Term::Integer)
        .map_err(|_| format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
}

fn to_float(text: &str) -> Result<Term, String> {
    text.parse()
        .map(Term::Float)
        .map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))
}

/// Spaces that a line may be moved by, at most.
const MAX_INDENT: i64 = 1_000;

fn indent(spaces: i64, text: &str) -> Result<Term, String> {
    let width = usize::try_from(spaces.min(MAX_INDENT)).map_err(|_| "negative indentation".to_owned())?;
    let margin = format!("\n{}", " ".repeat(width));
    Ok(Term::Text(text.replace('\n', &margin)))
}

fn tokens(expression: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '|' => push(&mut tokens, Token::Pipe),
            '(' => push(&mut tokens, Token::Open),
            ')' => push(&mut tokens, Token::Close),
            '"' => {
                let length = quoted_length(rest).ok_or("unterminated quoted string")?;
                let literal = rest.get(..length).unwrap_or_default();
                let text: String =
                    serde_json::from_str(literal).map_err(|_| format!("bad string {literal}"))?;
                tokens.push(Token::Literal(Term::Text(text)));
                length
            }
            '`' => {
                let inner = rest.get(1..).unwrap_or_default();
                let end = inner.find('`').ok_or("unterminated raw quoted string")?;
                let text = inner.get(..end).unwrap_or_default();
                tokens.push(Token::Literal(Term::Text(text.to_owned())));
                end + 2
            }
            c if c.is_ascii_alphanumeric() || "_-+.".contains(c) => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || "_-+.".contains(c);
                let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                tokens.push(word(rest.get(..length).unwrap_or_default())?);
                length
            }
            c => return Err(format!("unexpected {c:?} in command")),
        };
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

fn push(tokens: &mut Vec<Token>, token: Token) -> usize {
    tokens.push(token);
    1
}

fn word(text: &str) -> Result<Token, String> {
    if let Ok(number) = text.parse() {
        return Ok(Token::Literal(Term::Integer(number)));
    }
    if text.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) {
        let number = text.parse().map_err(|_| format!("bad number syntax: {text:?}"))?;
        return Ok(Token::Literal(Term::Float(number)));
    }
    Ok(match text {
        "true" => Token::Literal(Term::Boolean(true)),
        "false" => Token::Literal(Term::Boolean(false)),
        name => Token::Name(name.to_owned()),
    })
}

/// Bytes of a string in double quotes, quotes included.
fn quoted_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
