//! Calls of filters to hosts, over TLS, and over HTTP/2 for gRPC.

use super::guest::{Folder, GOT, Guest, OUT};
use http::{HeaderMap, HeaderValue, Response};
use tidegate_tests::h2_client::{self, Body};
use tidegate_tests::h2_upstream::{H2Recorded, H2Upstream};
use tidegate_tests::tls::{Authority, Certificate};
use tidegate_tests::{Answer, Gateway, Upstream};

/// A gateway whose one service has the filter; `more` services beside it.
async fn gateway(guest: &Guest, upstream: &Upstream, more: &str, settings: &[(&str, &str)]) -> Gateway {
    let yaml = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/]}}\n{more}\
         filter_chains:\n- {{name: c, service: s, filters: [{{name: test}}]}}\n",
        upstream.url()
    );
    let folder = Folder::new().with("test", guest);
    let mut builder = folder.attached(Gateway::with(yaml));
    for (name, value) in settings {
        builder = builder.setting(name, *value);
    }
    builder.start().await
}

const STREAM: &str = "(global $stream (mut i32) (i32.const 0))";
const REMEMBER: &str = "(global.set $stream (local.get $0))";
/// Back to the request, with what was got in `x-answer`.
fn go_on(guest: &mut Guest) -> String {
    let shown = guest.text("x-answer");
    format!(
        "(call $ok (call $set_effective_context (global.get $stream)))
         (call $ok (call $add_header_map_value (i32.const 0) {shown} {GOT}))
         (call $ok (call $continue_stream (i32.const 0)))"
    )
}

/// Asks a host and shows the body of its answer, or why there is none. A call that is refused at once is shown as such.
fn asking(target: &str, scheme: &str) -> Guest {
    let mut guest = Guest::default();
    let (host, none, refused) = (guest.text(target), guest.pairs(&[]), guest.text("refused"));
    let headers = guest.pairs(&[
        (":method", "GET"),
        (":path", "/"),
        (":authority", target),
        (":scheme", scheme),
    ]);
    let shown = guest.text("x-answer");
    let call = format!(
        "{REMEMBER}
         (if (call $http_call {host} {headers} {none} {none} (i32.const 5000) (i32.const 24))
           (then (call $ok (call $add_header_map_value (i32.const 0) {shown} {refused})) (return (i32.const 0))))"
    );
    let go_on = go_on(&mut guest);
    let answered = format!(
        "(if (local.get $2)
           (then (call $ok (call $get_buffer_bytes (i32.const 4) (i32.const 0) (local.get $3) {OUT})))
           (else (call $ok (call $get_status (i32.const 28) {OUT}))))
         {go_on}"
    );
    guest
        .with(STREAM)
        .on("request_headers", 3, &call, "(i32.const 1)")
        .on("http_call_response", 5, &answered, "")
}

#[tokio::test]
async fn hosts_are_called_only_when_the_operator_allows_them() {
    let upstream = Upstream::ok().await;
    let host = Upstream::serving(|_| Answer::ok("from the host")).await;
    let target = format!("localhost:{}", host.port());
    let guest = asking(&target, "http");
    for (allowed, expected) in [
        (target.as_str(), "from the host"),
        ("localhost", "from the host"),
        ("*", "from the host"),
        ("other.test", "refused"),
    ] {
        let gateway = gateway(&guest, &upstream, "", &[("wasm_callout_hosts", allowed)]).await;
        assert_eq!(gateway.get("/").await.status, 200, "{allowed}");
        assert_eq!(upstream.last().header("x-answer"), expected, "{allowed}");
    }
}

#[tokio::test]
async fn hosts_behind_tls_are_verified() {
    let upstream = Upstream::ok().await;
    let known = Authority::new("Known");
    let trusted = known.cert_pem.clone();
    for (certificate, is_fine) in [
        (known.certificate("localhost"), true),
        (known.certificate("other.test"), false),
        (Authority::new("Other").certificate("localhost"), false),
    ] {
        let host = Upstream::tls(&certificate, |_| Answer::ok("over TLS")).await;
        let guest = asking(&format!("localhost:{}", host.port()), "https");
        let settings = [
            ("wasm_callout_hosts", "localhost"),
            ("trusted_certificates", trusted.as_str()),
        ];
        let gateway = gateway(&guest, &upstream, "", &settings).await;
        assert_eq!(gateway.get("/").await.status, 200);
        let answer = upstream.last().header("x-answer").to_owned();
        assert_eq!(answer == "over TLS", is_fine, "{answer}");
        assert_eq!(host.requests().len(), usize::from(is_fine));
    }
}

