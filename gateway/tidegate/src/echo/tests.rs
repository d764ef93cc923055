use super::*;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn start(options: EchoOptions) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(serve(listener, options));
    address
}

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "echo.test:9001")
}

async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Response<Bytes> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) = conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    let (head, body) = sender
        .send_request(request)
        .await
        .expect("a response")
        .into_parts();
    Response::from_parts(head, body.collect().await.expect("a whole body").to_bytes())
}

async fn get(address: SocketAddr, path: &str) -> Response<Bytes> {
    send(
        address,
        request("GET", path).body(Full::default()).expect("legal"),
    )
    .await
}

fn json_of(response: &Response<Bytes>) -> Value {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    serde_json::from_slice(response.body()).expect("JSON")
}

#[tokio::test]
async fn get_shows_arguments_headers_origin_and_url() {
    let address = start(EchoOptions::default()).await;
    let request = request("GET", "/get?b=2&a=1&b=x+y")
        .header("x-kong-request-id", "r1")
        .header("x-many", "1")
        .header("x-many", "2")
        .body(Full::default())
        .expect("legal");
    let shown = json_of(&send(address, request).await);
    assert_eq!(shown["args"], json!({ "a": "1", "b": ["2", "x y"] }));
    assert_eq!(
        shown["headers"],
        json!({ "Host": "echo.test:9001", "X-Kong-Request-Id": "r1", "X-Many": "1,2" })
    );
    assert_eq!(
        (&shown["method"], &shown["origin"]),
        (&json!("GET"), &json!("127.0.0.1"))
    );
    assert_eq!(shown["url"], "http://echo.test:9001/get?b=2&a=1&b=x+y");
}

#[tokio::test]
async fn behind_a_gateway_origin_and_scheme_are_those_of_the_client() {
    let address = start(EchoOptions::default()).await;
    let request = request("GET", "/anything/deep/er")
        .header("x-forwarded-for", "203.0.113.7, 10.0.0.1")
        .header("x-forwarded-proto", "https")
        .body(Full::default())
        .expect("legal");
    let shown = json_of(&send(address, request).await);
    assert_eq!(shown["origin"], "203.0.113.7, 10.0.0.1");
    assert_eq!(shown["url"], "https://echo.test:9001/anything/deep/er");
}

