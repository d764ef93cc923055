//! Answers that the gateway makes (kong-core E.3).

use crate::ask::{ask, each, service, service_at};
use std::time::Duration;
use tidegate_tests::ports::refusing_address;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream};

async fn dead() -> Gateway {
    let url = format!("http://{}", refusing_address());
    Gateway::start(service_at(&url, "retries: 0", "- {paths: [/]}")).await
}

const INVALID: &str = "An invalid response was received from the upstream server";

#[tokio::test]
async fn a_refused_connection_is_a_502_that_counts_as_proxied() {
    let gateway = dead().await;
    let response = gateway.get("/").await;
    assert_eq!(response.status, 502);
    for name in ["X-Kong-Upstream-Latency", "X-Kong-Proxy-Latency", "Via", "Server"] {
        assert!(response.headers.has(name), "{name} is missing: {response:?}");
    }
    assert_eq!(response.header("Content-Type"), "text/plain; charset=utf-8");
    assert_eq!(
        response.text(),
        format!(
            "{INVALID}\nrequest_id: {}\n",
            response.header("X-Kong-Request-Id")
        )
    );
}

#[tokio::test]
async fn the_form_of_an_error_follows_what_the_client_accepts() {
    let gateway = dead().await;
    let gateway = &gateway;
    /// Headers of the request, the type that they lead to, and parts of such a body.
    type Case = (
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static [&'static str],
    );
    let cases: [Case; 8] = [
        (
            &[("Accept", "text/html")],
            "text/html; charset=utf-8",
            &["<p>An invalid response was received from the upstream server.</p>"],
        ),
        (
            &[("Accept", "application/xml")],
            "application/xml; charset=utf-8",
            &["<message>", "<requestid>"],
        ),
        (
            &[("Accept", "application/json")],
            "application/json; charset=utf-8",
            &["\"message\":\"", "\"request_id\":\""],
        ),
        (
            &[("Accept", "text/plain")],
            "text/plain; charset=utf-8",
            &["request_id: "],
        ),
        (
            &[("Accept", "text/html;q=0.1, application/json;q=0.9")],
            "application/json; charset=utf-8",
            &[],
        ),
        (&[("Accept", "image/png")], "application/json; charset=utf-8", &[]),
        (&[("Accept", "text/*")], "text/plain; charset=utf-8", &[]),
        (
            &[("Content-Type", "application/json")],
            "application/json; charset=utf-8",
            &[],
        ),
    ];
    each(cases, |(headers, content_type, parts)| async move {
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| {
            request.header(name, value)
        });
        let response = gateway.call(&request).await;
        if response.header("Content-Type") != content_type {
            return Err(format!("{headers:?}: {}", response.header("Content-Type")));
        }
        let text = response.text();
        match parts.iter().find(|part| !text.contains(**part)) {
            Some(part) => Err(format!("{headers:?}: no {part} in {text}")),
            None => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_wish_an_unrouted_request_gets_json_and_an_upstream_error_plain_text() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/x]}")).await;
    let response = gateway.get("/").await;
    assert_eq!(response.header("Content-Type"), "application/json; charset=utf-8");
    assert_eq!(
        response.json()["request_id"],
        response.header("X-Kong-Request-Id")
    );
}

#[tokio::test]
async fn the_default_form_of_errors_is_a_setting() {
    let url = format!("http://{}", refusing_address());
    let gateway = Gateway::with(service_at(&url, "retries: 0", "- {paths: [/]}"))
        .setting("error_default_type", "text/html")
        .start()
        .await;
    assert_eq!(
        gateway.get("/").await.header("Content-Type"),
        "text/html; charset=utf-8"
    );
}

#[tokio::test]
async fn an_error_template_of_ones_own_gets_message_and_request_id() {
    let url = format!("http://{}", refusing_address());
    let gateway = Gateway::with(service_at(&url, "retries: 0", "- {paths: [/]}"))
        .file("error.json", "{\"oops\":\"%s\",\"id\":\"%s\"}")
        .setting("error_template_json", "{folder}/error.json")
        .start()
        .await;
    let response = gateway.call(&ask("GET / Accept:application/json")).await;
    assert_eq!(response.json()["oops"], INVALID);
    assert_eq!(response.json()["id"], response.header("X-Kong-Request-Id"));
}

#[tokio::test]
async fn a_template_that_cannot_be_read_leaves_the_built_in_one() {
    let url = format!("http://{}", refusing_address());
    let started = Gateway::with(service_at(&url, "retries: 0", "- {paths: [/]}"))
        .setting("error_template_json", "{folder}/missing.json")
        .try_start()
        .await;
    match started {
        Ok(gateway) => {
            let response = gateway.call(&ask("GET / Accept:application/json")).await;
            assert_eq!(response.message(), INVALID);
        }
        Err((_, log)) => assert!(log.contains("missing.json"), "{log}"),
    }
}

#[tokio::test]
async fn without_accept_the_media_type_of_the_request_decides() {
    let gateway = dead().await;
    let request = Request::post("/", "{}").header("Content-Type", "application/json");
    let response = gateway.call(&request).await;
    assert_eq!((response.status, response.message().as_str()), (502, INVALID));
    assert!(response.header("Content-Type").starts_with("application/json"));
}

#[tokio::test]
async fn an_error_to_head_has_no_body() {
    let gateway = dead().await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    assert_eq!(client.call(&Request::new("HEAD", "/")).await.status, 502);
    client
        .assert_open(&Request::get("/"), "nothing followed the head")
        .await;
}

#[tokio::test]
async fn timeouts_are_504() {
    let upstream = Upstream::serving(|_| Answer::never()).await;
    let gateway = Gateway::start(service_at(
        &upstream.url(),
        "retries: 0\nread_timeout: 100",
        "- {paths: [/]}",
    ))
    .await;
    let response = gateway.get("/").await;
    assert_eq!(
        (response.status, response.text().lines().next().unwrap()),
        (504, "The upstream server is timing out")
    );
    // 192.0.2.0/24 is for documentation (RFC 5737): nothing answers there. Where the network says so at once, the
    // answer is a 502.
    let gateway = Gateway::start(service_at(
        "http://192.0.2.1:81",
        "retries: 0\nconnect_timeout: 100",
        "- {paths: [/]}",
    ))
    .await;
    assert!(matches!(gateway.get("/").await.status, 502 | 504));
}

#[tokio::test]
async fn a_backend_that_stops_reading_is_a_504() {
    let upstream = Upstream::serving_at_head(|_| Answer::never()).await;
    let gateway = Gateway::start(service_at(
        &upstream.url(),
        "retries: 0\nwrite_timeout: 200\nread_timeout: 20000",
        "- {paths: [/], request_buffering: false}",
    ))
    .await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            64 << 20
        ))
        .await;
    let chunk = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while sent < 64 && client.try_send(&chunk, Duration::from_secs(2)).await {
        sent += 1;
    }
    assert!(sent < 64, "a backend that reads nothing cannot take 64 MiB");
    assert_eq!(client.response().await.status, 504);
}

