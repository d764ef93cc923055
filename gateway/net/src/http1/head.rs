//! Response heads (RFC 9112 §4 to §6).

use super::Http1Error;
use super::outgoing::BodyFraming;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::Header;
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Bounds of a response head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Most header lines.
    pub max_headers: usize,
    /// Most bytes, status line included.
    pub max_bytes: usize,
}

/// Status and headers of a response.
#[derive(Debug)]
pub struct ResponseHead {
    /// Status.
    pub status: StatusCode,
    /// Header fields, connection headers included.
    pub headers: HeaderMap,
}

/// A head with what follows from it.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) head: ResponseHead,
    /// How the body ends; `None` after a 101: the connection is no longer HTTP.
    pub(super) framing: Option<BodyFraming>,
    pub(super) keeps_alive: bool,
}

/// Room for further headers that the gateway adds to a response.
const OWN_HEADERS: usize = 8;
/// Headers that are parsed without a list on the heap.
const FEW_HEADERS: usize = 64;

/// Takes a head from the front of `read`; `None`: more bytes are needed.
pub(super) fn take_head(
    read: &mut BytesMut,
    limits: HeadLimits,
    is_head_request: bool,
) -> Result<Option<Parsed>, Http1Error> {
    let mut places = Places::new();
    let parsed = with_room(limits.max_headers, |room| parse(read, room, &mut places));
    let lines = match parsed {
        Ok(Some(lines)) => lines,
        Ok(None) if read.len() >= limits.max_bytes => return Err(Http1Error::HeadTooLarge),
        Ok(None) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Http1Error::HeadTooLarge),
        Err(error) => return Err(Http1Error::Malformed(describe(error))),
    };
    if lines.length > limits.max_bytes {
        return Err(Http1Error::HeadTooLarge);
    }
    let bytes = read.split_to(lines.length).freeze();
    let status =
        StatusCode::from_u16(lines.status).map_err(|_| Http1Error::Malformed("invalid status code"))?;
    let (headers, framed) = headers(&bytes, &places, OWN_HEADERS)?;
    let is_http_1_1 = lines.is_http_1_1;
    let keeps_alive = is_kept(&headers, framed, is_http_1_1);
    let (framing, keeps_alive) = framing(
        status,
        &headers,
        framed,
        is_head_request,
        is_http_1_1,
        keeps_alive,
    )?;
    Ok(Some(Parsed {
        head: ResponseHead { status, headers },
        framing,
        keeps_alive,
    }))
}

