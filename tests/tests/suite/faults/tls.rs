//! Backends behind TLS that fail before the first byte of HTTP.

use std::time::{Duration, Instant};
use tidegate_tests::tls::{Authority, Certificate};
use tidegate_tests::{Fault, Faulty, Gateway, Request};

const CA: &str = "33333333-3333-4333-8333-333333333333";

/// A gateway that trusts that authority, with one service at `/`.
async fn trusting(authority: &Authority, url: &str, fields: &str) -> Gateway {
    let cert = Certificate::indented(&authority.cert_pem, 4);
    Gateway::start(format!(
        "ca_certificates:\n- id: {CA}\n  cert: |\n{cert}services:\n- {{name: s, url: \"{url}\", tls_verify: true, ca_certificates: [{CA}], {fields}, routes: [{{paths: [/]}}]}}\n"
    ))
    .await
}

#[tokio::test]
async fn an_expired_certificate_is_a_502_for_any_method_and_nothing_is_sent() {
    let authority = Authority::new("Known");
    let backend = Faulty::tls(&authority.expired_certificate("localhost"), None).await;
    let gateway = trusting(&authority, &backend.url(), "retries: 2").await;
    for request in [Request::get("/"), Request::post("/", "secret")] {
        assert_eq!(gateway.call(&request).await.status, 502);
    }
    assert!(backend.requests().is_empty());
    assert_eq!(backend.connections(), 6, "each is tried three times");
    gateway.logs("TLS handshake failed").await;
}

#[tokio::test]
async fn an_expired_certificate_is_taken_where_nothing_is_verified() {
    let authority = Authority::new("Known");
    let backend = Faulty::tls(&authority.expired_certificate("localhost"), None).await;
    let url = backend.url();
    let gateway = Gateway::start(format!(
        "services:\n- {{name: s, url: \"{url}\", tls_verify: false, routes: [{{paths: [/]}}]}}\n"
    ))
    .await;
    assert_eq!(gateway.get("/").await.text(), "sound");
}

#[tokio::test]
async fn a_handshake_that_breaks_off_is_a_502_and_the_backend_serves_again_once_it_is_mended() {
    let authority = Authority::new("Known");
    for fault in [Fault::Refuses, Fault::ClosesAtOnce, Fault::ResetsAtOnce] {
        let backend = Faulty::tls(&authority.certificate("localhost"), Some(fault)).await;
        let gateway = trusting(&authority, &backend.url(), "retries: 1").await;
        assert_eq!(
            gateway.call(&Request::post("/", "x")).await.status,
            502,
            "{fault:?}"
        );
        backend.is_mended().await;
        assert_eq!(gateway.get("/").await.text(), "sound", "{fault:?}");
    }
}

#[tokio::test]
async fn a_backend_that_answers_a_handshake_in_the_clear_is_a_502_and_one_that_is_silent_a_504() {
    let authority = Authority::new("Known");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = Faulty::with(Fault::Garbage).await;
    let started = Instant::now();
    for (port, status) in [
        (plain.address().port(), 504),
        (silent.local_addr().unwrap().port(), 504),
    ] {
        // The plain one waits for the end of a head that never comes: it is silent too.
        let url = format!("https://localhost:{port}");
        let gateway = trusting(&authority, &url, "retries: 0, connect_timeout: 400").await;
        assert_eq!(gateway.get("/").await.status, status, "{url}");
    }
    assert!(started.elapsed() < Duration::from_secs(15));
}
