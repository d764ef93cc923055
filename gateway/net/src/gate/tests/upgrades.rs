use super::support::GOOD;
use crate::gate::{ConnectionState, Gate, Reading};
use crate::http1::{ClientConnection, ResponseWriter};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Serves until the connection is upgraded; returns the stream and what was read beyond the requests.
async fn serve(server: DuplexStream, state: Rc<ConnectionState>) -> (DuplexStream, Vec<u8>) {
    let gate = Gate::new(server, Rc::default(), Rc::clone(&state), Vec::new());
    let connection = ClientConnection::new(gate, 100);
    let mut writer = ResponseWriter::new();
    while let Some(request) = connection.next_request().await.unwrap() {
        assert_eq!(state.take_fault(), None);
        // Another turn of the loop, so that later bytes are there while the upgrade is undecided.
        tokio::task::yield_now().await;
        let mut response = Response::new(Full::<Bytes>::default());
        let is_upgrade = request.headers.contains_key("upgrade");
        if is_upgrade {
            state.accept_upgrade();
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        state.finish_request();
        let (parts, body) = response.into_parts();
        writer
            .send(&connection, &request.asked(), &parts, body, |_, _| {})
            .await
            .unwrap();
        if is_upgrade {
            break;
        }
    }
    assert!(state.is_upgraded());
    connection.into_stream().expect("no body holds the connection")
}

#[tokio::test]
async fn bytes_after_an_accepted_upgrade_belong_to_the_tunnel() {
    let (mut client, server) = tokio::io::duplex(4_096);
    let state = Rc::new(ConnectionState::default());
    client
        .write_all(format!("{UPGRADE}\0early bytes\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let (mut stream, mut tunnel) = serve(server, Rc::clone(&state)).await;
    client.write_all(b" and late ones").await.unwrap();
    client.shutdown().await.unwrap();
    stream.read_to_end(&mut tunnel).await.unwrap();
    assert_eq!(tunnel, b"\0early bytes\r\n\r\n and late ones");
    drop(stream);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
}

#[tokio::test]
async fn an_upgrade_behind_another_request_is_its_own_decision() {
    let (mut client, server) = tokio::io::duplex(4_096);
    client
        .write_all(format!("{GOOD}{UPGRADE}\x01\x02").as_bytes())
        .await
        .unwrap();
    let (_, tunnel) = serve(server, Rc::default()).await;
    assert_eq!(tunnel, b"\x01\x02");
}

#[tokio::test]
async fn bytes_after_a_declined_upgrade_are_requests() {
    let (mut client, server) = tokio::io::duplex(4_096);
    let state = Rc::new(ConnectionState::default());
    client
        .write_all(format!("{UPGRADE}{GOOD}BLAH\r\n").as_bytes())
        .await
        .unwrap();
    let checked = Rc::clone(&state);
    let io = TokioIo::new(Gate::new(server, Rc::default(), Rc::clone(&state), Vec::new()));
    let service = service_fn(move |_: Request<Incoming>| {
        let status = checked.take_fault().map_or(200, |fault| fault.status);
        checked.finish_request();
        async move {
            Ok::<_, Infallible>(
                Response::builder()
                    .status(status)
                    .body(Full::<Bytes>::default())
                    .unwrap(),
            )
        }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
    let mut answers = String::new();
    let (served, read) = tokio::join!(connection, async {
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = client.read(&mut buffer).await {
            answers.push_str(str::from_utf8(&buffer[..count]).unwrap());
            if answers.contains(" 400 ") {
                break;
            }
        }
        drop(client);
    });
    served.unwrap();
    let () = read;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400").count(), 1, "{answers}");
    assert_eq!(state.reading(), Reading::Closed);
}
