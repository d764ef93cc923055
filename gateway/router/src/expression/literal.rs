//! Right sides: strings, integers, addresses, ranges.

use super::ExpressionError;
use ipnet::IpNet;
use std::net::IpAddr;

#[derive(Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Integer(i64),
    Address(IpAddr),
    Range(IpNet),
}

/// Reads the literal at the start of `text`. Returns it with the number of bytes it takes; `None` when none starts here.
pub(super) fn read(text: &str) -> Result<Option<(Literal, usize)>, ExpressionError> {
    if let Some(rest) = text.strip_prefix("r#\"") {
        return Ok(rest.find("\"#").and_then(|end| {
            let body = rest.get(..end)?;
            Some((Literal::Text(body.to_owned()), end + 5))
        }));
    }
    if let Some(rest) = text.strip_prefix('"') {
        return Ok(quoted(rest).map(|(body, length)| (Literal::Text(body), length + 1)));
    }
    let length = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b".:/-".contains(byte))
        .count();
    let Some(word) = text.get(..length).filter(|word| !word.is_empty()) else {
        return Ok(None);
    };
    Ok(Some((bare(word)?, length)))
}

/// Body of a quoted string and the bytes it takes with its closing quote. Only five escapes exist.
fn quoted(rest: &str) -> Option<(String, usize)> {
    let mut body = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((body, at + 1)),
            '\\' => body.push(match chars.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                same @ ('"' | '\\') => same,
                _ => return None,
            }),
            other => body.push(other),
        }
    }
    None
}

fn bare(word: &str) -> Result<Literal, ExpressionError> {
    let invalid = |what| ExpressionError::Literal {
        what,
        text: word.to_owned(),
    };
    if word.contains('/') {
        let range: IpNet = word.parse().map_err(|_| invalid("CIDR range"))?;
        if range.network() != range.addr() {
            return Err(invalid("CIDR range (host bits are set)"));
        }
        return Ok(Literal::Range(range));
    }
    if word.contains(['.', ':']) {
        return word.parse().map(Literal::Address).map_err(|_| invalid("address"));
    }
    integer(word)
        .map(Literal::Integer)
        .ok_or_else(|| invalid("integer"))
}

fn integer(word: &str) -> Option<i64> {
    let (negative, digits) = word
        .strip_prefix('-')
        .map_or((false, word), |digits| (true, digits));
    let (radix, digits) = if let Some(hex) = digits.strip_prefix("0x") {
        (16, hex)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, digits)
    } else {
        (10, digits)
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    let signed = if negative {
        format!("-{digits}")
    } else {
        digits.to_owned()
    };
    i64::from_str_radix(&signed, radix).ok()
}
