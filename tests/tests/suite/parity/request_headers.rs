//! Headers that the upstream sees (kong-core E.1).

use crate::ask::{ask, service};
use tidegate_tests::tls::Hello;
use tidegate_tests::{Gateway, H2Client, RawClient, Request, Upstream, h2_client};

async fn plain() -> (Upstream, Gateway) {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(
        &upstream,
        "- {paths: [/], strip_path: false}\n- {paths: [/foo]}",
    ))
    .await;
    (upstream, gateway)
}

async fn trusting(settings: &[(&str, &str)]) -> (Upstream, Gateway) {
    let upstream = Upstream::ok().await;
    let mut builder = Gateway::with(service(&upstream, "- {paths: [/]}"));
    for (name, value) in settings {
        builder = builder.setting(name, *value);
    }
    (upstream, builder.start().await)
}

#[tokio::test]
async fn a_plain_client_gets_the_full_set_of_forwarding_headers() {
    let (upstream, gateway) = plain().await;
    gateway.call(&Request::get("/").host("A.Test:9000")).await;
    let request = upstream.last();
    let port = gateway.proxy().port().to_string();
    for (name, value) in [
        ("X-Real-IP", "127.0.0.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "a.test"),
        ("X-Forwarded-Port", &port),
        ("X-Forwarded-Path", "/"),
        ("Connection", "keep-alive"),
    ] {
        assert_eq!(request.headers.all(name), [value], "{name}");
    }
}

#[tokio::test]
async fn what_an_untrusted_client_claims_is_replaced() {
    let (upstream, gateway) = plain().await;
    let request =
        ask("GET /foo/x @a.test X-Real-IP:10.0.0.1 X-Forwarded-Proto:https X-Forwarded-Host:e.test")
            .header("X-Forwarded-Port", "80")
            .header("X-Forwarded-Path", "/r")
            .header("X-Forwarded-Prefix", "/spoofed")
            .header("X-Forwarded-For", "10.0.0.1");
    gateway.call(&request).await;
    let seen = upstream.last();
    let port = gateway.proxy().port().to_string();
    for (name, value) in [
        ("X-Real-IP", "127.0.0.1"),
        ("X-Forwarded-For", "10.0.0.1, 127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "a.test"),
        ("X-Forwarded-Port", &port),
        ("X-Forwarded-Path", "/foo/x"),
        ("X-Forwarded-Prefix", "/foo"),
    ] {
        assert_eq!(seen.headers.all(name), [value], "{name}");
    }
    gateway.call(&ask("GET /bar X-Forwarded-Prefix:/spoofed")).await;
    assert!(
        !upstream.last().headers.has("X-Forwarded-Prefix"),
        "nothing was stripped"
    );
}

#[tokio::test]
async fn what_a_trusted_peer_says_is_passed_on() {
    let (upstream, gateway) = trusting(&[("trusted_ips", "127.0.0.1")]).await;
    let claims = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "e.test"),
        ("X-Forwarded-Port", "80"),
        ("X-Forwarded-Path", "/r"),
        ("X-Forwarded-Prefix", "/pre"),
        ("X-Real-IP", "10.0.0.1"),
    ];
    let request = claims.iter().fold(Request::get("/"), |request, (name, value)| {
        request.header(name, value)
    });
    gateway.call(&request.header("X-Forwarded-For", "10.0.0.9")).await;
    for (name, value) in claims {
        assert_eq!(upstream.last().headers.all(name), [value], "{name}");
    }
    assert_eq!(
        upstream.last().header("X-Forwarded-For"),
        "10.0.0.9, 127.0.0.1",
        "appended to all the same"
    );
}

#[tokio::test]
async fn the_client_address_comes_from_the_header_that_the_settings_name() {
    let trusted = ("trusted_ips", "127.0.0.1,172.16.0.1,192.168.0.1");
    let chain = "127.0.0.1, 10.0.0.1, 192.168.0.1, 127.0.0.1, 172.16.0.1";
    for (recursive, expected) in [("on", "10.0.0.1"), ("off", "172.16.0.1")] {
        let settings = [
            trusted,
            ("real_ip_header", "X-Forwarded-For"),
            ("real_ip_recursive", recursive),
        ];
        let (upstream, gateway) = trusting(&settings).await;
        gateway
            .call(&Request::get("/").header("X-Forwarded-For", chain))
            .await;
        let seen = upstream.last();
        assert_eq!(seen.header("X-Real-IP"), expected, "recursive {recursive}");
        assert_eq!(seen.header("X-Forwarded-For"), format!("{chain}, 127.0.0.1"));
        if recursive == "on" {
            gateway
                .call(&Request::get("/").header("X-Forwarded-For", "10.0.0.1:15"))
                .await;
            let seen = upstream.last();
            assert_eq!(
                seen.header("X-Real-IP"),
                "10.0.0.1",
                "a port in the list is no part of the address"
            );
            assert_eq!(seen.header("X-Forwarded-For"), "10.0.0.1:15, 127.0.0.1");
        }
    }
    let settings = [
        ("trusted_ips", "10.9.9.9"),
        ("real_ip_header", "X-Forwarded-For"),
        ("real_ip_recursive", "on"),
    ];
    let (upstream, gateway) = trusting(&settings).await;
    gateway
        .call(&Request::get("/").header("X-Forwarded-For", chain))
        .await;
    assert_eq!(
        upstream.last().header("X-Real-IP"),
        "127.0.0.1",
        "the peer is not trusted"
    );
}

