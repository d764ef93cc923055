//! Listeners: PROXY protocol, unix sockets, several addresses.

use crate::ask::{ask, service};
use tidegate_tests::http1::Reader;
use tidegate_tests::ports::free_address;
use tidegate_tests::{Gateway, RawClient, Request, Upstream};
use tokio::io::AsyncWriteExt;

async fn behind_proxy_protocol(upstream: &Upstream) -> Gateway {
    Gateway::with(service(upstream, "- {paths: [/]}"))
        .setting("proxy_listen", "{proxy} proxy_protocol, {tls} ssl")
        .setting("trusted_ips", "0.0.0.0/0")
        .setting("real_ip_header", "proxy_protocol")
        .start()
        .await
}

/// A version 2 header for 10.1.2.3:1000 to 10.4.5.6:80 (PROXY protocol, section 2.2).
fn version_2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend([10, 1, 2, 3, 10, 4, 5, 6, 0x03, 0xe8, 0, 80]);
    header
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client() {
    let upstream = Upstream::ok().await;
    let gateway = behind_proxy_protocol(&upstream).await;
    for header in [b"PROXY TCP4 10.1.2.3 10.4.5.6 1000 80\r\n".to_vec(), version_2()] {
        let mut client = gateway.send([header, Request::get("/").bytes()].concat()).await;
        assert_eq!(client.response().await.status, 200);
        let seen = upstream.last();
        assert_eq!(seen.header("X-Real-IP"), "10.1.2.3");
        client
            .assert_open(&Request::get("/"), "the header comes once a connection")
            .await;
    }
}

#[tokio::test]
async fn a_proxy_header_may_come_in_pieces() {
    let upstream = Upstream::ok().await;
    let gateway = behind_proxy_protocol(&upstream).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for byte in "PROXY TCP4 10.1.2.3 10.4.5.6 1000 80\r\n".bytes() {
        client.send([byte]).await;
    }
    assert_eq!(client.call(&Request::get("/")).await.status, 200);
}

#[tokio::test]
async fn without_a_valid_proxy_header_nothing_is_served() {
    let upstream = Upstream::ok().await;
    let gateway = behind_proxy_protocol(&upstream).await;
    let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 600]].concat();
    for bytes in [
        Request::get("/").bytes(),
        b"PROXY TCP4 999.1.1.1 1.1.1.1 1 1\r\n".to_vec(),
        endless,
    ] {
        let mut client = gateway.send(&bytes).await;
        client.rest_until_closed("no PROXY header").await;
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_proxy_header_where_none_is_expected_is_a_broken_request() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let mut client = gateway
        .send(
            [
                b"PROXY TCP4 10.1.2.3 10.4.5.6 1000 80\r\n".to_vec(),
                Request::get("/").bytes(),
            ]
            .concat(),
        )
        .await;
    assert_eq!(client.response().await.status, 400);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_unix_socket_is_a_listener_like_any_other() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("proxy_listen", "{proxy}, unix:{folder}/proxy.sock")
        .start()
        .await;
    let mut stream = tokio::net::UnixStream::connect(gateway.folder().join("proxy.sock"))
        .await
        .unwrap();
    stream.write_all(&ask("GET / @a.test").bytes()).await.unwrap();
    assert_eq!(Reader::new(stream).response("GET").await.unwrap().status, 200);
    assert_eq!(upstream.last().header("X-Forwarded-Host"), "a.test");
}

#[tokio::test]
async fn every_address_of_the_list_is_served() {
    let upstream = Upstream::ok().await;
    let more = free_address();
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting(
            "proxy_listen",
            format!("{{proxy}} reuseport backlog=128, {more} so_keepalive=on"),
        )
        .start()
        .await;
    for address in [gateway.proxy(), more] {
        let mut client = RawClient::connect(address).await;
        assert_eq!(client.call(&Request::get("/")).await.status, 200);
        assert_eq!(
            upstream.last().header("X-Forwarded-Port"),
            address.port().to_string()
        );
    }
}

#[tokio::test]
async fn a_taken_port_stops_the_start_with_its_name() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, log) = Gateway::with("services: []\n")
        .setting("proxy_listen", address.clone())
        .try_start()
        .await
        .unwrap_err();
    assert!(!status.success() && log.contains(&address), "{log}");
}
