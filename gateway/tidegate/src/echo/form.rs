//! Bodies of `multipart/form-data` (RFC 7578).

use super::query::add;
use super::report::text_or_base64;
use serde_json::{Map, Value};

/// What a multipart body held.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Multipart {
    /// Parts without file name.
    pub(super) fields: Map<String, Value>,
    /// Parts with one.
    pub(super) files: Map<String, Value>,
}

/// Most parts that are looked at.
const MAX_PARTS: usize = 1_000;

/// Reads the parts; `None` when the body is not well formed.
pub(super) fn multipart(content_type: &str, body: &[u8]) -> Option<Multipart> {
    let boundary = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty())?;
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    // The first delimiter may stand at the start of the body.
    let body = [b"\r\n", body].concat();
    let mut rest = body.get(find(&body, &delimiter)? + delimiter.len()..)?;
    let mut found = Multipart::default();
    for _ in 0..MAX_PARTS {
        if rest.starts_with(b"--") {
            return Some(found);
        }
        let part = rest.get(find(rest, b"\r\n")? + 2..)?;
        // A part without headers starts with the empty line, whose line end is the one just skipped.
        let end = find(part, &delimiter)?;
        add_part(&mut found, part.get(..end)?);
        rest = part.get(end + delimiter.len()..)?;
    }
    None
}

fn add_part(found: &mut Multipart, part: &[u8]) {
    let Some(head_end) = find(part, b"\r\n\r\n") else {
        return;
    };
    let (head, content) = (
        part.get(..head_end).unwrap_or_default(),
        part.get(head_end + 4..).unwrap_or_default(),
    );
    let head = String::from_utf8_lossy(head);
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    });
    let Some(disposition) = disposition else { return };
    let Some(name) = parameter(disposition, "name") else {
        return;
    };
    let members = if parameter(disposition, "filename").is_some() {
        &mut found.files
    } else {
        &mut found.fields
    };
    add(members, name, Value::from(text_or_base64(content)));
}

/// The parameter `name` of a header value: `multipart/form-data; boundary="x"`.
fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BODY: &str = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--XX\r\n\
        content-disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\nworld\
        \r\n--XX--\r\n";

    #[test]
    fn fields_and_files_are_told_apart() {
        let found = multipart("multipart/form-data; boundary=XX", BODY.as_bytes()).expect("well formed");
        assert_eq!(Value::Object(found.fields), json!({ "a": "1" }));
        assert_eq!(Value::Object(found.files), json!({ "f": "hello\r\nworld" }));
    }

    #[test]
    fn a_body_that_is_cut_off_or_has_another_boundary_is_not_well_formed() {
        assert_eq!(
            multipart("multipart/form-data; boundary=YY", BODY.as_bytes()),
            None
        );
        assert_eq!(multipart("multipart/form-data", BODY.as_bytes()), None);
        for end in 0..BODY.len() - 4 {
            assert_eq!(
                multipart("multipart/form-data; boundary=XX", &BODY.as_bytes()[..end]),
                None,
                "cut at {end}"
            );
        }
    }
}
