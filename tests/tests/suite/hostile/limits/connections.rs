//! Connections from clients.

use super::limited;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, RawClient, Request, Upstream, eventually};

/// Opens `count` connections that are all served and stay open.
async fn open(gateway: &Gateway, count: usize) -> Vec<RawClient> {
    // What the start left behind must be gone first.
    eventually("no connection is open", PATIENCE, async || {
        let page = gateway.status_page("/metrics").await.text();
        let active = page
            .lines()
            .find(|line| line.starts_with("kong_nginx_connections_total{") && line.contains("\"active\""))?;
        active.ends_with(" 0").then_some(())
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = RawClient::connect(gateway.proxy()).await;
        assert_eq!(client.call(&Request::get("/")).await.status, 200);
        clients.push(client);
    }
    clients
}

/// At the bound all are served; one more is closed without a byte; a place that is free again is given away.
async fn at_the_bound(setting: &str) {
    let (_upstream, gateway) = limited(&[(setting, "3")]).await;
    let mut clients = open(&gateway, 3).await;
    for _ in 0..5 {
        let mut further = RawClient::connect(gateway.proxy()).await;
        further.assert_closed("one more is closed at once").await;
    }
    let first = clients.first_mut().unwrap();
    first
        .assert_open(&Request::get("/"), "the others are left alone")
        .await;
    drop(clients);
    eventually("a place is free again", PATIENCE, async || {
        let mut client = RawClient::connect(gateway.proxy()).await;
        client.send(Request::get("/").bytes()).await;
        let response = client.try_response("GET").await.ok();
        response.filter(|response| response.status == 200)
    })
    .await;
}

#[tokio::test]
async fn connections_of_one_address_have_a_limit() {
    at_the_bound("max_connections_per_ip").await;
}

#[tokio::test]
async fn connections_of_all_have_a_limit() {
    at_the_bound("max_connections").await;
}

#[tokio::test]
async fn a_connection_serves_as_many_requests_as_allowed() {
    let (_upstream, gateway) = limited(&[("keepalive_requests", "2")]).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    assert_eq!(client.call(&Request::get("/")).await.status, 200);
    let last = client.call(&Request::get("/")).await;
    assert_eq!((last.status, last.header("Connection")), (200, "close"));
    client.assert_closed("a third request is not taken").await;
}

/// A gateway that wants a PROXY protocol header on each connection.
async fn behind_a_balancer() -> (Upstream, Gateway) {
    limited(&[("proxy_listen", "{proxy} proxy_protocol, {tls} ssl")]).await
}

/// What follows the header is served, or the connection is closed without an answer.
async fn assert_taken(gateway: &Gateway, header: &[u8], is_taken: bool, what: &str) {
    let mut client = gateway.send([header, &Request::get("/").bytes()].concat()).await;
    if is_taken {
        assert_eq!(client.response().await.status, 200, "{what}");
    } else {
        client.assert_closed(what).await;
    }
}

#[tokio::test]
async fn a_proxy_header_of_version_1_has_107_bytes_at_most() {
    let (_upstream, gateway) = behind_a_balancer().await;
    for (bytes, is_taken) in [(107, true), (108, false)] {
        // Whatever follows UNKNOWN is ignored.
        let filler = "x".repeat(bytes - "PROXY UNKNOWN \r\n".len());
        let header = format!("PROXY UNKNOWN {filler}\r\n");
        assert_taken(&gateway, header.as_bytes(), is_taken, &format!("{bytes} bytes")).await;
    }
}

#[tokio::test]
async fn what_follows_a_proxy_header_of_version_2_has_2048_bytes_at_most() {
    let (_upstream, gateway) = behind_a_balancer().await;
    for (rest, is_taken) in [(2_048_u16, true), (2_049, false)] {
        // PROXY over TCP and IPv4, then an extension that nobody knows.
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
        header.extend(rest.to_be_bytes());
        header.extend([10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0, 81]);
        let extension = rest - 12 - 3;
        header.push(0xEA);
        header.extend(extension.to_be_bytes());
        header.extend(vec![0; usize::from(extension)]);
        assert_taken(&gateway, &header, is_taken, &format!("{rest} bytes")).await;
    }
}
