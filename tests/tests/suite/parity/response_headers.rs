//! Headers that the client sees (kong-core E.2).

use crate::ask::{ask, service};
use tidegate_tests::{Answer, Gateway, RawClient, Request, Response, Upstream};

async fn with_headers(setting: Option<&str>) -> (Upstream, Gateway) {
    let upstream = Upstream::serving(|request| match request.target.as_str() {
        "/via" => Answer::ok("").header("Via", "2 nginx"),
        "/teapot" => Answer::status(418).header("Server", "up"),
        "/hop" => Answer::ok("")
            .header("Connection", "X-A")
            .header("X-A", "1")
            .header("Keep-Alive", "timeout=5")
            .header("X-B", "1"),
        "/trailer" => Answer::ok("").header("Trailer", "X-Sum"),
        "/server" => Answer::ok("")
            .header("Server", "up")
            .header("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        _ => Answer::ok("ok"),
    })
    .await;
    let routes = "- {paths: [/proxied]}
- {paths: [/guarded], plugins: [{name: key-auth}]}
- name: changed
  paths: [/changed]
  plugins: [{name: request-termination, config: {status_code: 418}}]";
    let builder = Gateway::with(service(&upstream, routes));
    let gateway = match setting {
        Some(value) => builder.setting("headers", value).start().await,
        None => builder.start().await,
    };
    (upstream, gateway)
}

fn is_number(response: &Response, name: &str) -> bool {
    response
        .headers
        .get(name)
        .is_some_and(|value| value.parse::<u64>().is_ok())
}

#[tokio::test]
async fn a_proxied_answer_tells_latencies_and_the_way_it_came() {
    let (_upstream, gateway) = with_headers(None).await;
    let response = gateway.get("/proxied/server").await;
    assert_eq!(response.header("Server"), "up", "the upstream's own");
    assert_eq!(
        response.header("Date"),
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "the upstream's own"
    );
    assert!(response.header("Via").starts_with("1.1 "), "{response:?}");
    assert!(
        is_number(&response, "X-Kong-Upstream-Latency") && is_number(&response, "X-Kong-Proxy-Latency"),
        "{response:?}"
    );
    assert!(
        !response.headers.has("X-Kong-Response-Latency") && !response.headers.has("X-Kong-Upstream-Status")
    );
    let via = response.header("Via").to_owned();
    assert_eq!(
        gateway.get("/proxied/via").await.header("Via"),
        format!("2 nginx, {via}")
    );
    let product = via.trim_start_matches("1.1 ");
    assert_eq!(
        gateway.get("/proxied/none").await.header("Server"),
        product,
        "where the upstream names none"
    );
}

#[tokio::test]
async fn an_answer_of_the_gateway_itself_tells_only_its_own_latency() {
    let (_upstream, gateway) = with_headers(None).await;
    for (target, status) in [("/unrouted", 404), ("/guarded", 401), ("/changed", 418)] {
        let response = gateway.get(target).await;
        assert_eq!(response.status, status);
        assert!(
            response.header("Server").contains('/') && is_number(&response, "X-Kong-Response-Latency"),
            "{response:?}"
        );
        assert!(response.headers.has("X-Kong-Request-Id"));
        for name in ["Via", "X-Kong-Upstream-Latency", "X-Kong-Proxy-Latency"] {
            assert!(!response.headers.has(name), "{name} on {target}");
        }
    }
}

#[tokio::test]
async fn headers_off_leaves_only_what_the_upstream_sent() {
    let (_upstream, gateway) = with_headers(Some("off")).await;
    for target in ["/proxied/server", "/proxied/none", "/unrouted", "/guarded"] {
        let response = gateway.get(target).await;
        for name in [
            "Via",
            "X-Kong-Upstream-Latency",
            "X-Kong-Proxy-Latency",
            "X-Kong-Response-Latency",
            "X-Kong-Request-Id",
        ] {
            assert!(!response.headers.has(name), "{name} on {target}");
        }
        let server = (target == "/proxied/server").then_some("up");
        assert_eq!(response.headers.get("Server"), server, "{target}");
    }
}

#[tokio::test]
async fn the_list_of_headers_is_read_without_case_and_ignores_off_in_its_middle() {
    for setting in [
        "server_tokens, off, X-Kong-Proxy-Latency",
        "ViA, x-kong-proxy-latency",
    ] {
        let (_upstream, gateway) = with_headers(Some(setting)).await;
        let response = gateway.get("/proxied/none").await;
        assert!(
            response.headers.has("Via") && is_number(&response, "X-Kong-Proxy-Latency"),
            "{setting}: {response:?}"
        );
        assert!(
            !response.headers.has("X-Kong-Upstream-Latency") && !response.headers.has("X-Kong-Request-Id"),
            "{setting}"
        );
    }
}

#[tokio::test]
async fn the_upstreams_status_is_shown_when_asked_for() {
    let (_upstream, gateway) = with_headers(Some("X-Kong-Upstream-Status")).await;
    let response = gateway.get("/proxied/teapot").await;
    assert_eq!(
        (response.status, response.header("X-Kong-Upstream-Status")),
        (418, "418")
    );
    assert!(
        !gateway
            .get("/guarded")
            .await
            .headers
            .has("X-Kong-Upstream-Status"),
        "no upstream, no status of it"
    );
}

#[tokio::test]
async fn headers_of_the_upstreams_connection_end_at_the_gateway() {
    let (_upstream, gateway) = with_headers(None).await;
    let response = gateway.get("/proxied/hop").await;
    assert!(
        !response.headers.has("X-A") && !response.headers.has("Keep-Alive"),
        "{response:?}"
    );
    assert!(response.headers.has("X-B"));
    assert!(
        !gateway.get("/proxied/trailer").await.headers.has("Trailer"),
        "the client did not ask for trailers"
    );
    let response = gateway
        .call(&Request::get("/proxied/trailer").header("TE", "trailers"))
        .await;
    assert_eq!(response.header("Trailer"), "X-Sum");
}

#[tokio::test]
async fn debug_headers_need_the_setting_and_the_request() {
    let upstream = Upstream::ok().await;
    let yaml = service(&upstream, "- {name: r, paths: [/]}");
    let closed = Gateway::start(yaml.clone()).await;
    assert!(
        !closed
            .call(&ask("GET / Kong-Debug:1"))
            .await
            .headers
            .has("Kong-Route-Name"),
        "off by default"
    );
    let open = Gateway::with(yaml)
        .setting("allow_debug_header", "on")
        .start()
        .await;
    let response = open.call(&ask("GET / Kong-Debug:1")).await;
    for (name, value) in [("Kong-Route-Name", "r"), ("Kong-Service-Name", "s")] {
        assert_eq!(response.header(name), value);
    }
    for name in ["Kong-Route-Id", "Kong-Service-Id"] {
        assert_eq!(response.header(name).len(), 36, "{name}");
    }
    assert!(!open.get("/").await.headers.has("Kong-Route-Name"));
}

#[tokio::test]
async fn the_connection_stays_open_after_answers_of_either_kind() {
    let (_upstream, gateway) = with_headers(None).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for target in ["/proxied/x", "/unrouted", "/guarded", "/proxied/y"] {
        client.assert_open(&Request::get(target), target).await;
    }
}
