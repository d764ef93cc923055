//! Declarative files, and bounds that stand on the page of limits without a setting.

use crate::ask::service;
use std::fmt::Write as _;
use tidegate_config::settings::FIXED;
use tidegate_tests::{Gateway, Upstream};

/// Starts with both documents; the first must be taken, the second refused with a message that holds `reason`.
async fn at_the_bound(settings: &[(&str, &str)], fits: String, too_much: String, reason: &str) {
    let with = |yaml: String| {
        settings
            .iter()
            .fold(Gateway::with(yaml), |builder, (name, value)| {
                builder.setting(name, *value)
            })
    };
    if let Err((_, log)) = with(fits).try_start().await {
        panic!("{settings:?}, at the bound: {log:.2000}");
    }
    let (_, log) = with(too_much).try_start().await.err().unwrap_or_else(|| {
        panic!("{settings:?}: one past the bound was taken");
    });
    assert!(
        log.contains(reason),
        "{settings:?}: {reason:?} is not in {log:.2000}"
    );
}

const HEAD: &str = "_format_version: \"3.0\"\n";

#[tokio::test]
async fn a_file_may_be_as_large_as_the_setting_says() {
    let padded = |size: usize| format!("{HEAD}#{}\n", "x".repeat(size - HEAD.len() - 2));
    at_the_bound(
        &[("declarative_max_size", "1k")],
        padded(1_024),
        padded(1_025),
        "1024",
    )
    .await;
}

#[tokio::test]
async fn a_file_may_be_nested_as_deeply_as_the_setting_says() {
    let nested = |depth: usize| {
        // The document itself is the first level.
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!("{HEAD}_ignore: {open}{close}\n")
    };
    at_the_bound(&[("declarative_max_depth", "12")], nested(12), nested(13), "12").await;
}

#[tokio::test]
async fn a_file_may_hold_as_many_values_as_the_setting_says() {
    // The document, its version and the list are values too.
    let listed = |values: usize| format!("{HEAD}_ignore: [{}]\n", vec!["1"; values - 3].join(","));
    at_the_bound(
        &[("declarative_max_nodes", "1000")],
        listed(1_000),
        listed(1_001),
        "1000",
    )
    .await;
}

#[tokio::test]
async fn aliases_may_copy_as_many_values_as_the_setting_says() {
    // The anchor itself is one of the copies.
    let aliased = |copies: usize| format!("{HEAD}_ignore: [&a 1, {}]\n", vec!["*a"; copies - 1].join(","));
    at_the_bound(
        &[("declarative_max_alias_nodes", "10")],
        aliased(10),
        aliased(11),
        "10",
    )
    .await;
}

#[tokio::test]
async fn as_many_faults_are_named_as_the_setting_says() {
    let faulty = (0..5).fold(format!("{HEAD}services:\n"), |mut text, index| {
        let _ = writeln!(text, "- {{name: s{index}, url: \"http://a\", wrong{index}: 1}}");
        text
    });
    for (most, named) in [("5", 5), ("4", 4)] {
        let started = Gateway::with(faulty.clone())
            .setting("declarative_max_faults", most)
            .try_start()
            .await;
        let (_, log) = started.unwrap_err();
        let found = (0..5)
            .filter(|index| log.contains(&format!("wrong{index}")))
            .count();
        assert_eq!(found, named, "{most}: {log}");
    }
}

fn with_route(route: &str) -> String {
    format!("{HEAD}services:\n- {{name: s, url: \"http://127.0.0.1:9\", routes: [{route}]}}\n")
}

#[tokio::test]
async fn a_route_has_as_many_paths_as_the_page_says() {
    let paths = |count: usize| {
        let paths: Vec<String> = (0..count).map(|index| format!("/{index}")).collect();
        with_route(&format!("{{name: r, paths: [{}]}}", paths.join(",")))
    };
    at_the_bound(&[], paths(10_000), paths(10_001), "10000").await;
}

#[tokio::test]
async fn an_expression_is_as_long_and_as_deep_as_the_page_says() {
    let expression = |text: String| with_route(&format!("{{name: r, expression: '{text}'}}"));
    let long = |bytes: usize| {
        let around = "http.path ^= \"/\"".len();
        expression(format!("http.path ^= \"/{}\"", "x".repeat(bytes - around)))
    };
    let deep = |levels: usize| {
        expression(format!(
            "{}http.path ^= \"/\"{}",
            "(".repeat(levels),
            ")".repeat(levels)
        ))
    };
    let settings = [("router_flavor", "expressions")];
    at_the_bound(&settings, long(65_536), long(65_537), "65536").await;
    at_the_bound(&settings, deep(64), deep(65), "64").await;
}

#[tokio::test]
async fn a_priority_of_an_expression_is_below_two_to_the_46th() {
    let priority = |value: u64| {
        with_route(&format!(
            "{{name: r, expression: 'http.path ^= \"/\"', priority: {value}}}"
        ))
    };
    at_the_bound(
        &[("router_flavor", "expressions")],
        priority((1 << 46) - 1),
        priority(1 << 46),
        "value should be between 0 and 70368744177663",
    )
    .await;
}

#[tokio::test]
async fn expressions_see_a_hundred_query_arguments() {
    let upstream = Upstream::ok().await;
    let route = "- {name: r, expression: 'http.queries.wanted == \"1\"'}";
    let gateway = Gateway::with(service(&upstream, route))
        .setting("router_flavor", "expressions")
        .start()
        .await;
    for (arguments, status) in [(100, 200), (101, 404)] {
        let query = "x=1&".repeat(arguments - 1) + "wanted=1";
        assert_eq!(
            gateway.get(&format!("/?{query}")).await.status,
            status,
            "{arguments} arguments"
        );
    }
}

#[test]
fn the_page_of_limits_names_the_bounds_of_the_code() {
    let known = [
        ("paths of a route", tidegate_router::MAX_PATHS_PER_ROUTE),
        (
            "memory of a compiled regex of a route",
            tidegate_router::MAX_COMPILED_PATTERN_BYTES,
        ),
        (
            "`expression` of a route",
            tidegate_router::expression::MAX_EXPRESSION_BYTES,
        ),
        (
            "nesting of an `expression`",
            tidegate_router::expression::MAX_EXPRESSION_DEPTH,
        ),
        (
            "a string made by a template",
            tidegate_plugins::template::MAX_STRING,
        ),
        (
            "a JSON body that response-transformer edits",
            tidegate_plugins::response_transformer::MAX_BODY,
        ),
        (
            "counters of rate-limiting with the policy `local`",
            tidegate_plugin::counters::MAX_ENTRIES,
        ),
    ];
    for (what, bound) in known {
        let row = FIXED.iter().find(|row| row.what == what);
        assert_eq!(row.map(|row| row.most), u64::try_from(bound).ok(), "{what}");
    }
}
