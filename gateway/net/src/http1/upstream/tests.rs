use super::*;
use crate::connect::connect;
use bytes::BufMut;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use std::convert::Infallible;
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type TestBody = UnsyncBoxBody<Bytes, Infallible>;

const LIMITS: HeadLimits = HeadLimits {
    max_headers: 100,
    max_bytes: 64 * 1_024,
};

/// A connection and the upstream's end of it.
async fn pair() -> (UpstreamConnection<TestBody>, TcpStream, Rc<Cell<u64>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = connect(address, Duration::from_secs(10), None);
    let (io, accepted) = tokio::join!(connecting, listener.accept());
    let open = Rc::new(Cell::new(0));
    (
        UpstreamConnection::new(io.unwrap(), LIMITS, Rc::clone(&open)),
        accepted.unwrap().0,
        open,
    )
}

fn begin(connection: &mut UpstreamConnection<TestBody>, body: Option<TestBody>, framing: BodyFraming) {
    let out = connection.begin(body, framing, false);
    out.put_slice(b"POST / HTTP/1.1\r\n\r\n");
}

async fn head(connection: &mut UpstreamConnection<TestBody>) -> Result<ResponseHead, Http1Error> {
    poll_fn(|cx| connection.poll_head(cx)).await
}

async fn body(
    connection: &mut UpstreamConnection<TestBody>,
) -> Result<(Vec<u8>, Option<http::HeaderMap>), Http1Error> {
    let (mut data, mut trailers) = (Vec::new(), None);
    while let Some(frame) = poll_fn(|cx| connection.poll_frame(cx)).await {
        match frame?.into_data() {
            Ok(bytes) => data.extend_from_slice(&bytes),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((data, trailers))
}

async fn receive(upstream: &mut TcpStream, until: &[u8]) -> String {
    let mut received = Vec::new();
    while !received.ends_with(until) {
        let count = upstream.read_buf(&mut received).await.unwrap();
        assert_ne!(count, 0, "closed after {:?}", String::from_utf8_lossy(&received));
    }
    String::from_utf8(received).unwrap()
}

#[tokio::test]
async fn exchanges_follow_one_another_on_a_connection() {
    let (mut connection, mut upstream, open) = pair().await;
    for round in 0..3 {
        begin(&mut connection, None, BodyFraming::Empty);
        let answering = async {
            receive(&mut upstream, b"\r\n\r\n").await;
            let answer =
                format!("HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{round}");
            upstream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (answer, ()) = tokio::join!(head(&mut connection), answering);
        assert_eq!(answer.unwrap().status, 200);
        assert_eq!(
            body(&mut connection).await.unwrap().0,
            round.to_string().as_bytes()
        );
        assert!(connection.is_reusable() && connection.is_alive());
    }
    assert_eq!(open.get(), 1);
    drop(connection);
    assert_eq!(open.get(), 0);
}

#[tokio::test]
async fn request_bodies_are_framed_and_trailers_pass_both_ways() {
    let (mut connection, mut upstream, _) = pair().await;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    let frames = [
        Ok(Frame::data(Bytes::from("hello"))),
        Ok(Frame::trailers(trailers)),
    ];
    let stream = StreamBody::new(futures_util::stream::iter(frames));
    begin(
        &mut connection,
        Some(BodyExt::boxed_unsync(stream)),
        BodyFraming::Chunked,
    );
    let answering = async {
        let request = receive(&mut upstream, b"7\r\n\r\n").await;
        assert_eq!(
            request,
            "POST / HTTP/1.1\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"
        );
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-End: 1\r\n\r\n";
        upstream.write_all(answer).await.unwrap();
    };
    let (answer, ()) = tokio::join!(head(&mut connection), answering);
    answer.unwrap();
    let (data, trailers) = body(&mut connection).await.unwrap();
    assert_eq!(
        (data.as_slice(), &trailers.unwrap()["x-end"]),
        (&b"ok"[..], &http::HeaderValue::from_static("1"))
    );
    assert!(connection.is_reusable());
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_fails_the_exchange() {
    for length in [2, 9] {
        let (mut connection, _upstream, _) = pair().await;
        let full = Full::new(Bytes::from("12345")).boxed_unsync();
        begin(&mut connection, Some(full), BodyFraming::Sized(length));
        assert!(
            matches!(head(&mut connection).await, Err(Http1Error::Body)),
            "{length}"
        );
    }
}

#[tokio::test]
async fn an_early_answer_is_read_while_the_request_is_still_open() {
    let (mut connection, mut upstream, _) = pair().await;
    let never = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    begin(
        &mut connection,
        Some(BodyExt::boxed_unsync(never)),
        BodyFraming::Sized(5),
    );
    let answering = async {
        receive(&mut upstream, b"\r\n\r\n").await;
        let answer = b"HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno";
        upstream.write_all(answer).await.unwrap();
    };
    let (answer, ()) = tokio::join!(head(&mut connection), answering);
    assert_eq!(answer.unwrap().status, 413);
    assert_eq!(body(&mut connection).await.unwrap().0, b"no");
    assert!(!connection.is_reusable(), "the request was never finished");
}

#[tokio::test]
async fn closed_and_chatty_connections_are_not_alive() {
    let (mut connection, upstream, _) = pair().await;
    assert!(connection.is_alive());
    drop(upstream);
    tokio::time::timeout(Duration::from_secs(10), async {
        while connection.is_alive() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the close is noticed");
    let (mut connection, mut upstream, _) = pair().await;
    upstream.write_all(b"HTTP/1.1 200 unasked\r\n\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), async {
        while connection.is_alive() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("unasked bytes are noticed");
}

#[tokio::test]
async fn cut_responses_are_told_apart_from_silent_ones() {
    for (answer, is_silent) in [("", true), ("HTTP/1.1 200", false)] {
        let (mut connection, mut upstream, _) = pair().await;
        begin(&mut connection, None, BodyFraming::Empty);
        let answering = async {
            receive(&mut upstream, b"\r\n\r\n").await;
            upstream.write_all(answer.as_bytes()).await.unwrap();
            upstream.shutdown().await.unwrap();
        };
        let (outcome, ()) = tokio::join!(head(&mut connection), answering);
        match outcome {
            Err(Http1Error::Closed) => assert!(is_silent),
            Err(Http1Error::Truncated) => assert!(!is_silent),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_long_body_is_read_in_growing_pieces_and_bytes_beyond_it_close_the_connection() {
    let (mut connection, mut upstream, _) = pair().await;
    begin(&mut connection, None, BodyFraming::Empty);
    let sent = vec![b'x'; 3 << 20];
    let answering = async {
        receive(&mut upstream, b"\r\n\r\n").await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len());
        upstream.write_all(head.as_bytes()).await.unwrap();
        upstream.write_all(&sent).await.unwrap();
        upstream.write_all(b"more").await.unwrap();
    };
    let reading = async {
        head(&mut connection).await.unwrap();
        body(&mut connection).await.unwrap().0
    };
    let (received, ()) = tokio::join!(reading, answering);
    assert!(received == sent, "the body arrives as it was sent");
    assert!(connection.response.incoming.read_size() > MIN_READ);
    let noticed = async {
        while connection.is_reusable() && connection.is_alive() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed)
        .await
        .expect("the surplus is noticed");
}

#[tokio::test]
async fn after_a_switch_of_protocols_the_connection_is_handed_over_with_what_was_read() {
    let (mut connection, mut upstream, _) = pair().await;
    begin(&mut connection, None, BodyFraming::Empty);
    let answering = async {
        receive(&mut upstream, b"\r\n\r\n").await;
        let answer = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nearly";
        upstream.write_all(answer).await.unwrap();
    };
    let (answer, ()) = tokio::join!(head(&mut connection), answering);
    assert_eq!(answer.unwrap().status, 101);
    let (mut io, early) = connection.into_tunnel().expect("a tunnel");
    assert_eq!(early, "early");
    upstream.write_all(b"later").await.unwrap();
    let mut later = [0; 5];
    io.read_exact(&mut later).await.unwrap();
    assert_eq!(&later, b"later");
}

#[tokio::test]
async fn endless_interim_responses_are_a_fault() {
    let (mut connection, mut upstream, _) = pair().await;
    begin(&mut connection, None, BodyFraming::Empty);
    let flood = "HTTP/1.1 103 Hints\r\n\r\n".repeat(usize::from(MAX_INTERIM) + 1);
    let (outcome, written) = tokio::join!(head(&mut connection), upstream.write_all(flood.as_bytes()));
    written.unwrap();
    assert!(matches!(outcome, Err(Http1Error::Malformed(_))));
}

#[tokio::test]
async fn a_body_in_hand_is_not_given_back_when_nothing_could_be_written() {
    let (mut connection, upstream, _) = pair().await;
    socket2::SockRef::from(&upstream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(upstream);
    let full = Full::new(Bytes::from("12345")).boxed_unsync();
    begin(&mut connection, Some(full), BodyFraming::Sized(5));
    head(&mut connection).await.unwrap_err();
    assert!(!connection.is_begun());
    assert!(
        connection.take_body().is_none(),
        "whoever sends keeps a copy of it"
    );
}

/// The looks that are taken at a head that comes in pieces of `piece` bytes, until the one that finds it whole.
fn looks(head: &[u8], piece: usize) -> Option<usize> {
    let (mut incomplete, mut looks) = (0, 0);
    for length in (piece..=head.len()).step_by(piece).chain([head.len()]) {
        let read = &head[..length];
        if may_be_head(read, incomplete, LIMITS) {
            looks += 1;
            let mut read = BytesMut::from(read);
            if take_head(&mut read, LIMITS, false).unwrap().is_some() {
                return Some(looks);
            }
            incomplete = length;
        }
    }
    None
}

#[test]
fn a_head_is_found_in_whatever_pieces_it_comes() {
    for end in ["\r\n", "\n"] {
        let lines = ["HTTP/1.1 200 OK", "Content-Length: 2", "X: y", "", ""];
        let head = lines.join(end);
        for piece in 1..=head.len() {
            assert!(looks(head.as_bytes(), piece).is_some(), "{piece} bytes at a time");
        }
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_seldom_looked_at() {
    let header = format!("X: {}\r\n", "y".repeat(60));
    let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", header.repeat(90));
    let looks = looks(head.as_bytes(), 1).unwrap();
    assert!(looks <= 16, "{looks} looks at {} bytes", head.len());
}
