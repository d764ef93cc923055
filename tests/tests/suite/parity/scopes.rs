//! Which instance of a plugin runs, and when (kong-core D).

use crate::ask::{ask, service};
use tidegate_tests::ports::refusing_address;
use tidegate_tests::{Gateway, Request, Response, Upstream};

const IDS: &str = "11111111-1111-4111-8111-111111111111";

/// The marker plugin in each scope of kong-core D.2, most specific first.
const SCOPES: [(&str, &str); 8] = [
    ("consumer+route+service", "consumer: alice, route: r, service: s"),
    ("consumer+route", "consumer: alice, route: r"),
    ("consumer+service", "consumer: alice, service: s"),
    ("route+service", "route: r, service: s"),
    ("consumer", "consumer: alice"),
    ("route", "route: r"),
    ("service", "service: s"),
    ("global", ""),
];

fn marker(name: &str, scope: &str, more: &str) -> String {
    let scope = if scope.is_empty() {
        String::new()
    } else {
        format!(", {scope}")
    };
    format!(
        "- {{name: response-transformer{scope}{more}, config: {{add: {{headers: [\"x-scope:{name}\"]}}}}}}\n"
    )
}

fn document(upstream: &Upstream, plugins: &str) -> String {
    let guarded = "- {name: r, paths: [/], plugins: [{name: key-auth}]}";
    let consumers = "consumers:\n- {username: alice, keyauth_credentials: [{key: alice}]}\n- {username: bob, keyauth_credentials: [{key: bob}]}\n";
    format!("{}{consumers}plugins:\n{plugins}", service(upstream, guarded))
}

fn as_alice() -> Request {
    ask("GET / apikey:alice")
}

#[tokio::test]
async fn the_most_specific_instance_runs_and_it_alone() {
    let upstream = Upstream::ok().await;
    for first in 0..SCOPES.len() {
        let plugins: String = SCOPES[first..]
            .iter()
            .map(|(name, scope)| marker(name, scope, ""))
            .collect();
        let gateway = Gateway::start(document(&upstream, &plugins)).await;
        let response = gateway.call(&as_alice()).await;
        assert_eq!(
            response.headers.all("x-scope"),
            [SCOPES[first].0],
            "with {plugins}"
        );
    }
}

#[tokio::test]
async fn an_instance_for_a_consumer_is_not_chosen_for_another_or_for_nobody() {
    let upstream = Upstream::ok().await;
    let plugins = marker("alice", "consumer: alice", "") + &marker("global", "", "");
    let gateway = Gateway::start(document(&upstream, &plugins)).await;
    for (request, status, scope) in [
        ("GET / apikey:bob", 200, "global"),
        ("GET /", 401, "global"),
        ("GET / apikey:alice", 200, "alice"),
    ] {
        let response = gateway.call(&ask(request)).await;
        assert_eq!(
            (response.status, response.header("x-scope")),
            (status, scope),
            "{request}"
        );
    }
}

#[tokio::test]
async fn an_anonymous_consumer_is_a_consumer_to_plugins() {
    let upstream = Upstream::ok().await;
    let route = "- {name: r, paths: [/], plugins: [{name: key-auth, config: {anonymous: nobody}}]}";
    let rest = format!(
        "consumers:\n- {{username: nobody, id: {IDS}}}\nplugins:\n{}",
        marker("nobody", "consumer: nobody", "")
    );
    let gateway = Gateway::start(service(&upstream, route) + &rest).await;
    let response = gateway.get("/").await;
    assert_eq!((response.status, response.header("x-scope")), (200, "nobody"));
    let seen = upstream.last();
    assert_eq!(
        (
            seen.header("X-Anonymous-Consumer"),
            seen.header("X-Consumer-Username")
        ),
        ("true", "nobody")
    );
}

#[tokio::test]
async fn a_plugin_that_runs_before_authentication_cannot_belong_to_a_consumer() {
    let upstream = Upstream::ok().await;
    let plugins =
        "- {name: correlation-id, consumer: alice, config: {header_name: x-alice, echo_downstream: true}}\n";
    match Gateway::with(document(&upstream, plugins)).try_start().await {
        // Refusing it at load is an honest answer as well.
        Err((_, log)) => assert!(log.contains("consumer"), "{log}"),
        Ok(gateway) => assert!(!gateway.call(&as_alice()).await.headers.has("x-alice")),
    }
}

