//! Flags of `*_listen`, and the control listeners, which take the same ones (kong-core H.1).

use crate::ask::service;
use tidegate_tests::http1::Reader;
use tidegate_tests::ports::free_address;
use tidegate_tests::tls::{Certificate, Hello};
use tidegate_tests::{Gateway, H2Client, RawClient, Request, Upstream, h2_client};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn all_flags_of_a_tcp_address_stand_together() {
    let upstream = Upstream::ok().await;
    let flags = "http2 bind reuseport deferred backlog=64 fastopen=32 so_keepalive=30s:5s:3";
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("proxy_listen", format!("{{proxy}} {flags}, {{tls}} ssl {flags}"))
        .setting("workers", "2")
        .start()
        .await;
    assert_eq!(gateway.get("/").await.status, 200);
    let mut client = RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
    assert_eq!(client.call(&Request::get("/")).await.status, 200);
    let mut client = H2Client::cleartext(gateway.proxy()).await;
    let answer = client
        .call(h2_client::get(&format!("http://{}/", gateway.proxy())))
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn flags_that_cannot_be_honoured_stop_the_start_with_a_reason() {
    for (flags, text) in [
        (
            "{proxy}, unix:/tmp/t.sock deferred",
            "flag `deferred` has no meaning for a unix socket",
        ),
        (
            "{proxy} ipv6only=on",
            "flag `ipv6only` has no meaning for an IPv4 address",
        ),
        (
            "{proxy} fastopen=0",
            "flag `fastopen=0` does not have a legal value",
        ),
        ("{proxy} setfib=1", "`setfib=1` is no flag of this listener"),
    ] {
        let started = Gateway::with("services: []\n")
            .setting("proxy_listen", flags)
            .try_start()
            .await;
        let (status, log) = started.unwrap_err();
        assert!(
            !status.success() && log.contains("proxy_listen") && log.contains(text),
            "{log}"
        );
    }
}

#[tokio::test]
async fn the_status_api_speaks_tls_with_its_own_certificate() {
    let own = Certificate::for_names(&["status.test"]);
    let gateway = Gateway::with("services: []\n")
        .file("cert.pem", &own.cert_pem)
        .file("key.pem", &own.key_pem)
        .setting("status_listen", "{status} ssl http2")
        .setting("status_ssl_cert", "{folder}/cert.pem")
        .setting("status_ssl_cert_key", "{folder}/key.pem")
        .start()
        .await;
    let mut client = RawClient::connect_tls(gateway.status(), Hello::to("status.test")).await;
    assert_eq!(client.certificate.as_ref(), Some(&own.der));
    let answer = client.call(&Request::get("/status")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.json()["server"]["total_requests"].is_u64());
    let mut client = H2Client::tls(gateway.status(), "status.test").await;
    let answer = client.call(h2_client::get("https://status.test/metrics")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn without_a_certificate_control_listeners_make_one() {
    let admin = free_address();
    let gateway = Gateway::with("services: []\n")
        .setting("status_listen", "{status}")
        .setting("admin_listen", format!("{admin} ssl"))
        .start()
        .await;
    let mut client = RawClient::connect_tls(admin, Hello::to("localhost")).await;
    assert_eq!(client.call(&Request::get("/status")).await.status, 200);
    assert_eq!(gateway.status_page("/status").await.status, 200);
}

#[tokio::test]
async fn the_status_api_is_served_on_unix_sockets_and_behind_the_proxy_protocol() {
    let behind = free_address();
    let gateway = Gateway::with("services: []\n")
        .setting(
            "status_listen",
            format!("{{status}} http2, unix:{{folder}}/status.sock, {behind} proxy_protocol"),
        )
        .start()
        .await;
    let mut stream = tokio::net::UnixStream::connect(gateway.folder().join("status.sock"))
        .await
        .unwrap();
    stream.write_all(&Request::get("/status").bytes()).await.unwrap();
    assert_eq!(Reader::new(stream).response("GET").await.unwrap().status, 200);

    let mut client = RawClient::connect(behind).await;
    let header = b"PROXY TCP4 10.1.2.3 10.4.5.6 1000 80\r\n".to_vec();
    client
        .send([header, Request::get("/status").bytes()].concat())
        .await;
    assert_eq!(client.response().await.status, 200);
    let mut client = RawClient::connect(behind).await;
    client.send(Request::get("/status").bytes()).await;
    client.rest_until_closed("no PROXY header").await;

    let mut client = H2Client::cleartext(gateway.status()).await;
    let answer = client.call(h2_client::get("http://status.test/status")).await;
    assert_eq!(answer.status, 200, "prior knowledge, by the flag `http2`");
}

#[tokio::test]
async fn a_status_certificate_without_its_key_stops_the_start() {
    let (one, other) = (
        Certificate::for_names(&["a.test"]),
        Certificate::for_names(&["a.test"]),
    );
    let with = |key: &str| {
        Gateway::with("services: []\n")
            .file("cert.pem", &one.cert_pem)
            .file("key.pem", key)
            .setting("status_listen", "{status} ssl")
            .setting("status_ssl_cert", "{folder}/cert.pem")
    };
    let (_, log) = with("").try_start().await.unwrap_err();
    assert!(
        log.contains("0 keys for 1 certificates in `status_ssl_cert`"),
        "{log}"
    );
    let started = with(&other.key_pem)
        .setting("status_ssl_cert_key", "{folder}/key.pem")
        .try_start()
        .await;
    let (_, log) = started.unwrap_err();
    assert!(
        log.contains("status_ssl_cert and status_ssl_cert_key")
            && log.contains("certificate does not match key"),
        "{log}"
    );
}

/// A version 2 header (PROXY protocol, section 2.2) for 10.1.2.3:1000 to 10.4.5.6:443, with extensions.
fn version_2(command: u8, extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let mut rest = vec![10, 1, 2, 3, 10, 4, 5, 6, 0x03, 0xe8, 0x01, 0xbb];
    for (kind, value) in extensions {
        rest.push(*kind);
        rest.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        rest.extend(*value);
    }
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, 0x11]);
    header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    header.extend(rest);
    header
}

async fn behind_proxy_protocol(upstream: &Upstream) -> Gateway {
    Gateway::with(service(upstream, "- {paths: [/]}"))
        .setting("proxy_listen", "{proxy} proxy_protocol, {tls} ssl")
        .setting("trusted_ips", "0.0.0.0/0")
        .setting("real_ip_header", "proxy_protocol")
        .start()
        .await
}

#[tokio::test]
async fn extensions_of_a_proxy_header_are_skipped_and_believed_in_nothing() {
    let upstream = Upstream::ok().await;
    let gateway = behind_proxy_protocol(&upstream).await;
    // ALPN, authority, unique id, TLS with a verified client certificate, padding, and one nobody knows.
    let tls = [
        0x07, 0, 0, 0, 0, 0x21, 0, 7, b'T', b'L', b'S', b'v', b'1', b'.', b'3',
    ];
    let header = version_2(
        0x21,
        &[
            (0x01, b"h2"),
            (0x02, b"trusted.test"),
            (0x05, &[7; 128]),
            (0x20, &tls),
            (0x04, &[0; 64]),
            (0xe0, b"x"),
        ],
    );
    let mut client = gateway.send([header, Request::get("/").bytes()].concat()).await;
    assert_eq!(client.response().await.status, 200);
    let seen = upstream.last();
    assert_eq!(
        (
            seen.header("X-Real-IP"),
            seen.header("X-Forwarded-Proto"),
            seen.header("X-Forwarded-Host")
        ),
        ("10.1.2.3", "http", "localhost")
    );
}

#[tokio::test]
async fn the_health_checks_of_a_load_balancer_speak_for_themselves() {
    let upstream = Upstream::ok().await;
    let gateway = behind_proxy_protocol(&upstream).await;
    let mut client = gateway
        .send([version_2(0x20, &[]), Request::get("/").bytes()].concat())
        .await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(
        upstream.last().header("X-Real-IP"),
        "127.0.0.1",
        "LOCAL: the addresses of the socket hold"
    );
    // A check that says only hello.
    let mut check = gateway.send(version_2(0x20, &[])).await;
    check.finish().await;
    check.rest_until_closed("a bare LOCAL header").await;
    let mut client = gateway
        .send([version_2(0x21, &[]), Request::get("/").bytes()].concat())
        .await;
    assert_eq!(client.response().await.status, 200, "and nobody is hurt");
}