/// Parses with room for `max_headers` headers, which are on the heap only when there are many.
pub(super) fn with_room<'b, T>(
    max_headers: usize,
    mut parse: impl FnMut(&mut [MaybeUninit<Header<'b>>]) -> Result<T, httparse::Error>,
) -> Result<T, httparse::Error> {
    let mut few = [const { MaybeUninit::uninit() }; FEW_HEADERS];
    let count = max_headers.min(FEW_HEADERS);
    match parse(few.get_mut(..count).unwrap_or_default()) {
        Err(httparse::Error::TooManyHeaders) if max_headers > FEW_HEADERS => {
            parse(&mut vec![MaybeUninit::uninit(); max_headers])
        }
        parsed => parsed,
    }
}

/// Where a header's name and value stand in a head.
type Place = (Range<usize>, Range<usize>);
pub(super) type Places = SmallVec<[Place; 24]>;

/// Notes where the headers of a parsed head stand, counted from the beginning of `read`.
pub(super) fn note_places(read: &[u8], headers: &[Header<'_>], places: &mut Places) {
    let start = read.as_ptr() as usize;
    let place = |part: &[u8]| {
        let from = (part.as_ptr() as usize).saturating_sub(start);
        from..from + part.len()
    };
    places.extend(
        headers
            .iter()
            .map(|header| (place(header.name.as_bytes()), place(header.value))),
    );
}

struct Lines {
    length: usize,
    status: u16,
    is_http_1_1: bool,
}

fn parse<'b>(
    read: &'b BytesMut,
    room: &mut [MaybeUninit<Header<'b>>],
    places: &mut Places,
) -> Result<Option<Lines>, httparse::Error> {
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut response, read, room)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    note_places(read, response.headers, places);
    Ok(Some(Lines {
        length,
        status: response.code.unwrap_or_default(),
        is_http_1_1: response.version == Some(1),
    }))
}

/// Which headers about framing there are.
#[derive(Clone, Copy, Default)]
pub(super) struct Framed {
    pub(super) has_connection: bool,
    pub(super) has_length: bool,
    pub(super) has_coding: bool,
    pub(super) has_expect: bool,
}

/// The headers of a head, with room for `more`. The values are slices of the head's bytes: no copy is made.
pub(super) fn headers(
    bytes: &Bytes,
    places: &Places,
    more: usize,
) -> Result<(HeaderMap, Framed), Http1Error> {
    const INVALID: Http1Error = Http1Error::Malformed("invalid header");
    let mut headers = HeaderMap::with_capacity(places.len() + more);
    let mut framed = Framed::default();
    for (name, value) in places {
        let name = bytes.get(name.clone()).ok_or(INVALID)?;
        let name = HeaderName::from_bytes(name).map_err(|_| INVALID)?;
        framed.has_connection |= name == CONNECTION;
        framed.has_length |= name == CONTENT_LENGTH;
        framed.has_coding |= name == TRANSFER_ENCODING;
        framed.has_expect |= name == EXPECT;
        let value = if value.is_empty() {
            HeaderValue::from_static("")
        } else {
            HeaderValue::from_maybe_shared(bytes.slice(value.clone())).map_err(|_| INVALID)?
        };
        headers.append(name, value);
    }
    Ok((headers, framed))
}

/// Whether the peer would keep the connection (RFC 9112 §9.3).
pub(super) fn is_kept(headers: &HeaderMap, framed: Framed, is_http_1_1: bool) -> bool {
    let mut keeps = is_http_1_1;
    if !framed.has_connection {
        return keeps;
    }
    for value in headers.get_all(CONNECTION) {
        if value.as_bytes() == b"keep-alive" {
            keeps = true;
            continue;
        }
        for option in value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
        {
            if option.eq_ignore_ascii_case(b"close") {
                return false;
            }
            keeps |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keeps
}

/// RFC 9112 §6.3. A response with both framings is read by its chunks and its connection is not used again.
fn framing(
    status: StatusCode,
    headers: &HeaderMap,
    framed: Framed,
    is_head_request: bool,
    is_http_1_1: bool,
    keeps_alive: bool,
) -> Result<(Option<BodyFraming>, bool), Http1Error> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok((None, false));
    }
    let has_no_body = is_head_request
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if framed.has_coding
        && let Some(coding) = headers.get_all(TRANSFER_ENCODING).iter().next_back()
    {
        if !is_http_1_1 {
            return Err(Http1Error::Malformed("Transfer-Encoding in HTTP/1.0"));
        }
        let last = coding
            .as_bytes()
            .rsplit(|byte| *byte == b',')
            .next()
            .unwrap_or_default();
        let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        let keeps_alive = keeps_alive && !framed.has_length;
        return Ok(match (has_no_body, is_chunked) {
            (true, _) => (Some(BodyFraming::Empty), keeps_alive),
            (false, true) => (Some(BodyFraming::Chunked), keeps_alive),
            (false, false) => (Some(BodyFraming::UntilClose), false),
        });
    }
    let length = if framed.has_length {
        content_length(headers)?
    } else {
        None
    };
    Ok(match (has_no_body, length) {
        (true, _) | (false, Some(0)) => (Some(BodyFraming::Empty), keeps_alive),
        (false, Some(length)) => (Some(BodyFraming::Sized(length)), keeps_alive),
        (false, None) => (Some(BodyFraming::UntilClose), false),
    })
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Http1Error> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for part in value.as_bytes().split(|byte| *byte == b',') {
            let part = part.trim_ascii();
            let digits = std::str::from_utf8(part)
                .ok()
                .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
            let parsed: u64 = digits
                .and_then(|digits| digits.parse().ok())
                .ok_or(Http1Error::Malformed("invalid Content-Length"))?;
            if length.is_some_and(|known| known != parsed) {
                return Err(Http1Error::Malformed("contradicting Content-Length"));
            }
            length = Some(parsed);
        }
    }
    Ok(length)
}

const fn describe(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "invalid header name",
        httparse::Error::HeaderValue => "invalid header value",
        httparse::Error::NewLine => "invalid line end",
        httparse::Error::Status => "invalid status line",
        httparse::Error::Version => "invalid version",
        _ => "invalid head",
    }
}

#[cfg(test)]
mod tests;
