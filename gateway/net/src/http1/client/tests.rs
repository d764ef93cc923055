use super::*;
use crate::gate::{ConnectionState, Gate};
use http::response::Parts;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use std::convert::Infallible;
use tokio::io::{AsyncReadExt, DuplexStream};

type TestBody = UnsyncBoxBody<Bytes, Infallible>;

fn connection() -> (ClientConnection<DuplexStream>, DuplexStream) {
    let (client, server) = tokio::io::duplex(1 << 20);
    let state = Rc::new(ConnectionState::default());
    (
        ClientConnection::new(Gate::new(server, Rc::default(), state, Vec::new()), 100),
        client,
    )
}

fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Parts {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, HeaderValue::from_static(value));
    }
    response.body(()).unwrap().into_parts().0
}

fn full(text: &'static str) -> TestBody {
    Full::new(Bytes::from(text)).boxed_unsync()
}

fn stream(parts: &'static [&'static str]) -> TestBody {
    let frames = parts.iter().map(|part| Ok(Frame::data(Bytes::from(*part))));
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

/// Sends `request`, answers it, and returns what the client received and whether the connection is kept.
async fn exchange(request: &str, parts: Parts, body: TestBody) -> (String, bool) {
    let (connection, mut client) = connection();
    client.write_all(request.as_bytes()).await.unwrap();
    let head = connection.next_request().await.unwrap().unwrap();
    let mut writer = ResponseWriter::new();
    let is_kept = writer
        .send(&connection, &head.asked(), &parts, body, |_, _| {})
        .await
        .unwrap();
    drop(connection);
    let mut received = String::new();
    client.read_to_string(&mut received).await.unwrap();
    (received, is_kept)
}

#[tokio::test]
async fn the_length_of_a_response_is_told_as_the_client_understands_it() {
    let dated = [("date", "today")];
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let (received, is_kept) = exchange(get, answer(200, &dated), full("abc")).await;
    assert_eq!(
        received,
        "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 3\r\n\r\nabc"
    );
    assert!(is_kept);
    let (received, is_kept) = exchange(get, answer(200, &dated), stream(&["ab", "c"])).await;
    assert!(
        received.ends_with("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        "{received}"
    );
    assert!(is_kept);
    let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let (received, is_kept) = exchange(old, answer(200, &dated), stream(&["ab", "c"])).await;
    assert_eq!(received, "HTTP/1.1 200 OK\r\nDate: today\r\n\r\nabc");
    assert!(!is_kept, "its end is the end of the connection");
    let (received, is_kept) = exchange(old, answer(200, &dated), full("abc")).await;
    assert!(
        received.contains("Connection: keep-alive\r\n") && is_kept,
        "{received}"
    );
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let head = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
    let with_length = [("date", "today"), ("content-length", "9")];
    let (received, is_kept) = exchange(head, answer(200, &with_length), full("")).await;
    assert_eq!(
        received,
        "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 9\r\n\r\n"
    );
    assert!(is_kept);
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let (received, _) = exchange(get, answer(204, &with_length), full("")).await;
    assert_eq!(received, "HTTP/1.1 204 No Content\r\nDate: today\r\n\r\n");
}

#[tokio::test]
async fn a_response_that_breaks_its_announced_length_is_an_error() {
    for body in ["ab", "abcd"] {
        let (connection, mut client) = connection();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let head = connection.next_request().await.unwrap().unwrap();
        let parts = answer(200, &[("content-length", "3")]);
        let sent = ResponseWriter::new()
            .send(&connection, &head.asked(), &parts, full(body), |_, _| {})
            .await;
        assert!(matches!(sent, Err(ClientError::Response(_))), "{body}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (connection, mut client) = connection();
    let requests =
        "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET /2 HTTP/1.1\r\nHost: x\r\n\r\n";
    client.write_all(requests.as_bytes()).await.unwrap();
    let mut writer = ResponseWriter::new();
    for expected in ["/1", "/2"] {
        let head = connection.next_request().await.unwrap().unwrap();
        assert_eq!(head.target.as_str(), expected);
        // The body of the first one is never asked for: what is here of it is thrown away.
        let sent = writer
            .send(
                &connection,
                &head.asked(),
                &answer(200, &[]),
                full("ok"),
                |_, _| {},
            )
            .await;
        assert!(sent.unwrap());
    }
}

#[tokio::test]
async fn a_body_that_is_not_here_when_the_answer_is_closes_the_connection() {
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhi";
    let (_, is_kept) = exchange(request, answer(401, &[]), full("no")).await;
    assert!(!is_kept);
}

#[tokio::test]
async fn continue_is_said_when_the_body_is_first_asked_for_and_only_then() {
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let (received, is_kept) = exchange(request, answer(403, &[]), full("no")).await;
    assert!(received.starts_with("HTTP/1.1 403") && !is_kept, "{received}");
    let (connection, mut client) = connection();
    client.write_all(request.as_bytes()).await.unwrap();
    connection.next_request().await.unwrap().unwrap();
    let body = connection.body().expect("a body");
    let sending = async {
        let mut line = vec![0; CONTINUE.len()];
        client.read_exact(&mut line).await.unwrap();
        assert_eq!(line, CONTINUE);
        client.write_all(b"hi").await.unwrap();
    };
    let (body, ()) = tokio::join!(body.collect(), sending);
    assert_eq!(body.unwrap().to_bytes(), "hi");
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_while_its_answer_is_made() {
    let (connection, mut client) = connection();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    connection.next_request().await.unwrap().unwrap();
    drop(client);
    poll_fn(|cx| connection.poll_left(cx)).await;
    assert!(connection.next_request().await.unwrap().is_none());
}
