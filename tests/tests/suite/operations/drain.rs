//! Stopping: nothing new, everything open is finished, bounded by a deadline.

use crate::ask::service;
use std::time::{Duration, Instant};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, H2Client, RawClient, Request, Upstream, eventually, h2_client};
use tokio::net::TcpStream;

async fn slow(pause: Duration) -> Upstream {
    Upstream::serving(move |request| match request.target.as_str() {
        "/slow" => Answer::after(pause, Answer::ok("finished")),
        _ => Answer::ok("ok"),
    })
    .await
}

#[tokio::test]
async fn a_stopping_gateway_finishes_what_is_open_and_takes_nothing_new() {
    for signal in ["TERM", "QUIT"] {
        let upstream = slow(Duration::from_millis(800)).await;
        let mut gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
        let mut busy = gateway.send(Request::get("/slow").bytes()).await;
        eventually("the request is on its way", PATIENCE, async || {
            (!upstream.requests().is_empty()).then_some(())
        })
        .await;
        gateway.signal(signal);
        let proxy = gateway.proxy();
        eventually("new connections are refused", PATIENCE, async || {
            TcpStream::connect(proxy).await.is_err().then_some(())
        })
        .await;
        let response = busy.response().await;
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "finished"),
            "SIG{signal}"
        );
        assert!(
            response.header("Connection").eq_ignore_ascii_case("close"),
            "{response:?}"
        );
        assert!(gateway.ended().await.success());
    }
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_end_up() {
    let upstream = slow(Duration::ZERO).await;
    let mut gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut idle = RawClient::connect(gateway.proxy()).await;
    idle.call(&Request::get("/")).await;
    let silent = RawClient::connect(gateway.proxy()).await;
    let started = Instant::now();
    gateway.signal("TERM");
    idle.assert_closed("idle").await;
    assert!(gateway.ended().await.success());
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    drop(silent);
}

#[tokio::test]
async fn the_grace_is_the_longest_that_a_request_can_hold_the_end_up() {
    let upstream = slow(Duration::from_secs(60)).await;
    let mut gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("shutdown_grace", "1s")
        .start()
        .await;
    let _busy = gateway.send(Request::get("/slow").bytes()).await;
    eventually("the request is on its way", PATIENCE, async || {
        (!upstream.requests().is_empty()).then_some(())
    })
    .await;
    let started = Instant::now();
    gateway.signal("TERM");
    gateway.ended().await;
    assert!(
        started.elapsed() > Duration::from_millis(800),
        "{:?}",
        started.elapsed()
    );
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn http2_streams_in_flight_are_finished_too() {
    let upstream = slow(Duration::from_millis(600)).await;
    let mut gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut client = H2Client::cleartext(gateway.proxy()).await;
    let call = tokio::spawn(async move { client.try_call(h2_client::get("http://a/slow")).await });
    eventually("the request is on its way", PATIENCE, async || {
        (!upstream.requests().is_empty()).then_some(())
    })
    .await;
    gateway.signal("TERM");
    let answer = call.await.unwrap().expect("the stream is finished");
    assert_eq!(&answer.body[..], b"finished");
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn a_second_gateway_on_the_same_port_takes_over_without_a_refused_connection() {
    let upstream = slow(Duration::ZERO).await;
    let yaml = service(&upstream, "- {paths: [/]}");
    let first = Gateway::with(yaml.clone())
        .setting("proxy_listen", "{proxy} reuseport")
        .start()
        .await;
    let address = first.proxy();
    let mut second = Gateway::with(yaml)
        .setting("proxy_listen", format!("{{proxy}}, {address} reuseport"))
        .start()
        .await;
    let asking = tokio::spawn(async move {
        let mut failures = Vec::new();
        for _ in 0..300 {
            let Ok(stream) = TcpStream::connect(address).await else {
                failures.push("refused".to_owned());
                continue;
            };
            drop(stream);
            let mut client = RawClient::connect(address).await;
            client.send(Request::get("/").bytes()).await;
            match client.try_response("GET").await {
                Ok(response) if response.status == 200 => {}
                other => failures.push(format!("{other:?}")),
            }
        }
        failures
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.signal("TERM");
    let failures = asking.await.unwrap();
    assert!(
        failures.len() <= 1,
        "{} of 300 failed: {:?}",
        failures.len(),
        failures.first()
    );
    second.signal("TERM");
    assert!(second.ended().await.success());
}