#[tokio::test]
async fn a_disabled_instance_makes_room_for_the_next_scope() {
    let upstream = Upstream::ok().await;
    let plugins = marker("route", "route: r", ", enabled: false") + &marker("service", "service: s", "");
    let gateway = Gateway::start(document(&upstream, &plugins)).await;
    assert_eq!(gateway.call(&as_alice()).await.header("x-scope"), "service");
}

#[tokio::test]
async fn a_refusal_skips_later_access_but_still_runs_header_filters() {
    let upstream = Upstream::ok().await;
    let plugins =
        marker("global", "", "") + "- {name: rate-limiting, config: {minute: 100, policy: local}}\n";
    let gateway = Gateway::start(document(&upstream, &plugins)).await;
    let refused = gateway.get("/").await;
    assert_eq!(
        (refused.status, refused.header("x-scope")),
        (401, "global"),
        "a header filter below key-auth runs"
    );
    assert!(
        !refused.headers.has("RateLimit-Limit"),
        "the access phase of rate-limiting does not: {refused:?}"
    );
    assert!(upstream.requests().is_empty());
    let let_in = gateway.call(&as_alice()).await;
    assert_eq!(
        let_in.header("RateLimit-Remaining"),
        "99",
        "the refused request was not counted"
    );
}

#[tokio::test]
async fn an_unrouted_request_meets_global_plugins_alone() {
    let upstream = Upstream::ok().await;
    let yaml = service(&upstream, "- {name: r, paths: [/x]}")
        + "plugins:\n"
        + &marker("global", "", "")
        + "- {name: correlation-id, config: {header_name: x-correlation, echo_downstream: true}}\n"
        + "- {name: request-termination, route: r, config: {status_code: 418}}\n";
    let gateway = Gateway::start(yaml).await;
    let response = gateway.get("/nowhere").await;
    assert_eq!((response.status, response.header("x-scope")), (404, "global"));
    assert_eq!(gateway.get("/x").await.status, 418);
}

#[tokio::test]
async fn global_protocols_are_no_filter_per_request() {
    let upstream = Upstream::ok().await;
    let plugins = marker("global", "", ", protocols: [https]");
    let yaml = service(&upstream, "- {name: r, paths: [/]}") + "plugins:\n" + &plugins;
    assert_eq!(
        Gateway::start(yaml).await.get("/").await.header("x-scope"),
        "global"
    );
}

#[tokio::test]
async fn plugins_run_by_priority_whatever_their_order_in_the_file() {
    let upstream = Upstream::ok().await;
    // request-termination (2) is below rate-limiting (910): the count is taken first.
    let plugins = "- {name: request-termination, config: {status_code: 418}}\n- {name: rate-limiting, config: {minute: 2, policy: local}}\n";
    let yaml = service(&upstream, "- {name: r, paths: [/]}") + "plugins:\n" + plugins;
    let gateway = Gateway::start(yaml).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(gateway.get("/").await.status);
    }
    // A minute may begin in between.
    assert!(
        statuses[..2] == [418, 418] && matches!(statuses[2], 429 | 418),
        "{statuses:?}"
    );
    assert!(gateway.get("/").await.headers.has("X-RateLimit-Limit-Minute"));
}

