//! How filters come to routes and services.

use super::guest::{Folder, GOT, Guest, OUT, adding};
use tidegate_tests::gateway::Reload;
use tidegate_tests::{Gateway, Request, Upstream};

fn routes(upstream: &Upstream, chains: &str) -> String {
    format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/a]}}\n  - {{name: b, paths: [/b]}}\n{chains}",
        upstream.url()
    )
}

#[tokio::test]
async fn chains_of_service_and_route_run_in_that_order_and_disabled_entries_do_not() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new()
        .with("one", &adding("x-filter", "one"))
        .with("two", &adding("x-filter", "two"))
        .with("three", &adding("x-filter", "three"));
    let chains = "filter_chains:\n- {name: r, route: a, filters: [{name: one}, {name: three, enabled: false}]}\n\
                  - {name: s, service: s, filters: [{name: two}, {name: three}]}\n";
    let gateway = folder
        .attached(Gateway::with(routes(&upstream, chains)))
        .start()
        .await;
    let answer = gateway.get("/a").await;
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.last().headers.all("x-filter"), ["two", "three", "one"]);
    assert_eq!(answer.headers.all("x-filter"), ["two", "three", "one"]);
    gateway.get("/b").await;
    assert_eq!(upstream.last().headers.all("x-filter"), ["two", "three"]);
    assert_eq!(gateway.get("/none").await.status, 404);
    assert_eq!(gateway.metric("tidegate_filter_traps_total").await, 0.0);
    let created = gateway.metric("tidegate_filter_streams_created_total").await;
    assert_eq!(created, 5.0);
    assert_eq!(
        gateway.metric("tidegate_filter_streams_ended_total").await,
        created
    );
}

#[tokio::test]
async fn a_plugin_with_a_filters_name_configures_it() {
    let upstream = Upstream::ok().await;
    let mut guest = Guest::default();
    let name = guest.text("x-config");
    let statements = format!(
        "(call $ok (call $get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 1000) {OUT}))
         (call $ok (call $add_header_map_value (i32.const 0) {name} {GOT}))"
    );
    let guest = guest.on("request_headers", 3, &statements, "(i32.const 0)");
    let schema = r#"{"config_schema": {"type": "object", "properties": {"level": {"type": "integer"}}, "required": ["level"]}}"#;
    let folder = Folder::new().with("told", &guest).meta("told", schema);
    let plugin = |config: &str| {
        let plugins = format!("plugins:\n- {{name: told, route: a, config: {config}}}\n");
        folder.attached(Gateway::with(routes(&upstream, &plugins)))
    };
    let gateway = plugin("{level: 3}").start().await;
    assert_eq!(gateway.get("/a").await.status, 200);
    assert_eq!(upstream.last().header("x-config"), r#"{"level":3}"#);
    gateway.get("/b").await;
    assert_eq!(upstream.last().header("x-config"), "");
    let (_, log) = plugin("{level: high}").try_start().await.unwrap_err();
    assert!(log.contains("level") && log.contains("integer"), "{log}");
}

#[tokio::test]
async fn a_configuration_with_an_unknown_filter_is_refused_and_the_old_one_serves() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new().with("other", &adding("x-filter", "other"));
    let chain =
        |name: &str| format!("filter_chains:\n- {{name: c, route: a, filters: [{{name: {name}}}]}}\n");
    let gateway = folder
        .attached(Gateway::with(routes(&upstream, &chain("other"))))
        .start()
        .await;
    let changed = routes(&upstream, &chain("one"));
    assert_eq!(gateway.reload(changed).await, Reload::Refused);
    gateway.logs("no such filter 'one'").await;
    assert_eq!(gateway.get("/a").await.header("x-filter"), "other");
}

#[tokio::test]
async fn what_cannot_be_attached_stops_the_start_with_the_reason() {
    let upstream = Upstream::ok().await;
    let chains = "filter_chains:\n- {name: c, route: a, filters: [{name: one}]}\n";
    let gateway = || Gateway::with(routes(&upstream, chains));
    let refusal = async |builder: tidegate_tests::gateway::Builder| builder.try_start().await.unwrap_err().1;
    let log = refusal(gateway()).await;
    assert!(log.contains("no wasm filters are available"), "{log}");
    let plugin = Folder::new().with("key-auth", &adding("a", "b"));
    let log = refusal(plugin.attached(gateway())).await;
    assert!(
        log.contains("duplicate plugin/wasm filter name: key-auth"),
        "{log}"
    );
    let log = refusal(
        gateway()
            .setting("wasm", "on")
            .setting("wasm_filters_path", "/nowhere"),
    )
    .await;
    assert!(
        log.contains("wasm_filters_path '/nowhere' is not a valid directory"),
        "{log}"
    );
}

#[tokio::test]
async fn a_plugins_answer_passes_filters_by() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new().with("one", &adding("x-filter", "one"));
    let more = "filter_chains:\n- {name: c, service: s, filters: [{name: one}]}\n\
                plugins:\n- {name: request-termination, route: a, config: {status_code: 418}}\n";
    let gateway = folder
        .attached(Gateway::with(routes(&upstream, more)))
        .start()
        .await;
    let answer = gateway.call(&Request::get("/a")).await;
    assert_eq!((answer.status, answer.header("x-filter")), (418, ""));
    assert_eq!(gateway.get("/b").await.header("x-filter"), "one");
}
