//! Frames of RFC 6455 section 5.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Largest payload of one frame.
pub(super) const MAX_PAYLOAD: u64 = 16 << 20;
/// Largest payload of a control frame (section 5.5).
const MAX_CONTROL_PAYLOAD: u64 = 125;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A frame of the client, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    pub(super) payload: Vec<u8>,
}

/// Why we close (section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CloseCode(u16);

impl CloseCode {
    pub(super) const PROTOCOL_ERROR: Self = Self(1_002);
    pub(super) const TOO_BIG: Self = Self(1_009);
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Frame(Frame),
    /// The client broke a rule; the connection is to be closed with this code.
    Violation(CloseCode),
}

/// Reads one frame. The payload is allocated as it arrives, not as it is announced.
pub(super) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Received> {
    let [first, second] = read_array(stream).await?;
    let reserved = first & 0x70;
    let Some(opcode) = Opcode::of(first & 0x0f) else {
        return Ok(Received::Violation(CloseCode::PROTOCOL_ERROR));
    };
    let is_final = first & 0x80 != 0;
    let length = match second & 0x7f {
        126 => u64::from(u16::from_be_bytes(read_array(stream).await?)),
        127 => u64::from_be_bytes(read_array(stream).await?),
        short => u64::from(short),
    };
    let is_masked = second & 0x80 != 0;
    let is_bad_control = opcode.is_control() && (!is_final || length > MAX_CONTROL_PAYLOAD);
    if reserved != 0 || !is_masked || is_bad_control {
        return Ok(Received::Violation(CloseCode::PROTOCOL_ERROR));
    }
    if length > MAX_PAYLOAD {
        return Ok(Received::Violation(CloseCode::TOO_BIG));
    }
    let mask: [u8; 4] = read_array(stream).await?;
    let mut payload = Vec::new();
    stream.take(length).read_to_end(&mut payload).await?;
    if payload.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    Ok(Received::Frame(Frame {
        is_final,
        opcode,
        payload,
    }))
}

async fn read_array<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Writes one frame, without mask as a server must (section 5.1).
pub(super) async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    is_final: bool,
    opcode: Opcode,
    payload: &[u8],
) -> io::Result<()> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(opcode.bits() | if is_final { 0x80 } else { 0 });
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// The bytes of a close frame with a code.
pub(super) fn close_frame(code: CloseCode) -> [u8; 4] {
    let [high, low] = code.0.to_be_bytes();
    [0x80 | Opcode::Close.bits(), 2, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<Received> {
        read_frame(&mut &*bytes).await
    }

    #[tokio::test]
    async fn a_masked_frame_is_unmasked() {
        // The masked "Hello" of RFC 6455 section 5.7.
        let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let frame = Frame {
            is_final: true,
            opcode: Opcode::Text,
            payload: b"Hello".to_vec(),
        };
        assert_eq!(read(&bytes).await.expect("a frame"), Received::Frame(frame));
    }

    #[tokio::test]
    async fn frames_that_break_a_rule_close_with_the_code_of_the_rule() {
        let protocol = Received::Violation(CloseCode::PROTOCOL_ERROR);
        for (name, bytes) in [
            ("unmasked", vec![0x81, 0x01, b'a']),
            ("reserved bit", vec![0xc1, 0x80, 0, 0, 0, 0]),
            ("unknown opcode", vec![0x83, 0x80, 0, 0, 0, 0]),
            ("fragmented ping", vec![0x09, 0x80, 0, 0, 0, 0]),
            ("long ping", vec![0x89, 0xfe, 0, 126, 0, 0, 0, 0]),
        ] {
            assert_eq!(read(&bytes).await.expect(name), protocol, "{name}");
        }
        let mut huge = vec![0x82, 0xff];
        huge.extend_from_slice(&(MAX_PAYLOAD + 1).to_be_bytes());
        assert_eq!(
            read(&huge).await.expect("huge"),
            Received::Violation(CloseCode::TOO_BIG)
        );
    }

    #[tokio::test]
    async fn a_frame_that_is_cut_off_is_an_error() {
        let bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f];
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).await.is_err(), "cut at {end}");
        }
    }

    #[tokio::test]
    async fn lengths_are_written_in_the_shortest_form() {
        for (length, head) in [
            (125_usize, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (65_535, vec![0x82, 126, 0xff, 0xff]),
            (65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_frame(&mut out, true, Opcode::Binary, &vec![0; length])
                .await
                .expect("written");
            assert_eq!(out[..head.len()], head, "{length}");
            assert_eq!(out.len(), head.len() + length);
        }
    }
}