#[tokio::test]
async fn the_log_phase_runs_for_refused_unrouted_and_failed_requests() {
    let upstream = Upstream::ok().await;
    let yaml = format!(
        "services:
- {{name: s, url: \"{}\", routes: [{{name: r, paths: [/guarded], plugins: [{{name: key-auth}}]}}]}}
- {{name: dead, url: \"http://{}\", retries: 0, routes: [{{name: d, paths: [/dead]}}]}}
plugins:
- {{name: file-log, config: {{path: LOGFILE, reopen: true}}}}
",
        upstream.url(),
        refusing_address()
    );
    let folder = tempfile_folder();
    let file = folder.path().join("requests.log");
    let gateway = Gateway::start(yaml.replace("LOGFILE", file.to_str().unwrap())).await;
    let statuses: Vec<u16> = [
        gateway.get("/guarded").await,
        gateway.get("/none").await,
        gateway.get("/dead").await,
    ]
    .iter()
    .map(|response: &Response| response.status)
    .collect();
    assert_eq!(statuses, [401, 404, 502]);
    let lines = logged(&file, 3).await;
    let logged: Vec<(u64, &str)> = lines
        .iter()
        .map(|line| {
            (
                line["response"]["status"].as_u64().unwrap(),
                line["source"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(logged, [(401, "kong"), (404, "kong"), (502, "kong")]);
    let tries = lines[2]["tries"].as_array().unwrap();
    assert_eq!(
        (tries.len(), &tries[0]["ip"]),
        (1, &serde_json::json!("127.0.0.1")),
        "{tries:?}"
    );
}

#[tokio::test]
async fn a_plugin_that_fails_answers_500_and_the_request_is_logged() {
    let upstream = Upstream::ok().await;
    // A path that does not start with a slash cannot be sent.
    let failing = "{name: request-transformer, config: {replace: {uri: \"$(10 * 3)\"}}}";
    let folder = tempfile_folder();
    let file = folder.path().join("requests.log");
    let yaml = format!(
        "{}plugins:\n- {{name: file-log, config: {{path: {}, reopen: true}}}}\n{}",
        service(
            &upstream,
            &format!("- {{name: r, paths: [/], plugins: [{failing}]}}")
        ),
        file.display(),
        marker("global", "", ""),
    );
    let gateway = Gateway::start(yaml).await;
    let response = gateway.get("/").await;
    assert_eq!(
        (response.status, response.message().as_str()),
        (500, "An unexpected error occurred")
    );
    assert_eq!(response.header("x-scope"), "global", "header filters still run");
    assert!(upstream.requests().is_empty());
    let record = logged(&file, 1).await.remove(0);
    assert_eq!(record["response"]["status"], 500);
    assert_eq!(gateway.get("/").await.status, 500, "the worker lives on");
}

#[tokio::test]
async fn the_log_names_every_try_with_its_failure() {
    let folder = tempfile_folder();
    let file = folder.path().join("requests.log");
    let yaml = format!(
        "services:\n- {{name: s, url: \"http://{}\", retries: 2, routes: [{{paths: [/]}}]}}\n\
         plugins:\n- {{name: file-log, config: {{path: {}, reopen: true}}}}\n",
        refusing_address(),
        file.display(),
    );
    let gateway = Gateway::start(yaml).await;
    assert_eq!(gateway.get("/").await.status, 502);
    let record = logged(&file, 1).await.remove(0);
    let tries = record["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 3, "one try and two more: {tries:?}");
    for one in tries {
        assert_eq!(one["ip"], "127.0.0.1", "{one}");
        assert!(one["port"].is_u64() && one["code"] == 502, "{one}");
        assert_eq!(one["state"], "failed", "{one}");
    }
}

#[tokio::test]
async fn two_instances_cannot_share_a_name() {
    let upstream = Upstream::ok().await;
    let plugins = marker("a", "route: r", ", instance_name: same")
        + &marker("b", "service: s", ", instance_name: same");
    let yaml = service(&upstream, "- {name: r, paths: [/]}") + "plugins:\n" + &plugins;
    let (_, log) = Gateway::with(yaml).try_start().await.unwrap_err();
    assert!(
        log.contains("uniqueness violation") && log.contains("same"),
        "{log}"
    );
}

/// The records that the plugin file-log wrote, once there are `count`.
async fn logged(file: &std::path::Path, count: usize) -> Vec<serde_json::Value> {
    tidegate_tests::eventually(
        "the records are written",
        tidegate_tests::wait::PATIENCE,
        async || {
            let text = std::fs::read_to_string(file).ok()?;
            let records: Vec<serde_json::Value> = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            (records.len() == count).then_some(records)
        },
    )
    .await
}

fn tempfile_folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
