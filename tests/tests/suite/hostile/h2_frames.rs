//! HTTP/2 frame by frame: floods and lies (RFC 9113).

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GET, HEADERS, Outcome, PING, PRIORITY, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block,
};
use crate::ask::service;
use std::time::{Duration, Instant};
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream};
use tokio::time::timeout;

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
async fn streams_that_the_client_makes_us_reset_end_the_connection() {
    // CVE-2025-8671: the resets are ours, the work goes on behind them.
    let (upstream, gateway) = in_front_of_a_slow_upstream().await;
    let mut frames = Frames::connect(gateway.proxy()).await;
    let mut is_open = true;
    let mut opened = 0_u32;
    while is_open && opened < 20_000 {
        let id = opened * 2 + 1;
        // The window of the stream overflows (RFC 9113 section 6.9.1).
        is_open = frames.headers(id, GET, true).await
            && frames
                .frame(WINDOW_UPDATE, 0, id, &0x7fff_ffff_u32.to_be_bytes())
                .await;
        opened += 1;
    }
    frames.goodbye().await;
    assert!(!is_open, "{opened} streams were opened and made us reset them");
    others_are_served(&gateway).await;
    assert!(upstream.requests().len() < 4_000, "{}", upstream.requests().len());
}

#[tokio::test]
async fn a_small_block_that_unpacks_to_much_is_refused() {
    // One long field goes into the dynamic table (RFC 7541 section 6.2.1), then is named by its index, one byte each.
    let (upstream, gateway) = in_front_of_a_slow_upstream().await;
    let before = gateway.resident_bytes();
    let mut frames = Frames::connect(gateway.proxy()).await;
    let mut bomb = block(GET);
    bomb.extend([0x40, 1, b'x', 0x7f, 0x81, 0x17]);
    bomb.extend(vec![b'y'; 3_072]);
    bomb.extend(vec![0x80 | 62; 12_000]);
    frames.frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb).await;
    let outcome = frames.outcome_of(1).await;
    assert!(
        outcome != Outcome::Answered(0x88),
        "36 MB of fields were taken: {outcome:?}"
    );
    assert!(upstream.requests().is_empty());
    assert!(gateway.resident_bytes().saturating_sub(before) < 16 << 20);
    others_are_served(&gateway).await;
}

#[tokio::test]
async fn floods_of_control_frames_do_not_hold_others_up() {
    for (name, kind, stream, payload) in [
        ("PING", PING, 0, vec![0; 8]),
        ("SETTINGS", SETTINGS, 0, Vec::new()),
        ("PRIORITY", PRIORITY, 1, vec![0, 0, 0, 3, 16]),
        ("WINDOW_UPDATE", WINDOW_UPDATE, 0, vec![0, 0, 0, 1]),
    ] {
        let (_upstream, gateway) = in_front_of_a_slow_upstream().await;
        let before = gateway.resident_bytes();
        let mut frames = Frames::connect(gateway.proxy()).await;
        // Never reads the acknowledgements.
        for _ in 0..20_000 {
            let write = frames.frame(kind, 0, stream, &payload);
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
