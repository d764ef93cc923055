//! A client that writes HTTP/2 frame by frame, right or wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use tidegate_tests::wait::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const PRIORITY: u8 = 0x2;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

/// A client that writes frames as it is told.
pub(super) struct Frames {
    stream: TcpStream,
}

/// Settings and window that the other side announced.
#[derive(Debug)]
pub(super) struct Announced {
    settings: Vec<(u16, u32)>,
    pub(super) connection_window: u32,
}

impl Announced {
    pub(super) fn setting(&self, id: u16) -> Option<u32> {
        self.settings
            .iter()
            .find(|(known, _)| *known == id)
            .map(|(_, value)| *value)
    }
}

/// What became of a connection that was asked whether it lives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It does.
    Pong,
    /// GOAWAY with this code.
    GoAway(u32),
    /// It was closed without a word.
    Silently,
}

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer whose first byte of the header block is this (0x88 is status 200, RFC 7541 appendix A).
    Answered(u8),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with this code, or the end of the connection.
    Closed(Option<u32>),
}

impl Outcome {
    /// Whether the request was refused: reset, closed, or answered with 400 (0x8c).
    pub(super) fn is_refusal(&self) -> bool {
        !matches!(self, Self::Answered(first) if *first != 0x8c)
    }
}

impl Frames {
    /// Connects and exchanges settings.
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut frames = Self { stream };
        frames.frame(SETTINGS, 0, 0, &[]).await;
        frames
    }

    /// Writes a frame; false when the connection is gone.
    pub(super) async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let mut bytes = Vec::new();
        append(&mut bytes, kind, flags, stream, payload);
        matches!(timeout(PATIENCE, self.stream.write_all(&bytes)).await, Ok(Ok(())))
    }

    /// Writes a header block of literal fields, as they are.
    pub(super) async fn headers(&mut self, stream: u32, fields: &[(&str, &str)], is_end: bool) -> bool {
        let flags = END_HEADERS | if is_end { END_STREAM } else { 0 };
        self.frame(HEADERS, flags, stream, &block(fields)).await
    }

    /// Reads one frame: kind, flags, stream, payload.
    async fn read(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        timeout(PATIENCE, self.stream.read_exact(&mut head))
            .await
            .ok()?
            .ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        timeout(PATIENCE, self.stream.read_exact(&mut payload))
            .await
            .ok()?
            .ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        Some((head[3], head[4], stream, payload))
    }

    /// Reads until the fate of a stream is known.
    pub(super) async fn outcome_of(&mut self, stream: u32) -> Outcome {
        while let Some((kind, flags, id, payload)) = self.read().await {
            match kind {
                SETTINGS if flags & 1 == 0 => {
                    self.frame(SETTINGS, 1, 0, &[]).await;
                }
                HEADERS if id == stream => return Outcome::Answered(payload[0]),
                RST_STREAM if id == stream => return Outcome::Reset(number(&payload)),
                GOAWAY => return Outcome::Closed(Some(number(&payload[4..]))),
                _ => {}
            }
        }
        Outcome::Closed(None)
    }

    /// Reads until the fate of every one of these streams is known.
    pub(super) async fn outcomes_of(&mut self, streams: &[u32]) -> BTreeMap<u32, Outcome> {
        let mut outcomes = BTreeMap::new();
        while outcomes.len() < streams.len() {
            let Some((kind, flags, id, payload)) = self.read().await else {
                break;
            };
            match kind {
                SETTINGS if flags & 1 == 0 => {
                    self.frame(SETTINGS, 1, 0, &[]).await;
                }
                HEADERS => drop(outcomes.insert(id, Outcome::Answered(payload[0]))),
                RST_STREAM => drop(outcomes.insert(id, Outcome::Reset(number(&payload)))),
                _ => {}
            }
        }
        outcomes
    }

    /// Sends a PING and reads until it comes back or the connection is closed.
    pub(super) async fn ending(&mut self) -> Ended {
        self.frame(PING, 0, 0, b"are you?").await;
        while let Some((kind, flags, _, payload)) = self.read().await {
            match kind {
                PING if flags & 1 == 1 => return Ended::Pong,
                GOAWAY => return Ended::GoAway(number(&payload[4..])),
                _ => {}
            }
        }
        Ended::Silently
    }

    /// Waits until the other side has answered, so that it reads the next frames together.
    pub(super) async fn settle(&mut self) {
        assert_eq!(self.ending().await, Ended::Pong);
    }

    /// Opens these streams, all in one piece, so that none is over before the last is open.
    pub(super) async fn open_at_once(&mut self, streams: &[u32]) {
        let block = block(GET);
        let mut bytes = Vec::new();
        for id in streams {
            append(&mut bytes, HEADERS, END_HEADERS | END_STREAM, *id, &block);
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Opens streams and resets each, all in one piece.
    pub(super) async fn open_and_reset_at_once(&mut self, streams: u32) {
        let block = block(GET);
        let mut bytes = Vec::new();
        for index in 0..streams {
            let id = index * 2 + 1;
            append(&mut bytes, HEADERS, END_HEADERS | END_STREAM, id, &block);
            // CANCEL.
            append(&mut bytes, RST_STREAM, 0, id, &8_u32.to_be_bytes());
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// What the other side announces before it answers anything.
    pub(super) async fn announced(&mut self) -> Announced {
        let mut announced = Announced {
            settings: Vec::new(),
            connection_window: 65_535,
        };
        // The window may be raised only with the second answer.
        let mut pongs = 0;
        self.frame(PING, 0, 0, b"are you?").await;
        while let Some((kind, flags, id, payload)) = self.read().await {
            match kind {
                SETTINGS if flags & 1 == 0 => announced.settings.extend(
                    payload
                        .chunks(6)
                        .map(|pair| (u16::from_be_bytes([pair[0], pair[1]]), number(&pair[2..]))),
                ),
                WINDOW_UPDATE if id == 0 => announced.connection_window += number(&payload),
                PING if flags & 1 == 1 && pongs == 1 => break,
                PING if flags & 1 == 1 => {
                    pongs = 1;
                    self.frame(PING, 0, 0, b"are you?").await;
                }
                _ => {}
            }
        }
        announced
    }

    /// Reads until the connection ends; the code of the GOAWAY, if one came.
    pub(super) async fn goodbye(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some((kind, _, _, payload)) = self.read().await {
            if kind == GOAWAY {
                code = Some(number(&payload[4..]));
            }
        }
        code
    }
}

fn append(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    bytes.extend([length[1], length[2], length[3], kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Fields as literals without indexing and without Huffman coding (RFC 7541 section 6.2.2).
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "one byte of length");
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

pub(super) const GET: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "a"),
];
