//! JSON (RFC 8259) as events. Scalars are decoded by `serde_json`; the structure is walked here, for the offsets.

use super::events::{Event, Events, ParseFault, Style};
use std::borrow::Cow;

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    FirstElement,
    AfterElement,
    FirstKey,
    AfterMember,
    End,
}

/// A strict JSON reader.
pub(super) struct JsonEvents<'s> {
    text: &'s str,
    at: usize,
    /// `true` for an object, `false` for an array.
    open: Vec<bool>,
    expect: Expect,
    /// The scalar just read was a key.
    awaits_colon: bool,
}

impl<'s> JsonEvents<'s> {
    pub(super) const fn new(text: &'s str) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            expect: Expect::Value,
            awaits_colon: false,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fault<T>(&self, wanted: &str) -> Result<T, ParseFault> {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(c) => format!("found {c:?}"),
            None => "found the end of the text".to_owned(),
        };
        Err(ParseFault::new(self.at, format!("expected {wanted}, {found}")))
    }

    /// A value is complete: what does its surroundings expect now?
    fn after_value(&mut self) {
        self.expect = match self.open.last() {
            None => Expect::End,
            Some(true) => Expect::AfterMember,
            Some(false) => Expect::AfterElement,
        };
    }

    fn close(&mut self, event: Event<'s>) -> (Event<'s>, usize) {
        let start = self.at;
        self.at += 1;
        self.open.pop();
        self.after_value();
        (event, start)
    }

    fn value(&mut self) -> Result<(Event<'s>, usize), ParseFault> {
        let start = self.at;
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                self.open.push(true);
                self.expect = Expect::FirstKey;
                Ok((Event::Map { anchor: 0 }, start))
            }
            Some(b'[') => {
                self.at += 1;
                self.open.push(false);
                self.expect = Expect::FirstElement;
                Ok((Event::List { anchor: 0 }, start))
            }
            Some(b'"') => {
                let text = self.string()?;
                self.after_value();
                Ok((
                    Event::Scalar {
                        text,
                        style: Style::Text,
                        tag: None,
                        anchor: 0,
                    },
                    start,
                ))
            }
            _ => {
                let text = self.literal()?;
                self.after_value();
                Ok((
                    Event::Scalar {
                        text: Cow::Borrowed(text),
                        style: Style::Plain,
                        tag: None,
                        anchor: 0,
                    },
                    start,
                ))
            }
        }
    }

    /// A number, `true`, `false` or `null`: JSON's own spellings only.
    fn literal(&mut self) -> Result<&'s str, ParseFault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
            .unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && serde_json::from_str::<serde_json::Number>(text).is_ok();
        if is_number || matches!(text, "true" | "false" | "null") {
            self.at += end;
            return Ok(text);
        }
        self.fault("a value")
    }

    fn string(&mut self) -> Result<Cow<'s, str>, ParseFault> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut escaped = false;
        loop {
            match bytes.get(end) {
                None => return Err(ParseFault::new(start, "the text ends inside this string")),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(0..=0x1f) => {
                    return Err(ParseFault::new(
                        end,
                        "control characters in strings must be escaped",
                    ));
                }
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        let inner = self.text.get(start + 1..end).unwrap_or_default();
        if !escaped {
            return Ok(Cow::Borrowed(inner));
        }
        let quoted = self.text.get(start..=end).unwrap_or_default();
        serde_json::from_str::<String>(quoted)
            .map(Cow::Owned)
            .map_err(|_| ParseFault::new(start, "invalid escape sequence in this string"))
    }

    fn key(&mut self) -> Result<(Event<'s>, usize), ParseFault> {
        if self.peek() != Some(b'"') {
            return self.fault("a member name in double quotes");
        }
        let start = self.at;
        let text = self.string()?;
        self.awaits_colon = true;
        self.expect = Expect::Value;
        Ok((
            Event::Scalar {
                text,
                style: Style::Text,
                tag: None,
                anchor: 0,
            },
            start,
        ))
    }
}

impl<'s> Events<'s> for JsonEvents<'s> {
    fn next_event(&mut self) -> Result<(Event<'s>, usize), ParseFault> {
        self.skip_blanks();
        if std::mem::take(&mut self.awaits_colon) {
            if self.peek() != Some(b':') {
                return self.fault("`:`");
            }
            self.at += 1;
            self.skip_blanks();
        }
        match (self.expect, self.peek()) {
            (Expect::FirstElement | Expect::AfterElement, Some(b']')) => Ok(self.close(Event::ListEnd)),
            (Expect::FirstKey | Expect::AfterMember, Some(b'}')) => Ok(self.close(Event::MapEnd)),
            (Expect::AfterElement, Some(b',')) => {
                self.at += 1;
                self.skip_blanks();
                self.value()
            }
            (Expect::AfterMember, Some(b',')) => {
                self.at += 1;
                self.skip_blanks();
                self.key()
            }
            (Expect::Value | Expect::FirstElement, _) => self.value(),
            (Expect::FirstKey, _) => self.key(),
            (Expect::AfterElement, _) => self.fault("`,` or `]`"),
            (Expect::AfterMember, _) => self.fault("`,` or `}`"),
            (Expect::End, None) => Ok((Event::End, self.at)),
            (Expect::End, Some(_)) => self.fault("the end of the text"),
        }
    }
}
