//! Splits Lua text into tokens.

use super::ParseError;

/// A token. Operators are kept as their text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Name(&'a str),
    Number(f64),
    Text(Vec<u8>),
    Symbol(&'static str),
    End,
}

/// Longest first, so that `==` wins over `=`.
const SYMBOLS: &[&str] = &[
    "...", "..", "==", "~=", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "%", "^", "#", "(", ")", "{",
    "}", "[", "]", ";", ":", ",", ".",
];

pub(super) struct Lexer<'a> {
    source: &'a str,
    /// Bytes read so far.
    pub(super) position: usize,
    /// Where the last token begins.
    start: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            source,
            position: 0,
            start: 0,
        }
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.position..).unwrap_or("")
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError {
            position: self.start + 1,
            message: message.into(),
        }
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Token<'a>, ParseError> {
        let rest = self.rest();
        self.position += rest.len()
            - rest
                .trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
                .len();
        self.start = self.position;
        let rest = self.rest();
        let Some(first) = rest.bytes().next() else {
            return Ok(Token::End);
        };
        if rest.starts_with("--") {
            return Err(self.error("comments are not supported in templates"));
        }
        if first.is_ascii_alphabetic() || first == b'_' {
            return Ok(Token::Name(
                self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            ));
        }
        let second_is_digit = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if first.is_ascii_digit() || (first == b'.' && second_is_digit) {
            return self.number();
        }
        if first == b'"' || first == b'\'' {
            return self.quoted(first);
        }
        if first == b'[' && matches!(rest.as_bytes().get(1), Some(b'[' | b'=')) {
            return self.long_text();
        }
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.position += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None => {
                let odd = rest.chars().next().unwrap_or(' ');
                Err(self.error(format!("unexpected character '{odd}'")))
            }
        }
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| accept(*byte)).count();
        self.position += length;
        rest.get(..length).unwrap_or("")
    }

    fn number(&mut self) -> Result<Token<'a>, ParseError> {
        let rest = self.rest();
        let start = self.position;
        if rest.starts_with("0x") || rest.starts_with("0X") {
            self.position += 2;
            let digits = self.take_while(|byte| byte.is_ascii_hexdigit());
            return match u32::from_str_radix(digits, 16) {
                Ok(number) => Ok(Token::Number(f64::from(number))),
                Err(_) => Err(self.error("malformed number")),
            };
        }
        self.take_while(|byte| byte.is_ascii_digit());
        // `1..x` joins a number to x: the first dot belongs to the operator.
        if self.rest().starts_with('.') && !self.rest().starts_with("..") {
            self.position += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        if self.rest().starts_with(['e', 'E']) {
            self.position += 1;
            if self.rest().starts_with(['+', '-']) {
                self.position += 1;
            }
            self.take_while(|byte| byte.is_ascii_digit());
        }
        let text = self.source.get(start..self.position).unwrap_or("");
        text.parse()
            .map(Token::Number)
            .map_err(|_| self.error("malformed number"))
    }

    fn quoted(&mut self, quote: u8) -> Result<Token<'a>, ParseError> {
        self.position += 1;
        let mut text = Vec::new();
        let bytes = self.source.as_bytes();
        loop {
            let Some(byte) = bytes.get(self.position).copied() else {
                return Err(self.error("unfinished string"));
            };
            self.position += 1;
            match byte {
                b'\\' => text.push(self.escape()?),
                b'\n' => return Err(self.error("unfinished string")),
                byte if byte == quote => return Ok(Token::Text(text)),
                byte => text.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Result<u8, ParseError> {
        let Some(byte) = self.source.as_bytes().get(self.position).copied() else {
            return Err(self.error("unfinished string"));
        };
        if byte.is_ascii_digit() {
            let digits: String = self
                .rest()
                .chars()
                .take(3)
                .take_while(char::is_ascii_digit)
                .collect();
            self.position += digits.len();
            return digits.parse().map_err(|_| self.error("decimal escape too large"));
        }
        self.position += 1;
        Ok(match byte {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'x' => {
                let digits = self.rest().get(..2).unwrap_or("");
                self.position += digits.len();
                u8::from_str_radix(digits, 16).map_err(|_| self.error("malformed \\x escape"))?
            }
            b'\\' | b'"' | b'\'' | b'\n' => byte,
            _ => return Err(self.error("unknown escape in string")),
        })
    }

    fn long_text(&mut self) -> Result<Token<'a>, ParseError> {
        let rest = self.rest();
        let level = rest.bytes().skip(1).take_while(|byte| *byte == b'=').count();
        let body = rest.get(level + 2..).unwrap_or("");
        if rest.as_bytes().get(level + 1) != Some(&b'[') {
            self.position += 1;
            return Ok(Token::Symbol("["));
        }
        let close = format!("]{}]", "=".repeat(level));
        let Some(length) = body.find(&close) else {
            return Err(self.error("unfinished long string"));
        };
        self.position += level + 2 + length + close.len();
        let text = body.get(..length).unwrap_or("");
        Ok(Token::Text(
            text.strip_prefix('\n').unwrap_or(text).as_bytes().to_vec(),
        ))
    }
}
