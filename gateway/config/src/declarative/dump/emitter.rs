//! JSON values as block-style YAML.

use crate::declarative::document;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// YAML refuses implicit keys from 1024 characters on.
const LONGEST_IMPLICIT_KEY: usize = 1000;

/// One document, ending in a line break.
pub(super) fn emit(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => map(&mut out, members, 0),
        other => {
            inline(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

/// Members, each on its own lines; the first is written where the cursor stands.
fn map(out: &mut String, members: &Map<String, Value>, indent: usize) {
    for (position, (key, value)) in members.iter().enumerate() {
        if position > 0 {
            margin(out, indent);
        }
        let quoted = scalar(key);
        if quoted.len() > LONGEST_IMPLICIT_KEY {
            let _ = writeln!(out, "? {quoted}");
            margin(out, indent);
        } else {
            out.push_str(&quoted);
        }
        out.push(':');
        nested(out, value, indent);
    }
}

/// The value of a member: on the same line when it fits there, below otherwise.
fn nested(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push('\n');
            margin(out, indent + 2);
            map(out, members, indent + 2);
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            margin(out, indent);
            elements(out, list, indent);
        }
        other => {
            out.push(' ');
            inline(out, other, indent + 2);
            out.push('\n');
        }
    }
}

/// Elements, each behind a dash; the first is written where the cursor stands.
fn elements(out: &mut String, list: &[Value], indent: usize) {
    for (position, value) in list.iter().enumerate() {
        if position > 0 {
            margin(out, indent);
        }
        out.push_str("- ");
        match value {
            Value::Object(members) if !members.is_empty() => map(out, members, indent + 2),
            Value::Array(list) if !list.is_empty() => elements(out, list, indent + 2),
            other => {
                inline(out, other, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn inline(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(text) => match block(text, indent) {
            Some(block) => out.push_str(&block),
            None => out.push_str(&scalar(text)),
        },
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn margin(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Text of several plain lines, such as a certificate, as a literal block. Anything out of the ordinary is quoted.
fn block(text: &str, indent: usize) -> Option<String> {
    let (body, mark) = match text.strip_suffix('\n') {
        Some(body) => (body, "|"),
        None => (text, "|-"),
    };
    let is_ordinary = |line: &str| {
        !line.is_empty() && !line.starts_with(' ') && line.bytes().all(|b| (b' '..=b'~').contains(&b))
    };
    if !body.contains('\n') || !body.split('\n').all(is_ordinary) {
        return None;
    }
    let mut out = mark.to_owned();
    for line in body.split('\n') {
        out.push('\n');
        margin(&mut out, indent);
        out.push_str(line);
    }
    Some(out)
}

/// Text with a variable that is to be filled in later: no backslash may come into it, and without quotes what is filled
/// in can be a number.
fn template(text: &str) -> Option<String> {
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return None;
    }
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '$' || c == '/')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #");
    Some(if is_plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    })
}

/// A key or a text on one line: bare when nothing can mistake it, in double quotes otherwise.
fn scalar(text: &str) -> String {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b"_./-~".contains(&b);
    let is_bare = text.bytes().all(is_word)
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        && document::is_unquoted_text(text);
    if is_bare {
        return text.to_owned();
    }
    if text.contains("${{")
        && let Some(template) = template(text)
    {
        return template;
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
