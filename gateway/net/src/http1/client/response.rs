//! Writes responses to a client.

use super::{ClientConnection, ClientError};
use crate::http1::outgoing::{BodyFraming, Outgoing};
use crate::http1::{put_decimal, put_header};
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode, Version};
use http_body::Body;
use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};

/// Writes the responses of one connection; keeps its buffer between them.
pub struct ResponseWriter<B> {
    message: Outgoing<B>,
}

/// What a response must know of its request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method of the request.
    pub method: Method,
    /// Version of the request.
    pub version: Version,
    /// The client would keep the connection.
    pub keeps_alive: bool,
}

impl<B> ResponseWriter<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// A writer with nothing to write.
    #[must_use]
    pub fn new() -> Self {
        Self {
            message: Outgoing::new(),
        }
    }

    /// Writes a response to its end; true: another request may follow on the connection. `note_head` is told the bytes
    /// of the head.
    ///
    /// # Errors
    /// When the client leaves, or the body breaks off: the connection must be dropped, not shut down, so that the
    /// client sees that the response is not whole.
    pub async fn send<S>(
        &mut self,
        connection: &ClientConnection<S>,
        asked: &Asked,
        parts: &Parts,
        mut body: B,
        note_head: impl FnOnce(&mut B, usize),
    ) -> Result<bool, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let known = Known::of(&parts.headers);
        let framing = framing(asked, parts.status, known.length, &body);
        let closes = !asked.keeps_alive
            || framing == BodyFraming::UntilClose
            || parts.status == StatusCode::SWITCHING_PROTOCOLS
            || known.closes;
        // A body that is not sent ends here, and its exchange with it.
        let is_sent = match framing {
            BodyFraming::Empty => false,
            BodyFraming::Sized(0) => !body.is_end_stream(),
            _ => true,
        };
        self.message.begin(framing);
        write_head(&mut self.message.head, asked, parts, framing, closes, known);
        note_head(&mut body, self.message.head.len());
        self.message.body = is_sent.then_some(body);
        poll_fn(|cx| self.poll_send(connection, cx)).await?;
        Ok(!closes && poll_fn(|cx| Poll::Ready(connection.finish_request(cx))).await)
    }

    fn poll_send<S>(
        &mut self,
        connection: &ClientConnection<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ClientError>>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        loop {
            // The body may read the request over this very connection: nothing of it may be borrowed here.
            let waits_for_body = self.message.take_chunk(cx)?.is_pending();
            let is_last = waits_for_body || self.message.body.is_none();
            let polled = {
                let mut client = connection.0.borrow_mut();
                self.message.poll_write(&mut client.io, is_last, cx)
            };
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(ClientError::Left)),
                Poll::Ready(Ok(())) if self.message.is_written() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if waits_for_body => {
                    return connection.poll_left(cx).map(|()| Err(ClientError::Left));
                }
                Poll::Ready(Ok(())) => {}
            }
        }
    }
}

impl<B> Default for ResponseWriter<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    fn default() -> Self {
        Self::new()
    }
}

/// What the headers of a response say about its framing, found in one pass.
#[derive(Clone, Copy, Default)]
struct Known {
    length: Option<u64>,
    has_date: bool,
    has_connection: bool,
    closes: bool,
}

impl Known {
    fn of(headers: &HeaderMap) -> Self {
        let mut known = Self::default();
        for (name, value) in headers {
            if *name == CONTENT_LENGTH {
                known.length = value.to_str().ok().and_then(|text| text.parse().ok());
            } else if *name == DATE {
                known.has_date = true;
            } else if *name == CONNECTION {
                known.has_connection = true;
                known.closes |= value.as_bytes().eq_ignore_ascii_case(b"close");
            }
        }
        known
    }
}

/// RFC 9112 §6.3, from the sender's side.
fn framing<B: Body>(asked: &Asked, status: StatusCode, announced: Option<u64>, body: &B) -> BodyFraming {
    if asked.method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return BodyFraming::Empty;
    }
    match announced.or_else(|| body.size_hint().exact()) {
        Some(length) => BodyFraming::Sized(length),
        None if asked.version == Version::HTTP_11 => BodyFraming::Chunked,
        None => BodyFraming::UntilClose,
    }
}

fn write_head(
    out: &mut BytesMut,
    asked: &Asked,
    parts: &Parts,
    framing: BodyFraming,
    closes: bool,
    known: Known,
) {
    out.reserve(512);
    write_status_line(out, parts.status);
    for (name, value) in &parts.headers {
        let is_length = *name == CONTENT_LENGTH;
        // The length of a body is written below, in the form that was understood.
        if *name == TRANSFER_ENCODING
            || (is_length && (framing != BodyFraming::Empty || parts.status == StatusCode::NO_CONTENT))
        {
            continue;
        }
        put_header(out, name.as_str(), value.as_bytes());
    }
    match framing {
        BodyFraming::Sized(length) => put_length(out, length),
        BodyFraming::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyFraming::Empty | BodyFraming::UntilClose => {}
    }
    if !known.has_date {
        put_date(out);
    }
    if !known.has_connection {
        if closes && asked.version == Version::HTTP_11 {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if !closes && asked.version == Version::HTTP_10 {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn write_status_line(out: &mut BytesMut, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn put_length(out: &mut BytesMut, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    put_decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

/// The `Date` line of one second.
struct DateLine {
    second: u64,
    line: String,
}

thread_local! {
    static DATE_LINE: RefCell<DateLine> = const {
        RefCell::new(DateLine { second: u64::MAX, line: String::new() })
    };
}

fn put_date(out: &mut BytesMut) {
    let now = SystemTime::now();
    let second = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    DATE_LINE.with_borrow_mut(|date| {
        if date.second != second {
            date.second = second;
            date.line = format!("Date: {}\r\n", httpdate::fmt_http_date(now));
        }
        out.extend_from_slice(date.line.as_bytes());
    });
}
