//! Reads a request head line by line.
//!
//! Each line is judged once, when its end has arrived, and the first broken rule decides; so the outcome does not
//! depend on how the bytes were split, and a client that sends byte by byte costs no more than one that does not.

use super::bytes::{self, NAME_BAD, NAME_IGNORED};
use super::fault::RequestFault;
use super::host::is_valid_host;
use super::limits::GateLimits;
use super::target::{self, MAX_TARGET, Target};
use std::ops::Range;

/// What is known after looking at the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More bytes are needed.
    Incomplete,
    /// The head ends before this offset.
    Complete(usize),
    /// The request is refused.
    Refused(RequestFault),
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// No body.
    #[default]
    None,
    /// By `Content-Length`.
    Sized(u64),
    /// By chunks.
    Chunked,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TransferEncoding {
    #[default]
    Absent,
    Chunked,
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    RequestLine,
    Headers,
}

/// The state of one head. Offsets count from its first byte.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadParser {
    line_start: usize,
    /// Bytes before this offset hold no end of the current line.
    searched: usize,
    stage: Stage,
    blank_lines: usize,
    headers_start: usize,
    header_count: usize,
    content_length: Option<u64>,
    transfer_encoding: TransferEncoding,
    has_host: bool,
    http_10: bool,
    refuses_expectation: bool,
    upgrade: bool,
    method: Range<usize>,
    target_at: usize,
    target: Target,
    rewrite: bool,
}

impl HeadParser {
    /// Looks at `input`, which begins with all bytes given before for this head.
    pub(super) fn advance(&mut self, input: &[u8], limits: &GateLimits) -> Progress {
        loop {
            let unsearched = input.get(self.searched..).unwrap_or_default();
            let Some(distance) = memchr::memchr(b'\n', unsearched) else {
                self.searched = input.len();
                return self.unfinished(input.len(), limits);
            };
            let next = self.searched + distance + 1;
            let line = input.get(self.line_start..next - 1).unwrap_or_default();
            let (line, bare) = line
                .strip_suffix(b"\r")
                .map_or((line, true), |stripped| (stripped, false));
            self.rewrite |= bare;
            let judged = match self.stage {
                Stage::RequestLine => self.request_line(line, next, limits),
                Stage::Headers if line.is_empty() => {
                    return match self.finish() {
                        Ok(()) => Progress::Complete(next),
                        Err(fault) => Progress::Refused(fault),
                    };
                }
                Stage::Headers => self.header_line(line, next, limits),
            };
            if let Err(fault) = judged {
                return Progress::Refused(fault);
            }
            self.line_start = next;
            self.searched = next;
        }
    }

    /// How the body of a complete head is delimited.
    pub(super) const fn body_length(&self) -> BodyLength {
        match (self.transfer_encoding, self.content_length) {
            (TransferEncoding::Absent, None) => BodyLength::None,
            (TransferEncoding::Absent, Some(length)) => BodyLength::Sized(length),
            _ => BodyLength::Chunked,
        }
    }

    /// The client asks for another protocol after this request.
    pub(super) const fn wants_upgrade(&self) -> bool {
        self.upgrade
    }

    /// The head must not be passed on as it is.
    pub(super) const fn needs_rewrite(&self) -> bool {
        self.rewrite
    }

    /// A request has begun: something other than empty lines was seen.
    pub(super) const fn has_begun(&self, received: usize) -> bool {
        !matches!(self.stage, Stage::RequestLine) || received > self.line_start
    }

