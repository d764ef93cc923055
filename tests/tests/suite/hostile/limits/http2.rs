//! HTTP/2 connections from clients.

use super::limited;
use crate::ask::service;
use crate::hostile::frames::{Ended, Frames, GET, Outcome};
use std::time::Duration;
use tidegate_tests::{Answer, Gateway, Upstream};

/// ENHANCE_YOUR_CALM (RFC 9113 section 7).
const CALM: u32 = 11;

async fn in_front_of_a_pause(setting: (&str, &str)) -> (Upstream, Gateway) {
    let upstream = Upstream::serving(|_| Answer::after(Duration::from_millis(300), Answer::ok("ok"))).await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting(setting.0, setting.1)
        .start()
        .await;
    (upstream, gateway)
}

#[tokio::test]
async fn as_many_streams_as_allowed_are_open_and_one_more_is_refused() {
    let (upstream, gateway) = in_front_of_a_pause(("http2_max_concurrent_streams", "10")).await;
    let mut frames = Frames::connect(gateway.proxy()).await;
    let ids: Vec<u32> = (0..11).map(|index| index * 2 + 1).collect();
    frames.open_at_once(&ids).await;
    let outcomes = frames.outcomes_of(&ids).await;
    // 0x88 is status 200; REFUSED_STREAM is 7 (RFC 9113 section 5.1.2).
    assert!(
        ids[..10].iter().all(|id| outcomes[id] == Outcome::Answered(0x88)),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[&ids[10]], Outcome::Reset(7));
    assert_eq!(upstream.requests().len(), 10);
}

#[tokio::test]
async fn a_connection_serves_as_many_requests_as_allowed_and_says_goodbye() {
    let (_upstream, gateway) = limited(&[("http2_keepalive_requests", "2")]).await;
    let mut frames = Frames::connect(gateway.proxy()).await;
    for stream in [1, 3] {
        frames.headers(stream, GET, true).await;
        assert_eq!(
            frames.outcome_of(stream).await,
            Outcome::Answered(0x88),
            "{stream}"
        );
    }
    assert_eq!(frames.goodbye().await, Some(0), "the connection closes in peace");
}

#[tokio::test]
async fn streams_reset_before_they_were_looked_at_are_counted() {
    for (streams, ends) in [(5, false), (6, true)] {
        let (_upstream, gateway) = in_front_of_a_pause(("http2_max_pending_accept_reset_streams", "5")).await;
        let mut frames = Frames::connect(gateway.proxy()).await;
        frames.settle().await;
        frames.open_and_reset_at_once(streams).await;
        assert_ending(&mut frames, ends, streams).await;
    }
}

#[tokio::test]
async fn streams_reset_for_the_clients_mistakes_are_counted() {
    for (streams, ends) in [(5, false), (6, true)] {
        let (_upstream, gateway) = in_front_of_a_pause(("http2_max_local_error_reset_streams", "5")).await;
        let mut frames = Frames::connect(gateway.proxy()).await;
        // Announces a body and ends without one (RFC 9113 section 8.1.1).
        let mistaken = [GET, &[("content-length", "5")]].concat();
        for index in 0..streams {
            frames.headers(index * 2 + 1, &mistaken, true).await;
        }
        assert_ending(&mut frames, ends, streams).await;
    }
}

async fn assert_ending(frames: &mut Frames, ends: bool, streams: u32) {
    let ended = frames.ending().await;
    let wanted = if ends { Ended::GoAway(CALM) } else { Ended::Pong };
    assert_eq!(ended, wanted, "{streams} streams");
}

#[tokio::test]
async fn a_header_list_below_the_limit_is_served_and_one_that_reaches_it_is_not() {
    let (upstream, gateway) = limited(&[("http2_max_header_list_size", "2k")]).await;
    for (size, is_served) in [(2_047, true), (2_048, false)] {
        let mut frames = Frames::connect(gateway.proxy()).await;
        frames.headers(1, &fields_of_size(size), true).await;
        let outcome = frames.outcome_of(1).await;
        assert_eq!(
            outcome == Outcome::Answered(0x88),
            is_served,
            "{size}: {outcome:?}"
        );
    }
    assert_eq!(upstream.requests().len(), 1);
}

/// A GET whose fields count this much: names, values and 32 for each (RFC 9113 section 6.5.2).
fn fields_of_size(size: usize) -> Vec<(&'static str, &'static str)> {
    let filler: &'static str = "x".repeat(100).leak();
    let each = |(name, value): &(&str, &str)| name.len() + value.len() + 32;
    let mut fields = GET.to_vec();
    let mut used: usize = fields.iter().map(each).sum();
    while size - used > 300 {
        fields.push(("x", filler));
        used += 1 + filler.len() + 32;
    }
    let left = size - used - 2 * 33;
    fields.push(("y", "y".repeat(left / 2).leak()));
    fields.push(("z", "z".repeat(left - left / 2).leak()));
    assert_eq!(fields.iter().map(each).sum::<usize>(), size);
    fields
}

#[tokio::test]
async fn the_client_is_told_the_bounds_that_hold_for_it() {
    let (_upstream, gateway) = limited(&[
        ("http2_max_concurrent_streams", "77"),
        ("http2_stream_window", "70000"),
        ("http2_connection_window", "300000"),
        ("http2_max_header_list_size", "3000"),
    ])
    .await;
    let mut frames = Frames::connect(gateway.proxy()).await;
    let told = frames.announced().await;
    // RFC 9113 section 6.5.2; the connection's window starts at 65,535 and is raised by WINDOW_UPDATE.
    assert_eq!(told.setting(3), Some(77), "SETTINGS_MAX_CONCURRENT_STREAMS");
    assert_eq!(told.setting(4), Some(70_000), "SETTINGS_INITIAL_WINDOW_SIZE");
    assert_eq!(told.setting(6), Some(3_000), "SETTINGS_MAX_HEADER_LIST_SIZE");
    assert_eq!(told.connection_window, 300_000);
}
