//! HTTP/2 from clients and to upstreams.

use crate::ask::{service, service_at};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use std::time::Duration;
use tidegate_tests::tls::{Certificate, Hello};
use tidegate_tests::{Answer, Gateway, H2Client, H2Upstream, RawClient, Request, Upstream, h2_client};

#[tokio::test]
async fn h2c_with_prior_knowledge_reaches_an_http1_upstream() {
    let upstream = Upstream::serving(|request| Answer::ok(request.body.clone()).header("X-A", "1")).await;
    let gateway = Gateway::start(service(&upstream, "- {hosts: [a.test]}")).await;
    let mut client = H2Client::cleartext(gateway.proxy()).await;
    let request = http::Request::post("http://a.test/p?q=1")
        .header("x-b", "2")
        .body(h2_client::full("body"))
        .unwrap();
    let answer = client.call(request).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..], answer.header("x-a")),
        (200, &b"body"[..], "1")
    );
    let seen = upstream.last();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str(), seen.header("x-b")),
        ("POST", "/p?q=1", "2")
    );
    assert_eq!(
        seen.headers.all("Host").len(),
        1,
        "the authority becomes Host: {seen:?}"
    );
    assert!(
        !seen.headers.0.iter().any(|(name, _)| name.starts_with(':')),
        "{seen:?}"
    );
}

#[tokio::test]
async fn https_clients_get_http2_where_the_listener_says_so() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut client = H2Client::tls(gateway.tls(), "a.test").await;
    assert_eq!(client.call(h2_client::get("https://a.test/")).await.status, 200);
    assert_eq!(upstream.last().header("X-Forwarded-Proto"), "https");
    let hello = Hello {
        alpn: &["http/1.1"],
        ..Hello::to("a.test")
    };
    let mut client = RawClient::connect_tls(gateway.tls(), hello).await;
    assert_eq!(client.alpn.as_deref(), Some("http/1.1"));
    assert_eq!(client.call(&Request::get("/")).await.status, 200);
}

#[tokio::test]
async fn streams_of_one_connection_do_not_wait_for_each_other() {
    let upstream = Upstream::serving(|request| match request.target.as_str() {
        "/slow" => Answer::after(Duration::from_millis(600), Answer::ok("slow")),
        _ => Answer::ok("fast"),
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let client = H2Client::cleartext(gateway.proxy()).await;
    let (mut first, mut second) = (client.clone(), client);
    let slow = tokio::spawn(async move { first.call(h2_client::get("http://a/slow")).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = std::time::Instant::now();
    assert_eq!(
        &second.call(h2_client::get("http://a/fast")).await.body[..],
        b"fast"
    );
    assert!(
        started.elapsed() < Duration::from_millis(450),
        "waited {:?}",
        started.elapsed()
    );
    assert_eq!(&slow.await.unwrap().body[..], b"slow");
}

#[tokio::test]
async fn headers_of_http1_connections_do_not_reach_http2_clients() {
    let upstream = Upstream::serving(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let answer = H2Client::cleartext(gateway.proxy())
        .await
        .call(h2_client::get("http://a/"))
        .await;
    assert_eq!(&answer.body[..], b"ok");
    for name in ["connection", "x-hop", "keep-alive", "transfer-encoding"] {
        assert!(!answer.headers.contains_key(name), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn trailers_pass_between_http2_and_http1() {
    let upstream = Upstream::serving(|request| {
        let sum = request.trailers.get("x-sum").unwrap_or("none").to_owned();
        Answer::raw(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-back\r\n\r\n1\r\na\r\n0\r\nx-back: {sum}\r\n\r\n"))
    })
    .await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let trailers = http::HeaderMap::from_iter([("x-sum".parse().unwrap(), "3".parse().unwrap())]);
    let request = http::Request::post("http://a/")
        .header("te", "trailers")
        .body(h2_client::with_trailers("abc", trailers))
        .unwrap();
    let answer = H2Client::cleartext(gateway.proxy()).await.call(request).await;
    assert_eq!(upstream.last().body, b"abc");
    assert!(
        ["3", "none"].contains(&answer.trailer("x-back")),
        "trailers arrive, or are left out whole: {answer:?}"
    );
}

#[tokio::test]
async fn grpcs_upstreams_are_spoken_to_in_http2_over_tls() {
    let certificate = Certificate::for_names(&["localhost"]);
    let upstream = H2Upstream::tls(&certificate, |request| {
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        http::Response::new(h2_client::with_trailers(request.body.clone(), trailers))
    })
    .await;
    let url = format!("grpcs://{}", upstream.address());
    let gateway = Gateway::start(service_at(
        &url,
        "",
        "- {paths: [/], strip_path: false, protocols: [grpc, grpcs]}",
    ))
    .await;
    let mut client = H2Client::tls(gateway.tls(), "a.test").await;
    for _ in 0..3 {
        let answer = client.call(h2_client::grpc("https://a.test/p.S/M", b"x")).await;
        assert_eq!(answer.trailer("grpc-status"), "0", "{answer:?}");
    }
    assert_eq!(upstream.connections(), 1, "one connection carries all calls");
}

#[tokio::test]
async fn a_grpc_stream_is_passed_on_piece_by_piece() {
    let upstream = H2Upstream::serving(|request| {
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        http::Response::new(h2_client::with_trailers(request.body.clone(), trailers))
    })
    .await;
    let url = format!("grpc://{}", upstream.address());
    let gateway = Gateway::start(service_at(
        &url,
        "",
        "- {paths: [/], strip_path: false, protocols: [grpc]}",
    ))
    .await;
    let pieces = futures_util::stream::unfold(0, |count| async move {
        if count == 10 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((
            Ok(hyper::body::Frame::data(bytes::Bytes::from(vec![1; 10_000]))),
            count + 1,
        ))
    });
    let body = BodyExt::boxed(http_body_util::StreamBody::new(Box::pin(pieces.fuse())));
    let request = http::Request::post("http://a/p.S/M")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    let answer = H2Client::cleartext(gateway.proxy()).await.call(request).await;
    assert_eq!((answer.body.len(), answer.trailer("grpc-status")), (100_000, "0"));
}

#[tokio::test]
async fn a_large_upload_over_http2_is_bounded_by_what_the_upstream_takes() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/], request_buffering: false}")).await;
    let request = http::Request::post("http://a/")
        .body(h2_client::full(vec![b'x'; 30 << 20]))
        .unwrap();
    assert_eq!(
        H2Client::cleartext(gateway.proxy())
            .await
            .call(request)
            .await
            .status,
        200
    );
    assert_eq!(upstream.last().body.len(), 30 << 20);
}

#[tokio::test]
async fn a_listener_without_the_flag_speaks_no_http2() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("proxy_listen", "{proxy}, {tls} ssl")
        .start()
        .await;
    let mut client = gateway.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    if let Ok(response) = client.try_response("GET").await {
        assert!(matches!(response.status, 400 | 505), "{response:?}");
    }
    let hello = Hello {
        alpn: &["h2", "http/1.1"],
        ..Hello::to("a.test")
    };
    let client = RawClient::connect_tls(gateway.tls(), hello).await;
    assert_ne!(client.alpn.as_deref(), Some("h2"));
    assert!(upstream.requests().is_empty());
}
