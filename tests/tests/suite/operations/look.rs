//! Looking: status pages, metrics, access log.

use crate::ask::{ask, service};
use tidegate_tests::ports::free_address;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, RawClient, Request, Upstream, eventually};

#[tokio::test]
async fn the_status_pages_tell_whether_the_node_serves() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let ready = gateway.status_page("/status/ready").await;
    assert_eq!(
        (ready.status, ready.json()["message"].as_str()),
        (200, Some("ready"))
    );
    gateway.get("/").await;
    let status = gateway.status_page("/status").await;
    assert_eq!(status.status, 200);
    let server = &status.json()["server"];
    assert!(
        server["total_requests"].as_u64().is_some_and(|count| count >= 1),
        "{server}"
    );
    assert!(server["connections_active"].is_u64(), "{server}");
    let hash = status.json()["configuration_hash"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        hash.len() == 32 && hash.bytes().any(|byte| byte != b'0'),
        "{hash}"
    );
    assert_eq!(gateway.status_page("/nowhere").await.status, 404);
}

#[tokio::test]
async fn a_node_without_configuration_is_not_ready() {
    let gateway = Gateway::with("")
        .setting("declarative_config", "")
        .setting("database", "off")
        .start()
        .await;
    let ready = gateway.status_page("/status/ready").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.json()["message"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("no configuration available"))
    );
}

#[tokio::test]
async fn a_node_with_an_empty_store_is_ready() {
    let gateway = Gateway::with("").setting("declarative_config", "").start().await;
    assert_eq!(gateway.status_page("/status/ready").await.status, 200);
    let status = gateway.status_page("/status").await.json();
    assert_eq!(status["database"]["reachable"], true, "{status}");
}

#[tokio::test]
async fn a_log_level_for_a_while_gives_way_to_the_configured_one_whatever_came_between() {
    let gateway = Gateway::managed().start().await;
    let (admin, path) = (gateway.admin(), "/debug/node/log-level");
    let configured = admin.get(path).await;
    for (level, seconds) in [("crit", 600), ("debug", 1)] {
        let change = Request::new("PUT", &format!("{path}/{level}?timeout={seconds}"));
        assert_eq!(admin.call(change).await.status, 200);
    }
    assert_eq!(admin.get(path).await["message"], "log level: debug");
    eventually("the configured level is back", PATIENCE, async || {
        (admin.get(path).await == configured).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_are_counted_by_route_and_source() {
    let upstream = Upstream::ok().await;
    let routes =
        "- {name: open, paths: [/open]}\n- {name: guarded, paths: [/guarded], plugins: [{name: key-auth}]}";
    let gateway = Gateway::start(service(&upstream, routes)).await;
    for target in ["/open", "/open", "/guarded", "/nowhere"] {
        gateway.get(target).await;
    }
    let page = eventually("all requests are counted", PATIENCE, async || {
        let page = gateway.status_page("/metrics").await.text();
        page.contains("tidegate_unrouted_requests_total{code=\"404\"} 1")
            .then_some(page)
    })
    .await;
    let end = "workspace=\"default\",consumer=\"\"}";
    for line in [
        format!(
            "kong_http_requests_total{{service=\"s\",route=\"open\",code=\"200\",source=\"service\",{end} 2"
        ),
        format!(
            "kong_http_requests_total{{service=\"s\",route=\"guarded\",code=\"401\",source=\"kong\",{end} 1"
        ),
        "kong_datastore_reachable 1".to_owned(),
    ] {
        assert!(page.lines().any(|found| found == line), "no {line} in\n{page}");
    }
    for family in [
        "kong_kong_latency_ms_bucket",
        "kong_upstream_latency_ms_bucket",
        "kong_request_latency_ms_bucket",
        "kong_bandwidth_bytes",
        "kong_nginx_connections_total",
        "kong_nginx_requests_total",
        "tidegate_build_info",
        "tidegate_snapshot_version",
        "tidegate_upstream_connections",
        "tidegate_log_lines_dropped_total",
        "process_resident_memory_bytes",
    ] {
        assert!(page.contains(family), "no {family} in\n{page}");
    }
    let mut heads: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let count = heads.len();
    heads.dedup();
    assert_eq!(heads.len(), count, "each family is headed once");
}

#[tokio::test]
async fn metrics_say_what_they_are() {
    let gateway = Gateway::start("services: []\n").await;
    let page = gateway.status_page("/metrics").await;
    assert!(
        page.header("Content-Type")
            .to_lowercase()
            .starts_with("text/plain"),
        "{page:?}"
    );
    assert!(
        page.header("Content-Type")
            .to_lowercase()
            .contains("charset=utf-8")
    );
}

#[tokio::test]
async fn the_access_log_has_a_line_for_every_request_in_json() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {name: r, paths: [/p]}"))
        .setting("proxy_access_log", "{folder}/access.log")
        .setting("proxy_access_log_format", "json")
        .start()
        .await;
    let response = gateway.call(&ask("GET /p?q=1 @a.test User-Agent:probe")).await;
    gateway.get("/nowhere").await;
    gateway.send("GET / HTTP/1.1\r\n\r\n").await.response().await;
    let lines = eventually("three lines", PATIENCE, async || {
        let text = std::fs::read_to_string(gateway.folder().join("access.log")).ok()?;
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (lines.len() >= 3).then_some(lines)
    })
    .await;
    let text = lines[0].to_string();
    for part in ["/p?q=1", "probe", "200", response.header("X-Kong-Request-Id")] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[tokio::test]
async fn the_combined_form_ends_with_the_request_id() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(service(&upstream, "- {paths: [/]}"))
        .setting("proxy_access_log", "{folder}/access.log")
        .start()
        .await;
    let response = gateway
        .call(&ask("GET /p User-Agent:evil\"quote Referer:r"))
        .await;
    let line = eventually("a line", PATIENCE, async || {
        let text = std::fs::read_to_string(gateway.folder().join("access.log")).ok()?;
        text.lines().next().map(str::to_owned)
    })
    .await;
    assert!(
        line.starts_with("127.0.0.1 - - [") && line.contains("\"GET /p HTTP/1.1\" 200 2 \"r\""),
        "{line}"
    );
    let id = response.header("X-Kong-Request-Id");
    assert!(line.ends_with(&format!("kong_request_id: \"{id}\"")), "{line}");
    assert!(
        !line.contains("evil\"quote"),
        "a quote inside a value is escaped: {line}"
    );
}

#[tokio::test]
async fn secrets_of_the_configuration_are_nowhere_in_the_log() {
    let upstream = Upstream::ok().await;
    let yaml = service(&upstream, "- {paths: [/], plugins: [{name: key-auth}]}")
        + "consumers:\n- {username: alice, keyauth_credentials: [{key: top-secret-key}]}\n";
    let gateway = Gateway::with(yaml).setting("log_level", "debug").start().await;
    gateway
        .call(&Request::get("/").header("apikey", "top-secret-key"))
        .await;
    gateway
        .call(&Request::get("/").header("apikey", "wrong-secret-key"))
        .await;
    let log = gateway.log();
    assert!(
        !log.contains("top-secret-key") && !log.contains("wrong-secret-key"),
        "{log}"
    );
}

#[tokio::test]
async fn a_named_admin_address_answers_status_as_kongs_does() {
    let admin = free_address();
    let gateway = Gateway::with("services: []\n")
        .setting("admin_listen", admin.to_string())
        .start()
        .await;
    let answer = RawClient::connect(admin)
        .await
        .call(&Request::get("/status").header("Connection", "close"))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json()["configuration_hash"],
        gateway.status_page("/status").await.json()["configuration_hash"]
    );
}
