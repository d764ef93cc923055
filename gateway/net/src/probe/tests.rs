use super::*;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use std::net::SocketAddr;
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(10);

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What is found at a backend that says `wire` and closes.
async fn found(wire: &'static [u8]) -> Finding {
    let (listener, address) = listener().await;
    let backend = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 3];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"ask");
        stream.write_all(wire).await.unwrap();
    };
    tokio::join!(ask(address.into(), SOON, None, Question::Status(b"ask")), backend).0
}

#[tokio::test]
async fn the_status_is_read_from_the_first_line_and_nothing_else() {
    for (wire, status) in [
        (&b"HTTP/1.1 200 OK\r\nhalf a he"[..], 200),
        (b"HTTP/1.0 503\r\n", 503),
        (b"HTTP/1.1 404 \n", 404),
        (b"SSH-2.0\r\n", 0),
        (b"HTTP/1.1 2xx\r\n", 0),
        (b"HTTP/1.1 2000\r\n", 0),
        (b"HTTP/1.1 099 \r\n", 0),
        (b"\r\n", 0),
    ] {
        let found = found(wire).await;
        assert!(
            matches!(found, Finding::Status(found) if found == status),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn an_end_before_the_first_line_is_a_failed_connection() {
    for wire in [&b""[..], b"HTTP/1.1 20"] {
        let found = found(wire).await;
        assert!(matches!(found, Finding::Failed(ProbeError::Closed)), "{found:?}");
    }
}

#[tokio::test]
async fn a_first_line_without_end_is_given_up() {
    let long: &'static [u8] = vec![b'x'; 2 * MAX_STATUS_LINE].leak();
    assert!(matches!(found(long).await, Finding::Status(0)));
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_closed_port_is_none() {
    let (listener, address) = listener().await;
    let short = Duration::from_millis(50);
    assert!(matches!(
        ask(address.into(), short, None, Question::Status(b"ask")).await,
        Finding::Timeout
    ));
    assert!(matches!(
        ask(address.into(), short, None, Question::Connection).await,
        Finding::Alive
    ));
    drop(listener);
    assert!(matches!(
        ask(address.into(), SOON, None, Question::Connection).await,
        Finding::Failed(ProbeError::Connect(ConnectError::Refused))
    ));
}

/// What is found at a gRPC server with that answer.
async fn grpc(status: u16, grpc_status: Option<&'static str>, message: &'static [u8]) -> Finding {
    let (listener, address) = listener().await;
    let backend = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut answer))) = connection.accept().await {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.uri().authority().unwrap(), "up.test:1");
            let head = Response::builder().status(status).body(()).unwrap();
            let mut body = answer.send_response(head, false).unwrap();
            body.send_data(Bytes::from_static(message), false).unwrap();
            let trailers = grpc_status.map(|status| ("grpc-status", HeaderValue::from_static(status)));
            let trailers = trailers.map(|(name, value)| (name.parse().unwrap(), value));
            body.send_trailers(HeaderMap::from_iter(trailers)).unwrap();
        }
    };
    tokio::select! {
        found = ask(address.into(), SOON, None, Question::Serving("up.test:1")) => found,
        () = backend => panic!("the probe left without a finding"),
    }
}

#[tokio::test]
async fn a_grpc_server_says_whether_it_serves() {
    let serving = grpc(200, Some("0"), b"\0\0\0\0\x02\x08\x01").await;
    assert!(matches!(serving, Finding::Alive), "{serving:?}");
    let not_serving = grpc(200, Some("0"), b"\0\0\0\0\x02\x08\x02").await;
    assert!(matches!(not_serving, Finding::NotServing(_)), "{not_serving:?}");
    let unknown = grpc(200, Some("0"), b"\0\0\0\0\0").await;
    assert!(matches!(unknown, Finding::NotServing(_)), "{unknown:?}");
    let failed = grpc(200, Some("14"), b"").await;
    assert!(matches!(failed, Finding::NotServing(_)), "{failed:?}");
    let without = grpc(200, Some("12"), b"").await;
    assert!(
        matches!(without, Finding::Alive),
        "no health protocol: {without:?}"
    );
    let no_grpc = grpc(200, None, b"").await;
    assert!(matches!(no_grpc, Finding::Status(0)), "{no_grpc:?}");
    let refused = grpc(503, None, b"").await;
    assert!(matches!(refused, Finding::Status(503)), "{refused:?}");
}
