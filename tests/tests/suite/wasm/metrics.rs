//! What `/metrics` tells of filters, and what they tell of themselves.

use super::guest::{Folder, Guest};
use tidegate_tests::{Gateway, Request, Upstream};

async fn gateway(folder: &Folder, upstream: &Upstream, filters: &str) -> Gateway {
    let yaml = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/a]}}\n  - {{name: b, paths: [/b]}}\n{filters}",
        upstream.url()
    );
    folder.attached(Gateway::with(yaml)).start().await
}

#[tokio::test]
async fn failures_are_counted_by_filter_and_kind_and_stay_counted_over_reloads() {
    let upstream = Upstream::ok().await;
    let failing = |statements: &str| Guest::default().on("request_headers", 3, statements, "(i32.const 0)");
    let folder = Folder::new()
        .with("trapping", &failing("(unreachable)"))
        .with("looping", &failing("(loop $l (br $l))"));
    let filters = "filter_chains:\n- {name: a, route: a, filters: [{name: trapping}]}\n\
                   - {name: b, route: b, filters: [{name: looping}]}\n";
    let gateway = gateway(&folder, &upstream, filters).await;
    let count = async |filter: &str, kind: &str| {
        let sample = format!("tidegate_filter_traps_total{{filter=\"{filter}\",kind=\"{kind}\"}}");
        gateway.metric(&sample).await
    };
    let page = gateway.status_page("/metrics").await.text();
    assert!(
        page.contains("tidegate_filter_traps_total{filter=\"trapping\",kind=\"memory\"} 0\n"),
        "a series is there before the first failure"
    );
    for path in ["/a", "/b", "/a"] {
        assert_eq!(gateway.get(path).await.status, 500, "{path}");
    }
    assert_eq!(count("trapping", "trap").await, 2.0);
    assert_eq!(count("looping", "deadline").await, 1.0);
    assert_eq!(count("looping", "trap").await, 0.0);
    let without = format!("services:\n- name: s\n  url: {}\n", upstream.url());
    gateway.reload(without).await;
    assert_eq!(count("trapping", "trap").await, 2.0);
    assert_eq!(gateway.metric("tidegate_filter_traps_total").await, 3.0);
}

#[tokio::test]
async fn metrics_of_filters_have_kongs_names_with_labels_by_the_metadata() {
    let upstream = Upstream::ok().await;
    let mut guest = Guest::default();
    let mut statements = String::new();
    for (kind, name, value) in [
        (0, "hits_s_id=a-1_r_id=b2", 1),
        (0, "hits_s_id=a-2_r_id=b2", 5),
        (1, "queue.length", 7),
        (2, "sizes_r_id=b2", 3),
        (2, "sizes_r_id=b2", 1_000_000),
    ] {
        let name = guest.text(name);
        statements.push_str(&format!(
            "(call $ok (call $define_metric (i32.const {kind}) {name} (i32.const 24)))
             (call $ok (call $record_metric (i32.load (i32.const 24)) (i64.const {value})))"
        ));
    }
    let guest = guest.on("request_headers", 3, &statements, "(i32.const 0)");
    // As Kong's filters have them, whose patterns are not regular expressions.
    let meta = r#"{"metrics": {"label_patterns": [
        {"label": "service", "pattern": "(_s_id=([0-9a-z%-]+))"},
        {"label": "route", "pattern": "(_r_id=(%w+))"}]}}"#;
    let folder = Folder::new().with("my-filter", &guest).meta("my-filter", meta);
    let filters = "filter_chains:\n- {name: a, route: a, filters: [{name: my-filter}]}\n";
    let gateway = gateway(&folder, &upstream, filters).await;
    assert_eq!(gateway.call(&Request::get("/a")).await.status, 200);
    let page = gateway.status_page("/metrics").await.text();
    for line in [
        "# TYPE pw_my_filter_hits counter",
        "pw_my_filter_hits{service=\"a-1\",route=\"b2\"} 1",
        "pw_my_filter_hits{service=\"a-2\",route=\"b2\"} 5",
        "# TYPE pw_my_filter_queue_length gauge",
        "pw_my_filter_queue_length 7",
        "# TYPE pw_my_filter_sizes histogram",
        "pw_my_filter_sizes_bucket{route=\"b2\",le=\"2\"} 0",
        "pw_my_filter_sizes_bucket{route=\"b2\",le=\"4\"} 1",
        "pw_my_filter_sizes_bucket{route=\"b2\",le=\"131072\"} 1",
        "pw_my_filter_sizes_bucket{route=\"b2\",le=\"+Inf\"} 2",
        "pw_my_filter_sizes_count{route=\"b2\"} 2",
        "pw_my_filter_sizes_sum{route=\"b2\"} 1000003",
    ] {
        assert_eq!(
            page.lines().filter(|found| *found == line).count(),
            1,
            "{line}\n{page}"
        );
    }
}
