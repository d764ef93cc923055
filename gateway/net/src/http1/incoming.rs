//! A message's body on its way in, and the buffer that its connection is read into. The same for requests and
//! responses.

use super::Http1Error;
use super::chunks::{ChunkDecoder, Piece};
use super::outgoing::BodyFraming;
use bytes::{Bytes, BytesMut};
use http_body::Frame;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt};

/// First size of a read.
pub(super) const MIN_READ: usize = 8 * 1_024;
/// Size to which reads of long bodies grow.
const MAX_READ: usize = 256 * 1_024;
/// A head is read into as little as this: one buffer serves many small messages before a new one is needed.
const ROOM_FOR_HEAD: usize = 2 * 1_024;

/// Bytes that were read and not taken, and how far the body is.
pub(super) struct Incoming {
    pub(super) read: BytesMut,
    /// Bytes to make room for before reading a body.
    read_size: usize,
    body: Body,
}

enum Body {
    Done,
    Sized(u64),
    Chunked(ChunkDecoder),
    UntilClose,
    Broken,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self {
            read: BytesMut::new(),
            read_size: MIN_READ,
            body: Body::Done,
        }
    }

    /// A body begins with the next byte.
    pub(super) fn begin(&mut self, framing: BodyFraming) {
        self.body = match framing {
            BodyFraming::Empty | BodyFraming::Sized(0) => Body::Done,
            BodyFraming::Sized(length) => Body::Sized(length),
            BodyFraming::Chunked => Body::Chunked(ChunkDecoder::default()),
            BodyFraming::UntilClose => Body::UntilClose,
        };
    }

    /// Whether the body was taken to its end.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.body, Body::Done)
    }

    /// Bytes of the body that are still to come, when that is known.
    pub(super) fn remaining(&self) -> Option<u64> {
        match self.body {
            Body::Done => Some(0),
            Body::Sized(left) => Some(left),
            Body::Chunked(_) | Body::UntilClose | Body::Broken => None,
        }
    }

    #[cfg(test)]
    pub(super) fn read_size(&self) -> usize {
        self.read_size
    }

    /// Gives up a buffer that holds nothing.
    pub(super) fn shrink(&mut self) {
        if self.read.is_empty() {
            self.read = BytesMut::new();
            self.read_size = MIN_READ;
        }
    }

    /// Reads once, with room for `want` bytes; 0 at the end of the stream.
    pub(super) fn poll_fill<R>(
        &mut self,
        io: &mut R,
        cx: &mut Context<'_>,
        want: usize,
    ) -> Poll<io::Result<usize>>
    where
        R: AsyncRead + Unpin,
    {
        let enough = if want > MIN_READ {
            want
        } else {
            want.min(ROOM_FOR_HEAD)
        };
        // What was taken from the buffer may still be in use, so that making room can mean a new allocation.
        if self.read.capacity() - self.read.len() < enough {
            self.read.reserve(want);
        }
        pin!(io.read_buf(&mut self.read)).poll(cx)
    }

    /// Reads more of the body. After an error nothing more of it can be taken.
    pub(super) fn poll_more<R>(&mut self, io: &mut R, cx: &mut Context<'_>) -> Poll<Result<(), Http1Error>>
    where
        R: AsyncRead + Unpin,
    {
        let want = match &self.body {
            Body::Sized(left) => {
                usize::try_from(*left).map_or(self.read_size, |left| left.min(self.read_size))
            }
            _ => self.read_size,
        };
        let failed = match ready!(self.poll_fill(io, cx, want)) {
            Ok(0) if matches!(self.body, Body::UntilClose) => {
                self.body = Body::Done;
                return Poll::Ready(Ok(()));
            }
            Ok(0) => Http1Error::Truncated,
            Ok(count) => {
                self.adapt(count, want);
                return Poll::Ready(Ok(()));
            }
            Err(error) => error.into(),
        };
        self.body = Body::Broken;
        Poll::Ready(Err(failed))
    }

    /// Reads grow while they fill their room and shrink when they leave most of it empty.
    fn adapt(&mut self, count: usize, want: usize) {
        let size = &mut self.read_size;
        if count >= want && want >= *size {
            *size = (*size * 2).min(MAX_READ);
        } else if count < *size / 4 {
            *size = (*size / 2).max(MIN_READ);
        }
    }

    /// Takes what is in hand: `Some(None)` at the end of the body, `None` when more must be read.
    pub(super) fn take_frame(&mut self) -> Result<Option<Option<Frame<Bytes>>>, Http1Error> {
        let read = &mut self.read;
        match &mut self.body {
            Body::Done => Ok(Some(None)),
            Body::Broken => Err(Http1Error::Body),
            Body::Sized(_) | Body::UntilClose if read.is_empty() => Ok(None),
            Body::UntilClose => Ok(Some(Some(Frame::data(read.split().freeze())))),
            Body::Sized(left) => {
                let taken = usize::try_from(*left).map_or(read.len(), |left| left.min(read.len()));
                *left -= taken as u64;
                let data = read.split_to(taken).freeze();
                if *left == 0 {
                    self.body = Body::Done;
                }
                Ok(Some(Some(Frame::data(data))))
            }
            Body::Chunked(decoder) => match take_piece(decoder, read) {
                Ok(None) => Ok(None),
                Ok(Some(frame)) => {
                    if decoder.is_done() {
                        self.body = Body::Done;
                    }
                    Ok(Some(frame))
                }
                Err(error) => {
                    self.body = Body::Broken;
                    Err(error)
                }
            },
        }
    }
}

fn take_piece(
    decoder: &mut ChunkDecoder,
    read: &mut BytesMut,
) -> Result<Option<Option<Frame<Bytes>>>, Http1Error> {
    Ok(decoder.next(read)?.map(|piece| match piece {
        Piece::Data(data) => {
            decoder.look_for_end(read);
            Some(Frame::data(data))
        }
        Piece::Trailers(trailers) => Some(Frame::trailers(trailers)),
        Piece::End => None,
    }))
}
