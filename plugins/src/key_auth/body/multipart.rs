//! Form fields of a `multipart/form-data` body (RFC 7578), read in place.

use crate::key_auth::Found;
use memchr::memmem::find;
use std::borrow::Cow;

/// Parts looked at; a body with more of them has no key.
const MAX_PARTS: usize = 1_000;

/// The parts of a body.
pub(in crate::key_auth) struct Parts<'b> {
    body: &'b [u8],
    list: Vec<Part<'b>>,
}

struct Part<'b> {
    name: Option<Cow<'b, str>>,
    content: &'b [u8],
    /// From the delimiter in front of the part to the next one.
    start: usize,
    end: usize,
}

impl<'b> Parts<'b> {
    /// Reads a body by the boundary in its content type; `None` when it is not well formed.
    pub(super) fn parse(content_type: &str, body: &'b [u8]) -> Option<Self> {
        let delimiter = format!(
            "--{}",
            parameter(content_type, "boundary").filter(|text| !text.is_empty())?
        );
        let delimiter = delimiter.as_bytes();
        let mut list = Vec::new();
        let mut start = find_line(body, 0, delimiter)?;
        loop {
            let after = start + delimiter.len();
            if body.get(after..)?.starts_with(b"--") {
                return Some(Self { body, list });
            }
            let head = after + find(body.get(after..)?, b"\r\n")? + 2;
            let end = find_line(body, head, delimiter)?;
            if list.len() == MAX_PARTS {
                return None;
            }
            // The line break in front of a delimiter belongs to the delimiter (RFC 2046, 5.1.1).
            list.push(part(body.get(head..end)?.strip_suffix(b"\r\n")?, start, end));
            start = end;
        }
    }

    /// What the field of a name holds.
    pub(super) fn find(&self, name: &str) -> Found<'b> {
        let mut values = self
            .list
            .iter()
            .filter(|part| part.is_named(name))
            .map(|part| part.content);
        match (values.next(), values.next()) {
            (None, _) => Found::Absent,
            (Some(key), None) => Found::Key(Cow::Borrowed(key)),
            (Some(_), Some(_)) => Found::Many,
        }
    }

    /// The body without the fields of a name, the rest byte for byte; `None` when there are none.
    pub(super) fn without(&self, name: &str) -> Option<Vec<u8>> {
        let mut kept = Vec::with_capacity(self.body.len());
        let mut position = 0;
        for part in self.list.iter().filter(|part| part.is_named(name)) {
            kept.extend_from_slice(self.body.get(position..part.start)?);
            position = part.end;
        }
        if position == 0 {
            return None;
        }
        kept.extend_from_slice(self.body.get(position..)?);
        Some(kept)
    }
}

impl Part<'_> {
    fn is_named(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }
}

/// Splits the bytes between two delimiters into headers and content.
fn part(bytes: &[u8], start: usize, end: usize) -> Part<'_> {
    let (head, content) = match bytes.strip_prefix(b"\r\n") {
        Some(content) => (&b""[..], content),
        None => match find(bytes, b"\r\n\r\n") {
            Some(blank) => bytes.split_at(blank),
            None => (bytes, &b""[..]),
        },
    };
    let content = content.strip_prefix(b"\r\n\r\n").unwrap_or(content);
    Part {
        name: field_name(head),
        content,
        start,
        end,
    }
}

/// The `name` of the `Content-Disposition` among a part's headers.
fn field_name(head: &[u8]) -> Option<Cow<'_, str>> {
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    })?;
    parameter(disposition, "name")
}

/// A parameter behind the `;` of a header value, with its quotes taken off.
fn parameter<'v>(value: &'v str, wanted: &str) -> Option<Cow<'v, str>> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (text, tail) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (text, tail) = after.split_once(';').unwrap_or((after, ""));
                (Cow::Borrowed(text.trim()), tail)
            }
        };
        if name
            .trim()
            .trim_start_matches(';')
            .trim()
            .eq_ignore_ascii_case(wanted)
        {
            return Some(text);
        }
        rest = tail;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = quoted.bytes().scan(false, |is_escaped, byte| {
        let ends = byte == b'"' && !*is_escaped;
        *is_escaped = byte == b'\\' && !*is_escaped;
        Some(ends)
    });
    let end = end
        .enumerate()
        .find_map(|(position, ends)| ends.then_some(position))?;
    let (text, tail) = (quoted.get(..end)?, quoted.get(end + 1..)?);
    let text = if text.contains('\\') {
        Cow::Owned(text.replace("\\\"", "\"").replace("\\\\", "\\"))
    } else {
        Cow::Borrowed(text)
    };
    Some((text, tail))
}

/// The delimiter at the start of a line, at or after a position.
fn find_line(body: &[u8], from: usize, delimiter: &[u8]) -> Option<usize> {
    let mut position = from;
    loop {
        let found = position + find(body.get(position..)?, delimiter)?;
        if found == 0 || body.get(..found)?.ends_with(b"\n") {
            return Some(found);
        }
        position = found + 1;
    }
}
