//! What an attachment says of its filter, and what happens when the filter is not there.

use super::guest::{Folder, Guest, adding};
use tidegate_tests::gateway::Reload;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, Request, Upstream, eventually};

fn trapping() -> Guest {
    Guest::default().on("request_headers", 3, "(unreachable)", "(i32.const 0)")
}

fn two_routes(upstream: &Upstream, more: &str) -> String {
    format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/a]}}\n  - {{name: b, paths: [/b]}}\n{more}",
        upstream.url()
    )
}

#[tokio::test]
async fn each_attachment_has_its_own_failure_policy_over_that_of_the_metadata() {
    let upstream = Upstream::ok().await;
    let meta = r#"{"tidegate": {"failure_policy": "open"}}"#;
    let folder = Folder::new().with("test", &trapping()).meta("test", meta);
    let chains = "filter_chains:\n- {name: a, route: a, filters: [{name: test, tidegate: {failure_policy: closed}}]}\n\
                  - {name: b, route: b, filters: [{name: test}]}\n";
    let gateway = folder
        .attached(Gateway::with(two_routes(&upstream, chains)))
        .start()
        .await;
    assert_eq!(gateway.get("/a").await.status, 500);
    assert_eq!(gateway.get("/b").await.status, 200);
    let plugins = "plugins:\n- {name: test, route: a}\n\
                   - {name: test, route: b, tidegate: {failure_policy: closed}}\n";
    assert_eq!(
        gateway.reload(two_routes(&upstream, plugins)).await,
        Reload::Accepted
    );
    assert_eq!(gateway.get("/a").await.status, 200);
    assert_eq!(gateway.get("/b").await.status, 500);
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_with_their_place() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new().with("test", &adding("x-filter", "1"));
    let refusals = [
        (
            "filter_chains:\n- {name: a, route: a, filters: [{name: test, tidegate: {no_such: 1}}]}\n",
            "no_such",
        ),
        (
            "filter_chains:\n- {name: a, route: a, filters: [{name: test, tidegate: {isolation: some}}]}\n",
            "some",
        ),
        (
            "plugins:\n- {name: cors, route: a, tidegate: {failure_policy: open}}\n",
            "only filters have these options",
        ),
    ];
    for (more, reason) in refusals {
        let start = folder.attached(Gateway::with(two_routes(&upstream, more)));
        let Err((_, text)) = start.try_start().await else {
            panic!("{more} is taken");
        };
        assert!(text.contains("tidegate") && text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn a_missing_filter_whose_policy_is_open_stops_nothing() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new();
    let more = "filter_chains:\n- {name: a, route: a, filters: [{name: gone, tidegate: {failure_policy: open}}]}\n\
                plugins:\n- {name: gone_too, route: b, config: {any: thing}, tidegate: {failure_policy: open}}\n";
    let gateway = folder
        .attached(Gateway::with(two_routes(&upstream, more)))
        .start()
        .await;
    for path in ["/a", "/b"] {
        assert_eq!(gateway.get(path).await.status, 200, "{path}");
    }
    assert_eq!(gateway.status_page("/status/ready").await.status, 200);
    folder.install("gone", &adding("x-filter", "here"));
    eventually("the filter comes into service", PATIENCE, async || {
        (gateway.get("/a").await.header("x-filter") == "here").then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_filter_whose_policy_is_closed_the_gateway_starts_and_is_not_ready() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new();
    folder.put("broken.wasm", b"no module");
    let more = "filter_chains:\n- {name: a, route: a, filters: [{name: broken}]}\n";
    let gateway = folder
        .attached(Gateway::with(two_routes(&upstream, more)))
        .start()
        .await;
    assert_eq!(gateway.get("/a").await.status, 503);
    assert_eq!(gateway.get("/b").await.status, 200, "the others serve");
    let ready = gateway.status_page("/status/ready").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("not there"), "{}", ready.text());
    gateway.logs("not a WebAssembly module").await;
    // What is missing is no reason to refuse another change, but one more missing filter is.
    let other = "- {name: t, url: \"http://127.0.0.1:1\"}\n";
    let changed = two_routes(&upstream, &format!("{other}{more}"));
    assert_eq!(gateway.reload(changed).await, Reload::Accepted);
    let worse = two_routes(
        &upstream,
        &format!("{more}- {{name: b, route: b, filters: [{{name: unknown}}]}}\n"),
    );
    assert_eq!(gateway.reload(worse).await, Reload::Refused);
    gateway.write_declarative(two_routes(&upstream, more));
    folder.install("broken", &adding("x-filter", "mended"));
    eventually("the mended filter serves", PATIENCE, async || {
        let answer = gateway.call(&Request::get("/a")).await;
        (answer.header("x-filter") == "mended").then_some(())
    })
    .await;
    assert_eq!(gateway.status_page("/status/ready").await.status, 200);
}

#[tokio::test]
async fn a_filter_without_a_schema_takes_a_text_from_a_plugin_too() {
    let upstream = Upstream::ok().await;
    let mut guest = Guest::default();
    let name = guest.text("x-config");
    let (out, got) = (super::guest::OUT, super::guest::GOT);
    let statements = format!(
        "(call $ok (call $get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 1000) {out}))
         (call $ok (call $add_header_map_value (i32.const 0) {name} {got}))"
    );
    let guest = guest.on("request_headers", 3, &statements, "(i32.const 0)");
    let folder = Folder::new().with("told", &guest);
    let plugins = "plugins:\n- {name: told, route: a, config: some text}\n";
    let gateway = folder
        .attached(Gateway::with(two_routes(&upstream, plugins)))
        .start()
        .await;
    assert_eq!(gateway.get("/a").await.status, 200);
    assert_eq!(upstream.last().header("x-config"), "some text");
    let record = "plugins:\n- {name: told, route: a, config: {a: 1}}\n";
    assert_eq!(
        gateway.reload(two_routes(&upstream, record)).await,
        Reload::Refused
    );
}