fn grpc_answer(message: &[u8]) -> Response<Body> {
    let status = [("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))];
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let mut response = Response::new(h2_client::with_trailers(framed, HeaderMap::from_iter(status)));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// Answers with what it was asked, in capitals.
fn shouting(request: &H2Recorded) -> Response<Body> {
    grpc_answer(&request.body.get(5..).unwrap_or_default().to_ascii_uppercase())
}

fn grpc_service(upstream: &H2Upstream, scheme: &str) -> String {
    format!("- {{name: auth, url: \"{scheme}://{}\"}}\n", upstream.address())
}

#[tokio::test]
async fn a_unary_grpc_call_gives_its_message() {
    let upstream = Upstream::ok().await;
    let mut guest = Guest::default();
    let [target, service, method, message] =
        ["auth", "p.Auth", "Check", "hello"].map(|text| guest.text(text));
    let metadata = guest.pairs(&[("x-meta", "1")]);
    let call = format!(
        "{REMEMBER}
         (call $ok (call $grpc_call {target} {service} {method} {metadata} {message} (i32.const 5000) (i32.const 24)))"
    );
    let go_on = go_on(&mut guest);
    let received = format!(
        "(call $ok (call $get_buffer_bytes (i32.const 5) (i32.const 0) (local.get $2) {OUT})) {go_on}"
    );
    let guest = guest
        .with(STREAM)
        .on("request_headers", 3, &call, "(i32.const 1)")
        .on("grpc_receive", 3, &received, "");
    let certificate = Certificate::for_names(&["localhost"]);
    let peers = [
        (H2Upstream::serving(shouting).await, "grpc"),
        (H2Upstream::tls(&certificate, shouting).await, "grpcs"),
    ];
    for (auth, scheme) in peers {
        let gateway = gateway(&guest, &upstream, &grpc_service(&auth, scheme), &[]).await;
        for _ in 0..3 {
            assert_eq!(gateway.get("/").await.status, 200, "{scheme}");
            assert_eq!(upstream.last().header("x-answer"), "HELLO", "{scheme}");
        }
        let asked = auth.last();
        assert_eq!(
            (asked.uri.path(), &asked.headers["x-meta"]),
            ("/p.Auth/Check", &HeaderValue::from_static("1"))
        );
        assert_eq!(
            auth.connections(),
            1,
            "{scheme}: one connection carries all calls"
        );
    }
}

#[tokio::test]
async fn a_grpc_stream_carries_messages_both_ways_and_ends_with_its_status() {
    let upstream = Upstream::ok().await;
    let mut guest = Guest::default();
    let [target, service, method, one, two] =
        ["auth", "p.Auth", "Talk", "one ", "two"].map(|text| guest.text(text));
    let metadata = guest.pairs(&[]);
    let open = format!(
        "{REMEMBER}
         (call $ok (call $grpc_stream {target} {service} {method} {metadata} (i32.const 24)))
         (call $ok (call $grpc_send (i32.load (i32.const 24)) {one} (i32.const 0)))
         (call $ok (call $grpc_send (i32.load (i32.const 24)) {two} (i32.const 1)))"
    );
    let shown = guest.text("x-closed");
    let zero = guest.text("0");
    let go_on = go_on(&mut guest);
    let received = format!(
        "(call $ok (call $get_buffer_bytes (i32.const 5) (i32.const 0) (local.get $2) {OUT})) {go_on}"
    );
    let received = received.replace("(call $ok (call $continue_stream (i32.const 0)))", "");
    let closed = format!(
        "(if (local.get $2) (then (unreachable)))
         (call $ok (call $set_effective_context (global.get $stream)))
         (call $ok (call $add_header_map_value (i32.const 0) {shown} {zero}))
         (call $ok (call $continue_stream (i32.const 0)))"
    );
    let guest = guest
        .with(STREAM)
        .on("request_headers", 3, &open, "(i32.const 1)")
        .on("grpc_receive", 3, &received, "")
        .on("grpc_close", 3, &closed, "");
    // Both messages come as one body, each with its five bytes in front.
    let auth = H2Upstream::serving(|request| {
        assert_eq!(&request.body[5..9], b"one ");
        grpc_answer(&request.body[14..])
    })
    .await;
    let gateway = gateway(&guest, &upstream, &grpc_service(&auth, "grpc"), &[]).await;
    assert_eq!(gateway.get("/").await.status, 200, "{}", gateway.log());
    let request = upstream.last();
    assert_eq!(
        (request.header("x-answer"), request.header("x-closed")),
        ("two", "0")
    );
}

#[tokio::test]
async fn a_grpc_peer_that_is_not_there_closes_the_call() {
    let upstream = Upstream::ok().await;
    let mut guest = Guest::default();
    let [target, service, method, message] =
        ["auth", "p.Auth", "Check", "hello"].map(|text| guest.text(text));
    let metadata = guest.pairs(&[]);
    let call = format!(
        "{REMEMBER}
         (call $ok (call $grpc_call {target} {service} {method} {metadata} {message} (i32.const 5000) (i32.const 24)))"
    );
    let go_on = go_on(&mut guest);
    let closed = format!("(call $ok (call $get_status (i32.const 28) {OUT})) {go_on}");
    let guest = guest
        .with(STREAM)
        .on("request_headers", 3, &call, "(i32.const 1)")
        .on("grpc_close", 3, &closed, "");
    let gateway = gateway(
        &guest,
        &upstream,
        "- {name: auth, url: \"grpc://127.0.0.1:1\"}\n",
        &[],
    )
    .await;
    assert_eq!(gateway.get("/").await.status, 200, "{}", gateway.log());
    assert_eq!(upstream.last().header("x-answer"), "connect failure");
}