#[tokio::test]
async fn bodies_are_shown_as_what_they_are() {
    let address = start(EchoOptions::default()).await;
    let multipart =
        "--X\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n\"\r\n\r\nfile\r\n--X--\r\n";
    for (content_type, body, expected) in [
        (
            "application/json",
            &br#"{"a": [1]}"#[..],
            json!({ "data": r#"{"a": [1]}"#, "json": { "a": [1] } }),
        ),
        ("text/plain", b"plain", json!({ "data": "plain", "json": null })),
        (
            "application/x-www-form-urlencoded",
            b"a=1&a=2",
            json!({ "form": { "a": ["1", "2"] }, "data": "" }),
        ),
        (
            "multipart/form-data; boundary=X",
            multipart.as_bytes(),
            json!({ "files": { "f": "file" }, "form": {} }),
        ),
        (
            "image/png",
            b"\xff\x00",
            json!({ "data": "data:application/octet-stream;base64,/wA=" }),
        ),
    ] {
        let body = Full::new(Bytes::copy_from_slice(body));
        let request = request("POST", "/post")
            .header(CONTENT_TYPE, content_type)
            .body(body)
            .expect("legal");
        let shown = json_of(&send(address, request).await);
        for (key, value) in expected.as_object().expect("an object") {
            assert_eq!(&shown[key], value, "{key} of {content_type}");
        }
    }
}

#[tokio::test]
async fn a_path_for_one_method_refuses_others_and_head_goes_where_get_does() {
    let address = start(EchoOptions::default()).await;
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let path = format!("/{}", method.to_ascii_lowercase());
        let right = send(
            address,
            request(method, &path).body(Full::default()).expect("legal"),
        )
        .await;
        assert_eq!(json_of(&right)["method"], method);
        let wrong = get(address, &path).await;
        assert_eq!(
            (wrong.status(), &wrong.headers()["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &method.parse().expect("legal"))
        );
    }
    let full = get(address, "/get").await;
    let head = send(
        address,
        request("HEAD", "/get").body(Full::default()).expect("legal"),
    )
    .await;
    assert_eq!((head.status(), head.body().len()), (StatusCode::OK, 0));
    // The method has one letter more in the shown request.
    let length: usize = full.headers()["content-length"]
        .to_str()
        .expect("text")
        .parse()
        .expect("a number");
    assert_eq!(head.headers()["content-length"], (length + 1).to_string());
}

#[tokio::test]
async fn status_gives_the_status_that_was_asked_for() {
    let address = start(EchoOptions::default()).await;
    for (path, status) in [
        ("/status/204", 204),
        ("/status/418", 418),
        ("/status/599", 599),
        ("/status/100", 400),
        ("/status/600", 400),
        ("/status/", 400),
    ] {
        assert_eq!(get(address, path).await.status().as_u16(), status, "{path}");
    }
    assert_eq!(get(address, "/nothing").await.status(), StatusCode::NOT_FOUND);
    assert!(
        get(address, "/")
            .await
            .body()
            .starts_with(b"Tidegate echo server")
    );
}

#[tokio::test]
async fn a_delay_waits_as_long_as_asked_and_at_most_ten_seconds() {
    for (text, millis) in [
        ("0", 0),
        ("0.25", 250),
        ("10", 10_000),
        ("11", 10_000),
        ("1e300", 10_000),
    ] {
        assert_eq!(
            answers::delay_of(text),
            Some(Duration::from_millis(millis)),
            "{text}"
        );
    }
    let address = start(EchoOptions::default()).await;
    let before = std::time::Instant::now();
    assert_eq!(json_of(&get(address, "/delay/0.1").await)["method"], "GET");
    assert!(before.elapsed() >= Duration::from_millis(100));
    for path in ["/delay/-1", "/delay/x", "/delay/NaN"] {
        assert_eq!(
            get(address, path).await.status(),
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
}

#[tokio::test]
async fn bytes_are_as_many_as_asked_and_at_most_ten_mebibytes() {
    let address = start(EchoOptions::default()).await;
    for (path, length) in [
        ("/bytes/0", 0),
        ("/bytes/1", 1),
        ("/bytes/100001", 100_001),
        ("/bytes/999999999", MAX_BYTES),
    ] {
        let response = get(address, path).await;
        assert_eq!(response.headers()["content-length"], length.to_string(), "{path}");
        assert_eq!(response.body().len(), length, "{path}");
    }
    let (one, same, other) = (
        get(address, "/bytes/64?seed=7").await.into_body(),
        get(address, "/bytes/64?seed=7").await.into_body(),
        get(address, "/bytes/64?seed=8").await.into_body(),
    );
    assert_eq!(one, same);
    assert_ne!(one, other);
    assert_eq!(get(address, "/bytes/-1").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_stream_is_that_many_lines_of_json_in_chunks() {
    let address = start(EchoOptions::default()).await;
    let response = get(address, "/stream/3?a=b").await;
    assert_eq!(response.headers()["transfer-encoding"], "chunked");
    let text = String::from_utf8(response.body().to_vec()).expect("UTF-8");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let ids: Vec<&Value> = lines.iter().map(|line| &line["id"]).collect();
    assert_eq!(ids, [&json!(0), &json!(1), &json!(2)]);
    assert_eq!(lines[2]["args"], json!({ "a": "b" }));
    let capped = get(address, "/stream/5000").await;
    assert_eq!(
        capped.body().iter().filter(|byte| **byte == b'\n').count(),
        MAX_LINES
    );
}

#[tokio::test]
async fn response_headers_are_those_of_the_query_except_for_the_frame() {
    let address = start(EchoOptions::default()).await;
    let response = get(
        address,
        "/response-headers?x-a=1&x-a=2&Content-Type=text/x&content-length=5&transfer-encoding=gzip",
    )
    .await;
    let values: Vec<_> = response.headers().get_all("x-a").iter().collect();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/x");
    assert!(response.body().len() > 5 && !response.headers().contains_key("transfer-encoding"));
    assert_eq!(
        get(address, "/response-headers?a%0ab=1").await.status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let address = start(EchoOptions::default()).await;
    for (size, status) in [(MAX_BODY, 200), (MAX_BODY + 1, 413)] {
        let request = request("PUT", "/put")
            .body(Full::new(Bytes::from(vec![b'a'; size])))
            .expect("legal");
        assert_eq!(send(address, request).await.status().as_u16(), status, "{size}");
    }
}

#[tokio::test]
async fn without_the_demanded_authorization_every_request_is_refused() {
    let address = start(EchoOptions {
        authorization: Some("Bearer s3cret".to_owned()),
    })
    .await;
    let ask = async |values: &[&str]| {
        let mut request = request("GET", "/get");
        for value in values {
            request = request.header(AUTHORIZATION, *value);
        }
        send(address, request.body(Full::default()).expect("legal"))
            .await
            .status()
            .as_u16()
    };
    assert_eq!(ask(&["Bearer s3cret"]).await, 200);
    for values in [
        &[][..],
        &["Bearer s3cre"],
        &["bearer s3cret"],
        &["Bearer s3cret2"],
        &["Bearer s3cret", "Bearer s3cret"],
    ] {
        assert_eq!(ask(values).await, 401, "{values:?}");
    }
    let refused = get(address, "/status/200").await;
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    assert!(json_of(&refused)["message"].is_string());
}

#[tokio::test]
async fn http2_by_prior_knowledge_is_served_on_the_same_port() {
    let address = start(EchoOptions::default()).await;
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    let uri = format!("http://echo.test:{}/get", address.port());
    let request = Request::builder()
        .uri(&uri)
        .body(Full::<Bytes>::default())
        .expect("legal");
    let response = sender.send_request(request).await.expect("a response");
    assert_eq!(response.version(), http::Version::HTTP_2);
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a whole body")
        .to_bytes();
    let shown: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(shown["url"], uri.as_str());
    assert_eq!(shown["headers"]["Host"], format!("echo.test:{}", address.port()));
}

#[tokio::test]
async fn a_preface_that_arrives_byte_by_byte_is_still_http2() {
    let address = start(EchoOptions::default()).await;
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        stream.write_all(&[*byte]).await.expect("written");
        tokio::task::yield_now().await;
    }
    stream
        .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
        .await
        .expect("empty SETTINGS");
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("a frame");
    assert_eq!(head[3], 4, "the server answers with SETTINGS");
}

/// Opens a WebSocket; the key is the example of RFC 6455.
async fn open_websocket(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let handshake = "GET /ws HTTP/1.1\r\nHost: e\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.expect("written");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a byte of the head"));
    }
    let head = String::from_utf8(head).expect("UTF-8").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    stream
}

async fn exchange(stream: &mut TcpStream, first: u8, payload: &[u8], expected: &[u8]) {
    let mut frame = vec![
        first,
        0x80 | u8::try_from(payload.len()).expect("short"),
        1,
        2,
        3,
        4,
    ];
    frame.extend(
        payload
            .iter()
            .zip([1_u8, 2, 3, 4].iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    stream.write_all(&frame).await.expect("written");
    let mut received = vec![0; expected.len()];
    stream.read_exact(&mut received).await.expect("a frame");
    assert_eq!(received, expected);
}

#[tokio::test]
async fn a_websocket_sends_text_binary_fragments_and_pings_back_and_closes() {
    let address = start(EchoOptions::default()).await;
    let mut stream = open_websocket(address).await;
    exchange(&mut stream, 0x81, b"Hello", b"\x81\x05Hello").await;
    exchange(&mut stream, 0x82, b"\xff\x00", b"\x82\x02\xff\x00").await;
    exchange(&mut stream, 0x01, b"frag", b"\x01\x04frag").await;
    exchange(&mut stream, 0x89, b"ping", b"\x8a\x04ping").await;
    exchange(&mut stream, 0x80, b"ment", b"\x80\x04ment").await;
    exchange(&mut stream, 0x88, b"\x03\xe8bye", b"\x88\x05\x03\xe8bye").await;
    assert_eq!(
        stream.read(&mut [0; 1]).await.expect("an end"),
        0,
        "the server closes after the closing handshake"
    );
}

#[tokio::test]
async fn a_websocket_that_breaks_the_protocol_is_closed_with_1002() {
    let address = start(EchoOptions::default()).await;
    for (name, frame) in [
        ("continuation of nothing", vec![0x80, 0x80, 0, 0, 0, 0]),
        ("unmasked", vec![0x81, 0x00]),
    ] {
        let mut stream = open_websocket(address).await;
        stream.write_all(&frame).await.expect("written");
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.expect("an end");
        assert_eq!(received, [0x88, 2, 0x03, 0xea], "{name}");
    }
}

#[tokio::test]
async fn a_request_to_the_websocket_path_that_is_no_handshake_is_told_so() {
    let address = start(EchoOptions::default()).await;
    let response = get(address, "/ws").await;
    assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(response.headers()["sec-websocket-version"], "13");
}