#[tokio::test]
async fn an_upstreams_own_error_passes_untouched() {
    let upstream = Upstream::serving(|_| Answer::status(503).header("X-Own", "1").body("mine")).await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let response = gateway.get("/").await;
    assert_eq!(
        (
            response.status,
            response.text().as_str(),
            response.header("X-Own")
        ),
        (503, "mine", "1")
    );
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused_in_kongs_words() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let response = gateway
        .call(&Request::get("/").header("X-Big", &"x".repeat(10 << 10)))
        .await;
    assert_eq!(response.status, 400);
    assert!(
        response.text().contains("Request header or cookie too large"),
        "{response:?}"
    );
    let response = gateway.get(&format!("/{}", "x".repeat(9 << 10))).await;
    assert_eq!(response.status, 414);
    assert!(response.text().contains("URI too long"), "{response:?}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_and_without_a_limit_20_mib_pass() {
    let upstream = Upstream::ok().await;
    let yaml = service(&upstream, "- {paths: [/]}");
    let limited = Gateway::with(yaml.clone())
        .setting("client_max_body_size", "1k")
        .start()
        .await;
    let response = limited.call(&Request::post("/", vec![b'x'; 2_048])).await;
    assert_eq!(response.status, 413);
    assert!(response.text().contains("Payload too large"), "{response:?}");
    assert!(upstream.requests().is_empty(), "nothing of it went on");
    assert_eq!(
        limited.call(&Request::post("/", vec![b'x'; 1_024])).await.status,
        200,
        "at the bound"
    );
    let free = Gateway::start(yaml).await;
    assert_eq!(
        free.call(&Request::post("/", vec![b'x'; 20 << 20])).await.status,
        200
    );
    assert_eq!(upstream.last().body.len(), 20 << 20);
}

#[tokio::test]
async fn a_chunked_body_is_held_to_the_limit_as_it_comes() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("client_max_body_size", "1k")
        .start()
        .await;
    let mut client = gateway
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..3 {
        client.send(format!("200\r\n{}\r\n", "x".repeat(512))).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.response().await.status, 413);
    assert!(
        !upstream.requests().iter().any(|request| request.is_complete),
        "the upstream must not take it as whole"
    );
}

#[tokio::test]
async fn global_plugins_touch_even_the_answer_to_a_broken_request() {
    let upstream = Upstream::ok().await;
    let global = "plugins: [{name: response-transformer, config: {add: {headers: [\"x-touched:1\"]}}}]\n";
    let gateway = Gateway::start(format!("{}{global}", service(&upstream, "- {paths: [/x]}"))).await;
    assert_eq!(gateway.get("/unrouted").await.header("x-touched"), "1");
    let response = gateway.send("GET / HTTP/1.1\r\n\r\n").await.response().await;
    assert_eq!(
        (response.status, response.header("x-touched")),
        (400, "1"),
        "{response:?}"
    );
}
