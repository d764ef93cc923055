//! HTTP/2 frame by frame: floods and lies (RFC 9113).

use crate::ask::service;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A client that writes frames as it is told.
pub(super) struct Frames {
    stream: TcpStream,
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
    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend_from_slice(payload);
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

    /// Reads until the connection ends; the code of the GOAWAY, if one came.
    async fn goodbye(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some((kind, _, _, payload)) = self.read().await {
            if kind == GOAWAY {
                code = Some(number(&payload[4..]));
            }
        }
        code
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Fields as literals without indexing and without Huffman coding (RFC 7541 section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
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

const GET: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "a"),
];

async fn in_front_of_a_slow_upstream() -> (Upstream, Gateway) {
    let upstream = Upstream::serving(|request| match request.header("x-fast") {
        "" => Answer::after(Duration::from_secs(5), Answer::ok("slow")),
        _ => Answer::ok("fast"),
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    (upstream, gateway)
}

/// Another client is served at once.
async fn others_are_served(gateway: &Gateway) {
    let started = Instant::now();
    let mut client = RawClient::connect(gateway.proxy()).await;
    let response = client.call(&Request::get("/").header("x-fast", "1")).await;
    assert_eq!(response.text(), "fast");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "others waited {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn rapid_reset_ends_the_connection() {
    // CVE-2023-44487: open a stream, reset it, again and again.
    let (upstream, gateway) = in_front_of_a_slow_upstream().await;
    let mut frames = Frames::connect(gateway.proxy()).await;
    let mut is_open = true;
    let mut opened = 0_u32;
    while is_open && opened < 20_000 {
        let id = opened * 2 + 1;
        is_open = frames.headers(id, GET, true).await
            && frames.frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()).await;
        opened += 1;
    }
    let code = frames.goodbye().await;
    assert!(
        !is_open || code.is_some(),
        "{opened} streams were opened and reset without an end"
    );
    assert!(
        code.is_none_or(|code| code == 11 || code == 1),
        "ENHANCE_YOUR_CALM, not {code:?}"
    );
    others_are_served(&gateway).await;
    assert!(
        upstream.requests().len() < 2_000,
        "{} reached the upstream",
        upstream.requests().len()
    );
}

#[tokio::test]
async fn an_endless_header_block_is_cut_off() {
    // RUSTSEC-2024-0332: CONTINUATION frames without end.
    let (_upstream, gateway) = in_front_of_a_slow_upstream().await;
    let before = gateway.resident_bytes();
    let mut frames = Frames::connect(gateway.proxy()).await;
    frames.frame(HEADERS, END_STREAM, 1, &block(GET)).await;
    let filler = block(&[("x-filler", &"x".repeat(120))]).repeat(100);
    let mut sent = 0;
    while sent < 5_000 && frames.frame(CONTINUATION, 0, 1, &filler).await {
        sent += 1;
    }
    frames.goodbye().await;
    assert!(sent < 5_000, "65 MB of headers were taken");
    assert!(gateway.resident_bytes().saturating_sub(before) < 16 << 20);
    others_are_served(&gateway).await;
}

#[tokio::test]
async fn a_header_list_beyond_the_limit_is_refused() {
    let (upstream, gateway) = in_front_of_a_slow_upstream().await;
    let mut frames = Frames::connect(gateway.proxy()).await;
    let filler = block(&[("x-filler", &"x".repeat(120))]).repeat(100);
    frames.frame(HEADERS, END_STREAM, 1, &block(GET)).await;
    for _ in 0..4 {
        frames.frame(CONTINUATION, 0, 1, &filler).await;
    }
    frames.frame(CONTINUATION, END_HEADERS, 1, &[]).await;
    let outcome = frames.outcome_of(1).await;
    assert!(outcome != Outcome::Answered(0x88), "{outcome:?}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_others_live() {
    let upstream = Upstream::serving(|_| Answer::never()).await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("http2_max_concurrent_streams", "10")
        .start()
        .await;
    let mut frames = Frames::connect(gateway.proxy()).await;
    for index in 0..11 {
        frames.headers(index * 2 + 1, GET, true).await;
    }
    let outcome = frames.outcome_of(21).await;
    // REFUSED_STREAM (RFC 9113 section 5.1.2).
    assert_eq!(outcome, Outcome::Reset(7));
}

#[tokio::test]
async fn floods_of_control_frames_do_not_hold_others_up() {
    for (name, kind, payload) in [("PING", PING, vec![0; 8]), ("SETTINGS", SETTINGS, Vec::new())] {
        let (_upstream, gateway) = in_front_of_a_slow_upstream().await;
        let before = gateway.resident_bytes();
        let mut frames = Frames::connect(gateway.proxy()).await;
        // Never reads the acknowledgements.
        for _ in 0..20_000 {
            let write = frames.frame(kind, 0, 0, &payload);
            if !matches!(timeout(Duration::from_millis(200), write).await, Ok(true)) {
                break;
            }
        }
        others_are_served(&gateway).await;
        let grown = gateway.resident_bytes().saturating_sub(before);
        assert!(grown < 16 << 20, "{name}: {grown} bytes more");
    }
}

#[tokio::test]
async fn empty_data_frames_without_end_are_cut_off_or_cost_nothing() {
    // RUSTSEC-2026-0258.
    let (_upstream, gateway) = in_front_of_a_slow_upstream().await;
    let before = gateway.resident_bytes();
    let mut frames = Frames::connect(gateway.proxy()).await;
    frames
        .headers(
            1,
            &[
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
            ],
            false,
        )
        .await;
    for _ in 0..50_000 {
        let write = frames.frame(DATA, 0, 1, &[]);
        if !matches!(timeout(Duration::from_millis(200), write).await, Ok(true)) {
            break;
        }
    }
    others_are_served(&gateway).await;
    assert!(gateway.resident_bytes().saturating_sub(before) < 16 << 20);
}

#[tokio::test]
async fn a_window_that_never_opens_costs_bounded_memory() {
    let upstream = Upstream::serving(|request| match request.header("x-fast") {
        "" => Answer::ok(vec![b'x'; 8 << 20]),
        _ => Answer::ok("fast"),
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    gateway.call(&Request::get("/").header("x-fast", "1")).await;
    let before = gateway.resident_bytes();
    let mut frames = Frames::connect(gateway.proxy()).await;
    for index in 0..50 {
        frames.headers(index * 2 + 1, GET, true).await;
    }
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes for 400 MiB that nobody takes");
    others_are_served(&gateway).await;
}

#[tokio::test]
async fn broken_frames_end_the_connection_with_a_reason() {
    let (_upstream, gateway) = in_front_of_a_slow_upstream().await;
    let cases: [(&str, u8, u8, u32, &[u8]); 7] = [
        ("DATA on stream 0", DATA, 0, 0, b"x"),
        (
            "HEADERS on an even stream",
            HEADERS,
            END_HEADERS | END_STREAM,
            2,
            &[0x82],
        ),
        ("CONTINUATION from nowhere", CONTINUATION, END_HEADERS, 1, &[]),
        ("SETTINGS with a broken length", SETTINGS, 0, 0, &[0; 5]),
        ("PING with a broken length", PING, 0, 0, &[0; 7]),
        ("WINDOW_UPDATE by nothing", WINDOW_UPDATE, 0, 0, &[0; 4]),
        (
            "an index beyond the table",
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &[0xff, 0xff, 0xff, 0x7f],
        ),
    ];
    for (name, kind, flags, stream, payload) in cases {
        let mut frames = Frames::connect(gateway.proxy()).await;
        frames.frame(kind, flags, stream, payload).await;
        let code = frames.goodbye().await;
        assert!(code.is_some_and(|code| code != 0), "{name}: {code:?}");
    }
    others_are_served(&gateway).await;
}