    /// The method, empty when the request line did not get that far.
    pub(super) fn method<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        head.get(self.method.clone()).unwrap_or_default()
    }

    /// Path and query of the target, empty when the request line did not get that far.
    pub(super) fn path<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        let path = &self.target.path;
        head.get(self.target_at + path.start..self.target_at + path.end)
            .unwrap_or_default()
    }

    /// Authority of an absolute target.
    pub(super) fn authority<'a>(&self, head: &'a [u8]) -> Option<&'a [u8]> {
        let authority = self.target.authority.as_ref()?;
        head.get(self.target_at + authority.start..self.target_at + authority.end)
    }

    /// The request says HTTP/1.0.
    pub(super) const fn is_http_10(&self) -> bool {
        self.http_10
    }

    /// The header lines of a complete head with their line ends.
    pub(super) fn header_lines<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        head.get(self.headers_start..).unwrap_or_default()
    }

    fn unfinished(&self, received: usize, limits: &GateLimits) -> Progress {
        // One byte more than the limit may be the CR of the line end.
        let line = received - self.line_start;
        let fault = match self.stage {
            Stage::RequestLine if line > limits.max_request_line.min(MAX_TARGET) + 1 => {
                RequestFault::target_too_long()
            }
            Stage::Headers if line > limits.max_header_line + 1 => {
                RequestFault::headers_too_large("header line longer than the limit")
            }
            // The line end is still to come.
            Stage::Headers if received + 1 - self.headers_start > limits.max_header_bytes + 2 => {
                RequestFault::headers_too_large("header lines longer in total than the limit")
            }
            _ => return Progress::Incomplete,
        };
        Progress::Refused(fault)
    }

    fn request_line(&mut self, line: &[u8], next: usize, limits: &GateLimits) -> Result<(), RequestFault> {
        if line.is_empty() {
            self.blank_lines += 1;
            return if self.blank_lines > limits.max_blank_lines {
                Err(RequestFault::bad("too many empty lines before the request line"))
            } else {
                Ok(())
            };
        }
        if line.len() > limits.max_request_line.min(MAX_TARGET) {
            return Err(RequestFault::target_too_long());
        }
        self.stage = Stage::Headers;
        self.headers_start = next;
        let (method, rest) = split_at_space(line).ok_or(RequestFault::bad("garbled request line"))?;
        if method.is_empty() || !method.iter().all(|&byte| bytes::is_method_byte(byte)) {
            return Err(RequestFault::bad("invalid method"));
        }
        self.method = self.line_start..self.line_start + method.len();
        let target_and_rest = trim_spaces_start(rest);
        self.rewrite |= target_and_rest.len() != rest.len();
        let Some((target, rest)) = split_at_space(target_and_rest) else {
            return Err(RequestFault::bad("request line without a version"));
        };
        let target_at = self.line_start + (line.len() - target_and_rest.len());
        let version = trim_spaces_start(rest);
        let trimmed = trim_spaces_end(version);
        self.rewrite |= version.len() != rest.len() || trimmed.len() != version.len();
        self.http_10 = match trimmed {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ if is_other_version(trimmed) => return Err(RequestFault::version()),
            _ => return Err(RequestFault::bad("garbled request line")),
        };
        self.target = target::check(target)?;
        self.target_at = target_at;
        self.rewrite |= self.target.rewrite;
        match method {
            b"TRACE" => Err(RequestFault::method_not_allowed("TRACE")),
            b"CONNECT" => Err(RequestFault::method_not_allowed("CONNECT")),
            _ => Ok(()),
        }
    }

    fn header_line(&mut self, line: &[u8], next: usize, limits: &GateLimits) -> Result<(), RequestFault> {
        if line.len() > limits.max_header_line {
            return Err(RequestFault::headers_too_large(
                "header line longer than the limit",
            ));
        }
        if next - self.headers_start > limits.max_header_bytes {
            return Err(RequestFault::headers_too_large(
                "header lines longer in total than the limit",
            ));
        }
        self.header_count += 1;
        if self.header_count > limits.max_header_count {
            return Err(RequestFault::headers_too_large(
                "more header lines than the limit",
            ));
        }
        let (name, value) = split_header(line).ok_or(RequestFault::bad("header line without a colon"))?;
        let classes = bytes::name_classes(name);
        if name.is_empty() || classes & NAME_BAD != 0 {
            return Err(RequestFault::bad("invalid header name"));
        }
        if !bytes::is_clean_value(value) {
            return Err(RequestFault::bad("control byte in a header value"));
        }
        if classes & NAME_IGNORED != 0 {
            // nginx `ignore_invalid_headers`: such a field is not forwarded.
            self.rewrite = true;
            return Ok(());
        }
        self.known_header(name, value)
    }

    fn known_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), RequestFault> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if std::mem::replace(&mut self.has_host, true) {
                    return Err(RequestFault::bad("several Host headers"));
                }
                if !is_valid_host(value.trim_ascii()) {
                    return Err(RequestFault::bad("invalid Host header"));
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.refuses_expectation |= !value.trim_ascii().eq_ignore_ascii_case(b"100-continue");
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                if is_h2c(value) {
                    self.rewrite = true;
                } else {
                    self.upgrade = true;
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = parse_length(value.trim_ascii());
                let length = length.ok_or(RequestFault::bad("invalid Content-Length header"))?;
                if self.content_length.replace(length).is_some() {
                    return Err(RequestFault::bad("several Content-Length headers"));
                }
            }
            14 if name.eq_ignore_ascii_case(b"http2-settings") => self.rewrite = true,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.transfer_encoding != TransferEncoding::Absent {
                    return Err(RequestFault::bad("several Transfer-Encoding headers"));
                }
                let chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                self.transfer_encoding = if chunked {
                    TransferEncoding::Chunked
                } else {
                    TransferEncoding::Other
                };
            }
            _ => {}
        }
        Ok(())
    }

    /// The rules about the head as a whole.
    fn finish(&mut self) -> Result<(), RequestFault> {
        if !self.has_host && !self.http_10 {
            return Err(RequestFault::bad("HTTP/1.1 request without a Host header"));
        }
        match self.transfer_encoding {
            TransferEncoding::Absent => {}
            _ if self.http_10 => return Err(RequestFault::bad("Transfer-Encoding in an HTTP/1.0 request")),
            TransferEncoding::Other => {
                return Err(RequestFault::not_implemented(
                    "transfer coding other than chunked",
                ));
            }
            TransferEncoding::Chunked if self.content_length.is_some() => {
                return Err(RequestFault::bad("both Content-Length and Transfer-Encoding"));
            }
            TransferEncoding::Chunked => {}
        }
        if self.http_10 {
            // RFC 9110 sections 7.8 and 10.1.1: a 1.0 client can neither upgrade nor wait.
            self.upgrade = false;
        } else if self.refuses_expectation {
            return Err(RequestFault::expectation());
        }
        Ok(())
    }
}

/// Name and value of a header line without its line end.
pub(super) fn split_header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    Some((name, rest.get(1..)?))
}

/// The list of an Upgrade header names cleartext HTTP/2.
pub(super) fn is_h2c(value: &[u8]) -> bool {
    value
        .split(|&byte| byte == b',')
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

fn split_at_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, rest) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
    Some((before, rest.get(1..)?))
}

fn trim_spaces_start(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|&&byte| byte == b' ').count();
    bytes.get(spaces..).unwrap_or_default()
}

fn trim_spaces_end(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().rev().take_while(|&&byte| byte == b' ').count();
    bytes.get(..bytes.len() - spaces).unwrap_or_default()
}

/// A well-formed version from 1.2 on (RFC 9112 section 2.3).
fn is_other_version(version: &[u8]) -> bool {
    let Some(digits) = version.strip_prefix(b"HTTP/") else {
        return false;
    };
    matches!(digits, [b'1'..=b'9', b'.', b'0'..=b'9'])
}

fn parse_length(digits: &[u8]) -> Option<u64> {
    // 18 digits stay far below what the HTTP library reserves for its own marks.
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |length, digit| length * 10 + u64::from(digit - b'0')),
    )
}
