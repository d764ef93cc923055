//! `multipart/form-data` (RFC 7578) as far as the transformer edits it: whole parts come, go and are replaced.

use memchr::memmem;

/// Parts in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    name: Option<Vec<u8>>,
    /// Header lines and blank line.
    head: Vec<u8>,
    value: Vec<u8>,
}

/// The `boundary` parameter of a content type.
pub(super) fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty())
}

/// A parameter of a header value, quoted or not. Parameters are separated by `;` outside of quotes.
fn parameter(value: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let mut rest = value;
    loop {
        let semicolon = rest.iter().position(|byte| *byte == b';')?;
        rest = rest.get(semicolon + 1..)?.trim_ascii_start();
        let equals = rest.iter().position(|byte| matches!(byte, b'=' | b';'))?;
        let name = rest.get(..equals)?.trim_ascii();
        if rest.get(equals) == Some(&b';') {
            rest = rest.get(equals..)?;
            continue;
        }
        rest = rest.get(equals + 1..)?.trim_ascii_start();
        let (found, tail) = parameter_value(rest);
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(found);
        }
        rest = tail;
    }
}

fn parameter_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        let (found, tail) = text.split_at(end);
        return (found.trim_ascii_end().to_vec(), tail);
    };
    let mut found = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((place, byte)) = bytes.next() {
        match byte {
            b'"' => return (found, quoted.get(place + 1..).unwrap_or_default()),
            b'\\' => found.extend(bytes.next().map(|(_, byte)| *byte)),
            byte => found.push(*byte),
        }
    }
    (found, &[])
}

impl Form {
    /// Reads the parts; `None` when the body does not have that form. An empty body has no parts.
    pub(super) fn parse(body: &[u8], boundary: &[u8]) -> Option<Self> {
        let mut form = Self { parts: Vec::new() };
        if body.is_empty() {
            return Some(form);
        }
        let delimiter = [b"\r\n--", boundary].concat();
        let opening = delimiter.get(2..)?;
        // Anything ahead of the first delimiter is a preamble without meaning.
        let mut rest = match body.strip_prefix(opening) {
            Some(rest) => rest,
            None => body.get(memmem::find(body, &delimiter)? + delimiter.len()..)?,
        };
        while !rest.starts_with(b"--") {
            rest = rest.strip_prefix(b"\r\n")?;
            let end = memmem::find(rest, &delimiter)?;
            form.parts.push(Part::parse(rest.get(..end)?)?);
            rest = rest.get(end + delimiter.len()..)?;
        }
        Some(form)
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.parts.iter().any(|part| part.name.as_deref() == Some(name))
    }

    /// Takes all parts of that name out; gives the value of the first.
    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let mut found = None;
        self.parts.retain_mut(|part| {
            if part.name.as_deref() != Some(name) {
                return true;
            }
            if found.is_none() {
                found = Some(std::mem::take(&mut part.value));
            }
            false
        });
        found
    }

    /// Puts a plain part of that name at the end, in place of all others of the name.
    pub(super) fn set(&mut self, name: &[u8], value: Vec<u8>) {
        self.remove(name);
        let mut head = b"Content-Disposition: form-data; name=\"".to_vec();
        for byte in name {
            // RFC 7578 section 2: these would end the name or the line.
            match byte {
                b'"' => head.extend_from_slice(b"%22"),
                b'\r' => head.extend_from_slice(b"%0D"),
                b'\n' => head.extend_from_slice(b"%0A"),
                byte => head.push(*byte),
            }
        }
        head.extend_from_slice(b"\"\r\n\r\n");
        self.parts.push(Part {
            name: Some(name.to_vec()),
            head,
            value,
        });
    }

    pub(super) fn encode(&self, boundary: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        for part in &self.parts {
            body.extend_from_slice(b"--");
            body.extend_from_slice(boundary);
            body.extend_from_slice(b"\r\n");
            body.extend_from_slice(&part.head);
            body.extend_from_slice(&part.value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--");
        body.extend_from_slice(boundary);
        body.extend_from_slice(b"--\r\n");
        body
    }
}

impl Part {
    fn parse(text: &[u8]) -> Option<Self> {
        let head_end = if text.starts_with(b"\r\n") {
            2
        } else {
            memmem::find(text, b"\r\n\r\n")? + 4
        };
        let (head, value) = text.split_at(head_end);
        let disposition = head.split(|byte| *byte == b'\n').find(|line| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            name.eq_ignore_ascii_case(b"content-disposition")
        });
        let name = disposition.and_then(|line| parameter(line.trim_ascii_end(), "name"));
        Some(Self {
            name,
            head: head.to_vec(),
            value: value.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"--BB\r\nContent-Disposition: form-data; name=\"k1\"\r\n\r\nv1\r\n--BB\r\nContent-Disposition: form-data; name=\"k2\"; filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\nfile body\r\n--BB--\r\n";

    #[test]
    fn an_unedited_form_is_written_as_it_was_read() {
        let form = Form::parse(BODY, b"BB").expect("a form");
        assert_eq!(form.encode(b"BB"), BODY);
    }

    #[test]
    fn parts_keep_their_bytes_when_others_change() {
        let mut form = Form::parse(BODY, b"BB").expect("a form");
        assert_eq!(form.remove(b"k1").as_deref(), Some(&b"v1"[..]));
        form.set(b"a\"b", b"1".to_vec());
        let text = String::from_utf8(form.encode(b"BB")).expect("text");
        assert!(
            text.starts_with("--BB\r\nContent-Disposition: form-data; name=\"k2\"; filename=\"f.txt\"\r\n")
        );
        assert!(
            text.ends_with("--BB\r\nContent-Disposition: form-data; name=\"a%22b\"\r\n\r\n1\r\n--BB--\r\n"),
            "{text}"
        );
    }

    #[test]
    fn a_body_without_its_closing_delimiter_is_no_form() {
        assert_eq!(
            Form::parse(
                b"--BB\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\nv",
                b"BB"
            ),
            None
        );
        assert_eq!(Form::parse(b"k1=v1", b"BB"), None);
    }

    #[test]
    fn the_boundary_is_found_quoted_and_among_other_parameters() {
        assert_eq!(
            boundary(b"multipart/form-data; boundary=BB").as_deref(),
            Some(&b"BB"[..])
        );
        assert_eq!(
            boundary(b"multipart/form-data; charset=x; Boundary=\"a;b\\\"\"").as_deref(),
            Some(&b"a;b\""[..])
        );
        assert_eq!(boundary(b"multipart/form-data; boundary").as_deref(), None);
        assert_eq!(boundary(b"multipart/form-data").as_deref(), None);
    }
}