#[tokio::test]
async fn plugins_see_the_client_address_that_a_trusted_peer_names() {
    let upstream = Upstream::ok().await;
    let routes = "- {paths: [/], plugins: [{name: ip-restriction, config: {deny: [10.0.0.1]}}]}";
    let gateway = Gateway::with(service(&upstream, routes))
        .setting("trusted_ips", "127.0.0.1")
        .start()
        .await;
    assert_eq!(gateway.call(&ask("GET / X-Real-IP:10.0.0.1")).await.status, 403);
    assert_eq!(gateway.call(&ask("GET / X-Real-IP:10.0.0.2")).await.status, 200);
}

#[tokio::test]
async fn a_mapped_port_is_the_port_that_upstreams_see() {
    let (upstream, gateway) = trusting(&[("port_maps", "80:{proxy_port}")]).await;
    gateway.get("/").await;
    assert_eq!(upstream.last().header("X-Forwarded-Port"), "80");
}

#[tokio::test]
async fn headers_of_the_connection_end_at_the_gateway() {
    let (upstream, gateway) = plain().await;
    let request = Request::get("/")
        .header("Connection", "X-Foo, X-Bar")
        .header("X-Foo", "1")
        .header("X-Bar", "1")
        .header("X-Foo-Bar", "1")
        .header("Close", "1")
        .header("Keep-Alive", "5")
        .header("Proxy", "p")
        .header("Proxy-Connection", "keep-alive")
        .header("Upgrade", "example/1")
        .header("Proxy-Authorization", "Basic x")
        .header("Proxy-Authenticate", "Basic")
        .header("my_header", "1");
    gateway.call(&request).await;
    let seen = upstream.last().headers;
    for name in [
        "X-Foo",
        "X-Bar",
        "Keep-Alive",
        "Proxy",
        "Proxy-Connection",
        "Upgrade",
    ] {
        assert!(!seen.has(name), "{name} went through");
    }
    for name in [
        "X-Foo-Bar",
        "Close",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "my_header",
    ] {
        assert!(seen.has(name), "{name} was lost");
    }
}

#[tokio::test]
async fn a_client_cannot_name_the_gateways_own_headers_as_its_connections() {
    let (upstream, gateway) = plain().await;
    let names = "X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, X-Kong-Request-Id, Host";
    gateway.call(&Request::get("/").header("Connection", names)).await;
    let seen = upstream.last().headers;
    for name in [
        "X-Forwarded-For",
        "X-Real-IP",
        "X-Forwarded-Proto",
        "X-Kong-Request-Id",
        "Host",
    ] {
        assert!(seen.has(name), "{name} was dropped at the client's wish");
    }
}

#[tokio::test]
async fn of_te_only_trailers_goes_through() {
    let (upstream, gateway) = plain().await;
    gateway
        .call(&Request::get("/").header("TE", "trailers, deflate;q=0.5"))
        .await;
    assert_eq!(upstream.last().headers.all("TE"), ["trailers"]);
    gateway.call(&ask("GET / TE:deflate")).await;
    assert!(!upstream.last().headers.has("TE"));
}

#[tokio::test]
async fn via_names_the_protocol_that_the_request_came_by() {
    let (upstream, gateway) = plain().await;
    gateway.get("/").await;
    let via = upstream.last().header("Via").to_owned();
    assert!(via.starts_with("1.1 ") && via.contains('/'), "{via}");
    gateway.call(&Request::get("/").header("Via", "1.1 dev")).await;
    assert_eq!(upstream.last().header("Via"), format!("1.1 dev, {via}"));
    let mut client = H2Client::cleartext(gateway.proxy()).await;
    client.call(h2_client::get("http://localhost/")).await;
    assert_eq!(upstream.last().header("Via"), via.replacen("1.1 ", "2 ", 1));
}

#[tokio::test]
async fn the_request_id_is_the_gateways_own_on_both_sides() {
    let (upstream, gateway) = plain().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let response = gateway.call(&ask("GET / X-Kong-Request-Id:mine")).await;
        let id = response.header("X-Kong-Request-Id").to_owned();
        assert!(
            id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            "{id}"
        );
        assert_eq!(upstream.last().headers.all("X-Kong-Request-Id"), [id.as_str()]);
        assert!(!seen.contains(&id), "ids repeat");
        seen.push(id);
    }
}

#[tokio::test]
async fn the_request_id_can_be_kept_from_upstreams() {
    let (upstream, gateway) = trusting(&[("headers_upstream", "off")]).await;
    let response = gateway.get("/").await;
    assert!(!upstream.last().headers.has("X-Kong-Request-Id"));
    assert!(response.headers.has("X-Kong-Request-Id"));
}

#[tokio::test]
async fn repeated_headers_stay_repeated_and_in_order() {
    let (upstream, gateway) = plain().await;
    gateway.call(&ask("GET / X-A:1 X-B:2 X-A:3")).await;
    assert_eq!(upstream.last().headers.all("X-A"), ["1", "3"]);
}

#[tokio::test]
async fn the_forwarded_protocol_is_that_of_the_connection() {
    let (upstream, gateway) = plain().await;
    let mut client = RawClient::connect_tls(gateway.tls(), Hello::to("a.test")).await;
    client.call(&ask("GET / @a.test")).await;
    let seen = upstream.last();
    assert_eq!(seen.header("X-Forwarded-Proto"), "https");
    assert_eq!(seen.header("X-Forwarded-Port"), gateway.tls().port().to_string());
}
