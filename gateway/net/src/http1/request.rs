//! Request heads, read behind the gate: what arrives here was found well-formed and unambiguous.

use super::Http1Error;
use super::client::Asked;
use super::head::{Framed, Places, headers, is_kept, note_places, with_room};
use super::outgoing::BodyFraming;
use bytes::{Buf, BytesMut};
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Version};
use httparse::Header;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The head of a client's request.
#[derive(Debug)]
pub struct RequestHead {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub target: PathAndQuery,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// Header fields, connection headers included.
    pub headers: HeaderMap,
    pub(super) body: BodyFraming,
    pub(super) keeps_alive: bool,
    pub(super) expects_continue: bool,
}

impl RequestHead {
    /// What the response must know of this request.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked {
            method: self.method.clone(),
            version: self.version,
            keeps_alive: self.keeps_alive,
        }
    }
}

/// Room for headers that plugins add.
const OWN_HEADERS: usize = 6;

struct Lines {
    length: usize,
    method: Method,
    target: Range<usize>,
    version: Version,
}

/// Takes a head from the front of `read`; `None`: more bytes are needed.
pub(super) fn take_request(
    read: &mut BytesMut,
    max_headers: usize,
) -> Result<Option<RequestHead>, Http1Error> {
    while read.starts_with(b"\r\n") {
        read.advance(2);
    }
    let mut places = Places::new();
    // One more than the gate allows: it may have written a Host of its own.
    let parsed = with_room(max_headers + 1, |room| parse(read, room, &mut places));
    let lines = match parsed {
        Ok(Some(lines)) => lines,
        Ok(None) => return Ok(None),
        Err(_) => return Err(Http1Error::Malformed("request head")),
    };
    let bytes = read.split_to(lines.length).freeze();
    let target = PathAndQuery::from_maybe_shared(bytes.slice(lines.target))
        .map_err(|_| Http1Error::Malformed("request target"))?;
    let (headers, framed) = headers(&bytes, &places, OWN_HEADERS)?;
    let is_http_1_1 = lines.version == Version::HTTP_11;
    let body = body_framing(&headers, framed)?;
    Ok(Some(RequestHead {
        method: lines.method,
        target,
        version: lines.version,
        body,
        keeps_alive: is_kept(&headers, framed, is_http_1_1),
        expects_continue: is_http_1_1 && framed.has_expect && body != BodyFraming::Empty,
        headers,
    }))
}

fn parse<'b>(
    read: &'b BytesMut,
    room: &mut [MaybeUninit<Header<'b>>],
    places: &mut Places,
) -> Result<Option<Lines>, httparse::Error> {
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(read, room)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    note_places(read, request.headers, places);
    let method = request.method.unwrap_or_default();
    let target = request.path.unwrap_or_default();
    let target_at = (target.as_ptr() as usize).saturating_sub(read.as_ptr() as usize);
    Ok(Some(Lines {
        length,
        method: Method::from_bytes(method.as_bytes()).map_err(|_| httparse::Error::Token)?,
        target: target_at..target_at + target.len(),
        version: if request.version == Some(0) {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        },
    }))
}

/// The gate let no ambiguous framing pass.
fn body_framing(headers: &HeaderMap, framed: Framed) -> Result<BodyFraming, Http1Error> {
    if framed.has_coding {
        return Ok(BodyFraming::Chunked);
    }
    if !framed.has_length {
        return Ok(BodyFraming::Empty);
    }
    let length = headers.get(CONTENT_LENGTH);
    match length.and_then(|value| value.to_str().ok()?.parse().ok()) {
        Some(0) => Ok(BodyFraming::Empty),
        Some(length) => Ok(BodyFraming::Sized(length)),
        None => Err(Http1Error::Malformed("request length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(wire: &str) -> Option<RequestHead> {
        take_request(&mut BytesMut::from(wire), 100).expect("well-formed")
    }

    #[test]
    fn a_head_is_taken_once_it_is_whole() {
        let wire = "\r\nPOST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        for length in 0..wire.len() {
            assert!(take(&wire[..length]).is_none(), "{length}");
        }
        let head = take(wire).expect("complete");
        assert_eq!((head.method, head.target.as_str()), (Method::POST, "/a?b"));
        assert_eq!(head.body, BodyFraming::Sized(3));
        assert!(head.expects_continue && head.keeps_alive);
    }

    #[test]
    fn connections_are_kept_as_the_version_and_the_client_say() {
        for (version, connection, keeps_alive) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: a, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
        ] {
            let head =
                take(&format!("GET / HTTP/{version}\r\nHost: x\r\n{connection}\r\n")).expect("complete");
            assert_eq!(head.keeps_alive, keeps_alive, "{version} {connection}");
        }
    }

    #[test]
    fn many_headers_are_taken_within_the_bound() {
        let lines: String = (0..100).map(|index| format!("a{index}: b\r\n")).collect();
        let head = take(&format!("GET / HTTP/1.1\r\n{lines}\r\n")).expect("complete");
        assert_eq!(head.headers.len(), 100);
    }
}
