//! The support library itself: a helper that forgives would make every other test worthless.

use std::time::Duration;
use tidegate_tests::http1::ReadError;
use tidegate_tests::tls::{Certificate, Hello};
use tidegate_tests::{Answer, H2Client, H2Upstream, RawClient, Request, Upstream, h2_client};

#[tokio::test]
async fn an_upstream_records_requests_as_they_were_sent() {
    let upstream = Upstream::ok().await;
    let mut client = RawClient::connect(upstream.address()).await;
    let answer = client
        .call(
            &Request::post("/a%2Fb?x", "body")
                .header("X-CaSe", " 1 ")
                .header("x-case", "2"),
        )
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let request = upstream.last();
    assert_eq!(
        (
            request.method.as_str(),
            request.target.as_str(),
            &request.body[..]
        ),
        ("POST", "/a%2Fb?x", &b"body"[..])
    );
    assert!(
        request.headers.0.contains(&("X-CaSe".to_owned(), "1".to_owned())),
        "names keep their case"
    );
    assert_eq!(request.headers.all("X-Case"), ["1", "2"]);
    assert!(request.is_complete);
    client.assert_open(&Request::get("/"), "keep-alive").await;
    assert_eq!((upstream.connections(), upstream.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_response_with_both_framings_is_malformed_to_the_client() {
    let both =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let upstream = Upstream::serving(move |_| Answer::raw(both)).await;
    let mut client = RawClient::connect(upstream.address()).await;
    client.send(Request::get("/").bytes()).await;
    assert!(matches!(
        client.try_response("GET").await,
        Err(ReadError::Malformed(_))
    ));
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error_to_the_client() {
    for broken in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    ] {
        let upstream = Upstream::serving(move |_| Answer::raw(broken).close()).await;
        let mut client = RawClient::connect(upstream.address()).await;
        client.send(Request::get("/").bytes()).await;
        assert!(
            matches!(client.try_response("GET").await, Err(ReadError::CutOff(_))),
            "{broken}"
        );
    }
}

#[tokio::test]
async fn scripts_can_pause_reset_and_stay_silent() {
    let upstream = Upstream::serving(|request| match request.target.as_str() {
        "/slow" => Answer::after(Duration::from_millis(30), Answer::ok("late")),
        "/reset" => Answer::raw("HTTP/1.1 2").reset(),
        _ => Answer::never(),
    })
    .await;
    let mut client = RawClient::connect(upstream.address()).await;
    assert_eq!(client.call(&Request::get("/slow")).await.text(), "late");
    client.send(Request::get("/reset").bytes()).await;
    assert!(client.try_response("GET").await.is_err());
    let mut client = RawClient::connect(upstream.address()).await;
    client.send(Request::get("/never").bytes()).await;
    assert!(!client.closes_within(Duration::from_millis(50)).await);
}

#[tokio::test]
async fn tls_and_http2_reach_their_upstreams() {
    let certificate = Certificate::for_names(&["a.test"]);
    let upstream = Upstream::tls(&certificate, |_| Answer::ok("secret")).await;
    let mut client = RawClient::connect_tls(upstream.address(), Hello::to("a.test")).await;
    assert_eq!(client.certificate.as_ref(), Some(&certificate.der));
    assert_eq!(client.call(&Request::get("/")).await.text(), "secret");

    let upstream = H2Upstream::tls(&certificate, |request| {
        let mut response = http::Response::new(h2_client::with_trailers(
            request.body.clone(),
            request.trailers.clone(),
        ));
        response
            .headers_mut()
            .insert("x-path", request.uri.path().parse().unwrap());
        response
    })
    .await;
    let mut client = H2Client::tls(upstream.address(), "a.test").await;
    let trailers = http::HeaderMap::from_iter([("x-sum".parse().unwrap(), "3".parse().unwrap())]);
    let request = http::Request::post("https://a.test/p")
        .body(h2_client::with_trailers("abc", trailers))
        .unwrap();
    let answer = client.call(request).await;
    assert_eq!(
        (answer.header("x-path"), &answer.body[..], answer.trailer("x-sum")),
        ("/p", &b"abc"[..], "3")
    );
}
