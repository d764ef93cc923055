//! Requests and responses in files: first line, headers, an empty line, the body. Lines end with LF or CR LF.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, uri::PathAndQuery};
use tidegate_plugin::filter::OutboundResponse;
use tidegate_wasm::testing::{Drive, Message, exchange};

#[derive(Debug, Clone)]
pub(super) struct RequestFile {
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Debug, Clone)]
pub(super) struct ResponseFile {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Default for RequestFile {
    fn default() -> Self {
        Self {
            method: Method::GET,
            target: PathAndQuery::from_static("/"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl Default for ResponseFile {
    fn default() -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

impl RequestFile {
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let (first, headers, body) = split(text)?;
        let mut words = first.split_ascii_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            bail!("line 1: expected a method and a path, such as `GET /orders`");
        };
        Ok(Self {
            method: method
                .parse()
                .with_context(|| format!("line 1: `{method}` is no method"))?,
            target: target
                .parse()
                .with_context(|| format!("line 1: `{target}` is no path"))?,
            headers,
            body,
        })
    }

    /// The exchange that it begins, answered by a response.
    pub(super) fn drive(&self, response: &ResponseFile) -> Drive {
        let mut x = exchange(self.method.as_str(), self.target.as_str());
        for name in self.headers.keys() {
            x.request.headers.remove(name);
        }
        for (name, value) in &self.headers {
            x.request.headers.append(name.clone(), value.clone());
        }
        let mut drive = Drive::new(Vec::new(), x);
        drive.request = message(&self.body);
        drive.response = message(&response.body);
        drive.upstream_head = (response.status, response.headers.clone());
        drive
    }
}

impl ResponseFile {
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let (first, headers, body) = split(text)?;
        let status = first
            .split_ascii_whitespace()
            .find_map(|word| (word.len() == 3).then(|| word.parse().ok()).flatten());
        Ok(Self {
            status: status.context("line 1: expected a status, such as `HTTP/1.1 200 OK`")?,
            headers,
            body,
        })
    }

    pub(super) fn into_outbound(self) -> OutboundResponse {
        OutboundResponse {
            status: self.status,
            headers: self.headers,
            body: self.body,
            trailers: None,
        }
    }
}

fn message(body: &Bytes) -> Message {
    let chunks = if body.is_empty() {
        Vec::new()
    } else {
        vec![body.clone()]
    };
    Message {
        chunks,
        ..Message::default()
    }
}

fn split(text: &[u8]) -> Result<(String, HeaderMap, Bytes)> {
    let mut rest = text;
    let mut first = None;
    let mut headers = HeaderMap::new();
    for number in 1.. {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = match end.and_then(|end| rest.split_at_checked(end)) {
            Some((line, after)) => (line, after.get(1..).unwrap_or_default()),
            None => (rest, &[][..]),
        };
        rest = after;
        let line = std::str::from_utf8(line).with_context(|| format!("line {number} is not UTF-8"))?;
        let line = line.trim_end_matches('\r');
        if first.is_none() {
            first = Some(line.to_owned());
        } else if line.is_empty() {
            break;
        } else {
            let (name, value) =
                header(line).with_context(|| format!("line {number}: `{line}` is no header"))?;
            headers.append(name, value);
        }
    }
    let body = if rest.iter().all(u8::is_ascii_whitespace) {
        &[]
    } else {
        rest
    };
    Ok((first.unwrap_or_default(), headers, Bytes::copy_from_slice(body)))
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.parse().ok()?, value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_either_end_of_line() {
        for text in [
            "POST /a?b=1 HTTP/1.1\nA: b\nA: c\n\nbody\n",
            "POST /a?b=1\r\na:b\r\na: c\r\n\r\nbody\n",
        ] {
            let request = RequestFile::parse(text.as_bytes()).expect("a request");
            assert_eq!(
                (request.method, request.target.as_str()),
                (Method::POST, "/a?b=1")
            );
            assert_eq!(request.headers.get_all("a").iter().count(), 2);
            assert_eq!(request.body, "body\n");
        }
        assert!(RequestFile::parse(b"GET /").expect("a request").body.is_empty());
    }

    #[test]
    fn a_response_is_read_by_its_status() {
        let response = ResponseFile::parse(b"HTTP/1.1 404 Not Found\nX: y\n\n{}").expect("a response");
        assert_eq!(
            (response.status, response.body),
            (StatusCode::NOT_FOUND, Bytes::from("{}"))
        );
        assert_eq!(ResponseFile::parse(b"204").expect("a response").status, 204);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let fault = |text: &str| format!("{:#}", RequestFile::parse(text.as_bytes()).expect_err(text));
        assert!(fault("").starts_with("line 1: expected a method"));
        assert!(fault("GET /\nfine: 1\nwrong\n").starts_with("line 3: `wrong` is no header"));
        assert!(ResponseFile::parse(b"hello").is_err());
    }
}
