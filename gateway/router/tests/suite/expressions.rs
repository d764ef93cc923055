//! The flavour `expressions` (kong-core C.8).

use crate::kit::{Request, get, inputs, router, routes};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use tidegate_router::expression::{ExpressionError, Subsystem, parse, parse_for};
use tidegate_router::{Flavor, Router};

fn holds(text: &str, request: &Request) -> bool {
    let parsed = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    let alone = parsed.matches(&request.facts());
    let routed = request
        .winner(&router(json!([{"expression": text}]), Flavor::Expressions))
        .is_some();
    assert_eq!(alone, routed, "the index agrees with the expression: {text}");
    alone
}

#[test]
fn path_operators_set_the_prefix_that_strip_path_removes() {
    let prefix = router(
        json!([{"expression": r#"http.path ^= "/p""#}]),
        Flavor::Expressions,
    );
    assert_eq!(get("h/p/x").find(&prefix).unwrap().matched_prefix, 2);
    let equal = router(
        json!([{"expression": r#"http.path == "/p/x""#}]),
        Flavor::Expressions,
    );
    assert_eq!(get("h/p/x").find(&equal).unwrap().matched_prefix, 4);
    let regex = router(
        json!([{"expression": r##"http.path ~ r#"^/u/(?P<id>\d+)"#"##}]),
        Flavor::Expressions,
    );
    let found = get("h/u/42/x").find(&regex).unwrap();
    assert_eq!(found.matched_prefix, 5);
    assert_eq!(found.captures.unwrap().named("id"), Some("42"));
    let none = router(
        json!([{"expression": r#"http.method == "GET""#}]),
        Flavor::Expressions,
    );
    assert_eq!(get("h/p/x").find(&none).unwrap().matched_prefix, 0);
}

#[test]
fn captures_come_from_the_last_regex_that_was_evaluated() {
    let text = r##"http.path ~ r#"^/(a)"# && http.path ~ r#"^/a/(b)"#"##;
    let found = get("h/a/b")
        .find(&router(json!([{"expression": text}]), Flavor::Expressions))
        .unwrap();
    assert_eq!(found.captures.unwrap().groups[1].as_deref(), Some("b"));
}

#[test]
fn priority_orders_expressions_above_all_classic_routes() {
    let fields = json!([
        {"hosts": ["a.test"], "paths": ["/p"], "headers": {"x": ["1"]}},
        {"expression": r#"http.path ^= "/p""#, "priority": 10},
        {"expression": r#"http.path ^= "/p""#, "priority": 100},
        {"expression": r#"http.path ^= "/""#, "priority": (1_u64 << 46) - 1},
    ]);
    let router = router(fields.clone(), Flavor::Expressions);
    assert_eq!(get("a.test/p").header("x", "1").winner(&router), Some(4));
    let mut list = routes(fields);
    list.truncate(3);
    let (smaller, _) = router.update(&inputs(&list));
    assert_eq!(get("a.test/p").header("x", "1").winner(&smaller), Some(3));
    let classic_only = Router::build(&inputs(&list[..1]), Flavor::Expressions).0;
    assert_eq!(get("a.test/p").header("x", "1").winner(&classic_only), Some(1));
}

#[test]
fn a_missing_field_is_false_even_for_unequal() {
    assert!(!holds(r#"http.headers.x != "1""#, &get("h/")));
    assert!(holds(r#"!(http.headers.x == "1")"#, &get("h/")));
    assert!(!holds(r#"tls.sni != "a""#, &get("h/")));
}

#[test]
fn all_values_must_hold_unless_any_is_asked_for() {
    let two = get("h/").header("x", "1").header("x", "2");
    assert!(!holds(r#"http.headers.x == "1""#, &two));
    assert!(holds(r#"any(http.headers.x) == "1""#, &two));
    assert!(holds(r##"http.headers.x ~ r#"\d"#"##, &two));
    assert!(holds(
        r##"any(lower(http.headers.x_y)) ~ r#"^b$"#"##,
        &get("h/").header("x-y", "B").header("x-y", "c")
    ));
}

#[test]
fn query_arguments_without_value_are_empty() {
    for (query, expected) in [
        ("a", true),
        ("a=", true),
        ("b", false),
        ("a=1", false),
        ("b&a=&c", true),
    ] {
        assert_eq!(
            holds(r#"http.queries.a == """#, &get(&format!("h/?{query}"))),
            expected,
            "{query}"
        );
    }
    assert!(holds(r#"http.queries.v == "a b/""#, &get("h/?v=a+b%2F")));
}

#[test]
fn segments_count_from_zero_and_final_slashes_do_not_count() {
    for path in ["h/a/b", "h/a/b/"] {
        assert!(
            holds(
                r#"http.path.segments.0 == "a" && http.path.segments.len == 2"#,
                &get(path)
            ),
            "{path}"
        );
        assert!(holds(r#"http.path.segments.0_1 == "a/b""#, &get(path)), "{path}");
        assert!(!holds(r#"http.path.segments.2 == """#, &get(path)), "{path}");
        assert!(!holds(r#"http.path.segments.1_2 ^= "b""#, &get(path)), "{path}");
    }
    assert!(holds("http.path.segments.len == 0", &get("h/")));
    assert!(!holds(r#"http.path.segments.0 == """#, &get("h/")));
}

#[test]
fn addresses_and_ports_are_compared() {
    assert!(holds(
        "net.src.ip in 127.0.0.0/8 && net.src.ip == 127.0.0.1",
        &get("h/")
    ));
    assert!(holds(
        "net.dst.port == 8000 && net.port >= 0x1F40 && net.src.port > 39999",
        &get("h/")
    ));
    assert!(holds("net.dst.port == 81", &get("h:81/")));
    assert!(
        holds("net.src.ip not in fd00::/8", &get("h/")),
        "another family is not inside"
    );
    assert!(!holds("net.src.ip in fd00::/8", &get("h/")));
    let mut bare = get("h/");
    bare.source = None;
    assert!(!holds("net.src.ip != 10.0.0.1", &bare));
    bare.source = Some((IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)), 1));
    assert!(holds(
        "net.src.ip != 10.0.0.1 && net.src.port <= 1 && net.src.port < 010",
        &bare
    ));
}

#[test]
fn or_binds_tighter_than_and() {
    let text = r#"http.queries.a == "1" || http.queries.b == "2" && http.queries.c == "3""#;
    assert!(holds(text, &get("h/?a=1&c=3")));
    assert!(
        !holds(text, &get("h/?a=1")),
        "were it the other way, this would hold"
    );
    assert!(holds(
        r#"http.queries.a == "1" || (http.queries.b == "2" && http.queries.c == "3")"#,
        &get("h/?a=1")
    ));
}

#[test]
fn strings_know_prefix_suffix_substring_and_case() {
    let request = get("A.Test/Some/Path");
    assert!(holds(r#"lower(http.host) == "a.test""#, &request));
    assert!(holds(
        r#"http.host =^ ".test" && http.host ^= "a." && http.path contains "e/P""#,
        &request
    ));
    assert!(holds(
        r#"lower(http.path) == "/some/path" && http.path != "/some/path""#,
        &request
    ));
    assert!(!holds(r#"http.path =^ "path""#, &request));
    assert!(holds(
        "http.path == \"/Some/Path\" && !(http.method == \"\\\"\\\\\\n\\r\\t\")",
        &request
    ));
}

#[test]
fn the_protocol_of_the_connection_and_of_the_route_both_count() {
    let both = router(
        json!([{"expression": r#"net.protocol == "https""#}]),
        Flavor::Expressions,
    );
    assert_eq!(get("h/").winner(&both), None);
    assert_eq!(get("h/").tls("").winner(&both), Some(1));
    let plain = router(
        json!([{"expression": r#"http.path ^= "/""#, "protocols": ["http"]}]),
        Flavor::Expressions,
    );
    assert_eq!(get("h/").tls("").winner(&plain), None);
}

#[test]
fn classic_routes_with_addresses_match_in_this_flavour() {
    let fields = json!([
        {"paths": ["/"], "sources": [{"ip": "10.0.0.0/8"}, {"ip": "127.0.0.1", "port": 40_000}]},
        {"paths": ["/"], "destinations": [{"port": 9}]},
    ]);
    let router = router(fields, Flavor::Expressions);
    assert_eq!(get("h/").winner(&router), Some(1));
    assert_eq!(
        get("h:9/").winner(&router),
        Some(2),
        "as many attributes, greater id"
    );
    let mut foreign = get("h/");
    foreign.source = Some((IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000));
    assert_eq!(foreign.winner(&router), None);
}

#[test]
fn faults_carry_kongs_texts() {
    let cases = [
        (r#"http.nope == "1""#, "Unknown LHS field"),
        (r#"http.headers.X == "1""#, "Unknown LHS field"),
        (
            r#"net.dst.port == "1""#,
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (
            "http.path == 1",
            "Type mismatch between the LHS and RHS values of predicate",
        ),
        (
            "lower(net.dst.port) == 1",
            "lower-case transformation function only supported with String type fields",
        ),
        ("http.path ~ 1", "Regex operators only supports string operands"),
        (
            r#"http.path in "x""#,
            "In/NotIn operators only supports IP in CIDR",
        ),
        (
            "net.src.ip in 10.0.0.1",
            "In/NotIn operators only supports IP in CIDR",
        ),
        (
            r#"upper(http.path) == "x""#,
            "unknown transformation function: upper",
        ),
        (
            r#"http.path.segments.1_0 == "x""#,
            "illformed http.path.segments.* field",
        ),
        (
            r#"http.path.segments.x == "x""#,
            "illformed http.path.segments.* field",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(parse(text).expect_err(text).to_string(), message, "{text}");
    }
    let (_, faults) = Router::build(
        &inputs(&routes(json!([{"expression": "a == 1"}]))),
        Flavor::Expressions,
    );
    assert_eq!(
        faults[0].message,
        "Router Expression failed validation: Unknown LHS field"
    );
}

#[test]
fn malformed_text_is_refused_with_its_place() {
    for text in [
        "",
        "http.path",
        "http.path ==",
        r#"http.path == "a"#,
        r#"http.path == "\x""#,
        r##"http.path == r#"a"##,
        r#"(http.path == "a""#,
        r#"http.path == "a")"#,
        r#"! http.path == "a""#,
        r#"http.path == "a" && "#,
        r#"http.path == "a" http.path == "b""#,
        r#"http.path not "a""#,
    ] {
        assert!(
            matches!(parse(text), Err(ExpressionError::Syntax { .. })),
            "{text}: {:?}",
            parse(text)
        );
    }
    for text in [
        "net.src.ip in 127.0.0.1/8",
        "net.src.ip == 1.2.3",
        "net.dst.port == 09",
        "net.dst.port == 12a",
    ] {
        assert!(
            matches!(parse(text), Err(ExpressionError::Literal { .. })),
            "{text}"
        );
    }
    assert!(matches!(
        parse(r#"http.path ~ "(""#),
        Err(ExpressionError::Regex { .. })
    ));
    let deep = format!("{}http.path == \"a\"{}", "(".repeat(1_000), ")".repeat(1_000));
    assert_eq!(parse(&deep).unwrap_err(), ExpressionError::TooLarge);
    let deep = format!("{}http.path{}", "any(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(parse(&deep).unwrap_err(), ExpressionError::TooLarge);
}

#[test]
fn stream_routes_know_only_connection_fields() {
    assert!(parse_for("net.src.ip == 10.0.0.1 && tls.sni == \"a\"", Subsystem::Stream).is_ok());
    let refused = parse_for(r#"http.path == "/""#, Subsystem::Stream);
    assert_eq!(refused.unwrap_err(), ExpressionError::UnknownField);
}
