//! `multipart/form-data` (RFC 7578): names and contents of its parts.

use crate::errors::ApiError;

/// Characters of a boundary at most (RFC 2046).
const LONGEST_BOUNDARY: usize = 70;

/// Every named part with its content; files count by their content.
pub(super) fn parts(content_type: &str, body: &[u8], most: usize) -> Result<Vec<(String, String)>, ApiError> {
    let refused = || ApiError::bad_request("Cannot parse multipart body");
    let boundary = boundary(content_type).ok_or_else(refused)?;
    let delimiter = format!("--{boundary}");
    let mut found = Vec::new();
    let mut rest = after(body, delimiter.as_bytes()).ok_or_else(refused)?;
    // Each turn stands behind a delimiter: a line break for one more part, `--` at the end.
    while let Some(part) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
        let end = position(part, format!("\n{delimiter}").as_bytes()).ok_or_else(refused)?;
        let (content, behind) = part.split_at(end);
        rest = behind.get(delimiter.len() + 1..).unwrap_or_default();
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if let Some(pair) = named(content) {
            if found.len() == most {
                return Err(ApiError::bad_request("Too many arguments"));
            }
            found.push(pair);
        }
    }
    Ok(found)
}

fn boundary(content_type: &str) -> Option<&str> {
    let boundary = parameter(content_type, "boundary")?;
    (!boundary.is_empty() && boundary.len() <= LONGEST_BOUNDARY).then_some(boundary)
}

/// The value of `; name=value` or `; name="value"`.
fn parameter<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.split(';').skip(1).find_map(|parameter| {
        let (known, value) = parameter.split_once('=')?;
        known
            .trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

/// Name and content of one part. None for a part without a name.
fn named(part: &[u8]) -> Option<(String, String)> {
    let (head, content) = match position(part, b"\r\n\r\n") {
        Some(at) => (part.get(..at)?, part.get(at + 4..)?),
        None => {
            let at = position(part, b"\n\n")?;
            (part.get(..at)?, part.get(at + 2..)?)
        }
    };
    let head = String::from_utf8_lossy(head);
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    })?;
    let name = parameter(disposition, "name")?.to_owned();
    Some((name, String::from_utf8_lossy(content).into_owned()))
}

fn after<'b>(bytes: &'b [u8], wanted: &[u8]) -> Option<&'b [u8]> {
    bytes.get(position(bytes, wanted)? + wanted.len()..)
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::parts;

    const TYPE: &str = "multipart/form-data; boundary=\"x-y\"";

    #[test]
    fn parts_have_names_and_contents() {
        let body = "preamble\r\n--x-y\r\nContent-Disposition: form-data; name=\"cert\"; filename=\"a.pem\"\r\n\
                    Content-Type: text/plain\r\n\r\nline 1\r\nline 2\r\n--x-y\r\n\
                    content-disposition: form-data; name=\"snis[1]\"\r\n\r\na.test\r\n--x-y--\r\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            parts(TYPE, body.as_bytes(), 10).unwrap(),
            [pair("cert", "line 1\r\nline 2"), pair("snis[1]", "a.test")]
        );
        assert!(parts(TYPE, body.as_bytes(), 1).is_err(), "one part too many");
    }

    #[test]
    fn broken_bodies_are_refused() {
        for (kind, body) in [
            ("multipart/form-data", "--x--"),
            (TYPE, ""),
            (
                TYPE,
                "--x-y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nno end",
            ),
        ] {
            assert!(parts(kind, body.as_bytes(), 10).is_err(), "{kind} {body}");
        }
        assert!(parts(TYPE, b"--x-y--", 10).unwrap().is_empty());
    }
}
