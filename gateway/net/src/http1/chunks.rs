//! Chunked response bodies (RFC 9112 §7.1).

use super::Http1Error;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Most bytes of one chunk's size line, extensions included.
const MAX_SIZE_LINE: usize = 4 * 1_024;
/// Most bytes of all trailers.
const MAX_TRAILERS: usize = 64 * 1_024;

/// Where in a chunked body the next byte stands.
#[derive(Debug, Default)]
pub(super) struct ChunkDecoder {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

/// A piece of a decoded body.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
}

impl ChunkDecoder {
    /// Takes the next piece from the front of `read`; `None`: more bytes are needed.
    pub(super) fn next(&mut self, read: &mut BytesMut) -> Result<Option<Piece>, Http1Error> {
        loop {
            match &mut self.state {
                State::Size => {
                    let Some(line) = take_line(read, MAX_SIZE_LINE)? else {
                        return Ok(None);
                    };
                    self.state = match size(&line)? {
                        0 => State::Trailers,
                        size => State::Data(size),
                    };
                }
                State::Data(left) => {
                    if read.is_empty() {
                        return Ok(None);
                    }
                    let taken = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = State::DataEnd;
                    }
                    let data = read.split_to(taken).freeze();
                    self.pass_data_end(read)?;
                    return Ok(Some(Piece::Data(data)));
                }
                State::DataEnd => {
                    self.pass_data_end(read)?;
                    if matches!(self.state, State::DataEnd) {
                        return Ok(None);
                    }
                }
                State::Trailers => {
                    let Some(trailers) = take_trailers(read)? else {
                        return Ok(None);
                    };
                    self.state = State::Done;
                    if !trailers.is_empty() {
                        return Ok(Some(Piece::Trailers(trailers)));
                    }
                }
                State::Done => return Ok(Some(Piece::End)),
            }
        }
    }

    /// Whether the last byte was seen, without reading more.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Eats what follows a chunk as far as it is there, so that the end of a body is known with its last chunk.
    pub(super) fn look_for_end(&mut self, read: &mut BytesMut) {
        if matches!(self.state, State::Size) && read.starts_with(b"0\r\n\r\n") {
            read.advance(5);
            self.state = State::Done;
        }
    }

    fn pass_data_end(&mut self, read: &mut BytesMut) -> Result<(), Http1Error> {
        if matches!(self.state, State::DataEnd) && read.len() >= 2 {
            if !read.starts_with(b"\r\n") {
                return Err(Http1Error::Malformed("chunk is longer than its size"));
            }
            read.advance(2);
            self.state = State::Size;
        }
        Ok(())
    }
}

/// Takes a line with its end; `None`: it has not arrived yet.
fn take_line(read: &mut BytesMut, max: usize) -> Result<Option<BytesMut>, Http1Error> {
    match memchr::memchr(b'\n', read) {
        Some(end) if end < max => Ok(Some(read.split_to(end + 1))),
        None if read.len() < max => Ok(None),
        _ => Err(Http1Error::Malformed("chunk size line is too long")),
    }
}

/// The size of a chunk from its line. Extensions are ignored.
fn size(line: &[u8]) -> Result<u64, Http1Error> {
    const INVALID: Http1Error = Http1Error::Malformed("invalid chunk size");
    let line = line.strip_suffix(b"\r\n").ok_or(INVALID)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at_checked(digits).ok_or(INVALID)?;
    let rest = rest.trim_ascii_start();
    if digits.is_empty() || digits.len() > 16 || !(rest.is_empty() || rest.starts_with(b";")) {
        return Err(INVALID);
    }
    let text = std::str::from_utf8(digits).map_err(|_| INVALID)?;
    u64::from_str_radix(text, 16).map_err(|_| INVALID)
}

/// Takes the trailer section; `None`: it has not arrived wholly.
fn take_trailers(read: &mut BytesMut) -> Result<Option<HeaderMap>, Http1Error> {
    const INVALID: Http1Error = Http1Error::Malformed("invalid trailers");
    if read.starts_with(b"\r\n") {
        read.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let Some(end) = memchr::memmem::find(read, b"\r\n\r\n") else {
        return if read.len() < MAX_TRAILERS {
            Ok(None)
        } else {
            Err(INVALID)
        };
    };
    if end > MAX_TRAILERS {
        return Err(INVALID);
    }
    let section = read.split_to(end + 4);
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let Ok(httparse::Status::Complete((_, lines))) = httparse::parse_headers(&section, &mut lines) else {
        return Err(INVALID);
    };
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| INVALID)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| INVALID)?;
        trailers.append(name, value);
    }
    Ok(Some(trailers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes a body that arrives in pieces of `step` bytes.
    fn decode(wire: &[u8], step: usize) -> Result<(Vec<u8>, Option<HeaderMap>, usize), Http1Error> {
        let (mut read, mut decoder) = (BytesMut::new(), ChunkDecoder::default());
        let (mut body, mut trailers) = (Vec::new(), None);
        let mut arriving = wire.chunks(step.max(1));
        loop {
            match decoder.next(&mut read)? {
                Some(Piece::Data(data)) => {
                    body.extend_from_slice(&data);
                    decoder.look_for_end(&mut read);
                }
                Some(Piece::Trailers(map)) => trailers = Some(map),
                Some(Piece::End) => {
                    let left = read.len() + arriving.map(<[u8]>::len).sum::<usize>();
                    return Ok((body, trailers, left));
                }
                None => match arriving.next() {
                    Some(piece) => read.extend_from_slice(piece),
                    None => return Err(Http1Error::Truncated),
                },
            }
        }
    }

    #[test]
    fn chunks_are_joined_and_what_follows_the_body_is_left() {
        for step in 1..30 {
            let wire = b"3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\n\r\nHTTP";
            let (body, trailers, left) = decode(wire, step).expect("valid");
            assert_eq!(
                (body.as_slice(), trailers, left),
                (&b"abc0123456789"[..], None, 4),
                "{step}"
            );
        }
    }

    #[test]
    fn trailers_come_after_the_last_chunk() {
        for step in 1..20 {
            let (body, trailers, _) =
                decode(b"1\r\na\r\n0\r\nGrpc-Status: 0\r\nX: y\r\n\r\n", step).expect("valid");
            let trailers = trailers.expect("trailers");
            assert_eq!(
                (body.as_slice(), &trailers["grpc-status"]),
                (&b"a"[..], &HeaderValue::from_static("0"))
            );
        }
    }

    #[test]
    fn broken_chunks_are_refused() {
        for wire in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"1\nab\r\n",
            b"1\r\nabc\r\n",
            b"11111111111111111\r\n",
            b"1 2\r\na\r\n",
            b"0\r\nbad header\r\n\r\n",
        ] {
            assert!(
                matches!(decode(wire, 64), Err(Http1Error::Malformed(_))),
                "{wire:?}"
            );
        }
        let endless = [b'1'; MAX_SIZE_LINE + 1];
        assert!(matches!(decode(&endless, 512), Err(Http1Error::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_split_of_any_body_decodes_to_it(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            step in 1_usize..64,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let (body, _, left) = decode(&wire, step).expect("valid");
            prop_assert_eq!((body, left), (chunks.concat(), 0));
        }
    }
}
