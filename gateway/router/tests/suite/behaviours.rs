//! Matching, one rule per test (kong-core C.2 to C.5).

use crate::kit::{LISTENER_PORT, compatible, get, inputs, route, router, routes};
use serde_json::json;
use tidegate_router::{Attribute, Flavor, Outcome, RankRule, Router};

#[test]
fn without_routes_nothing_matches() {
    assert_eq!(get("a.test/").winner(&compatible(json!([]))), None);
}

#[test]
fn a_host_matches_only_itself_and_on_any_port() {
    let router = compatible(json!([{"hosts": ["a.test"]}]));
    assert_eq!(get("a.test/").winner(&router), Some(1));
    assert_eq!(get("a.test:9999/").winner(&router), Some(1));
    assert_eq!(get("b.test/").winner(&router), None);
}

#[test]
fn a_host_with_port_matches_that_port_and_the_listening_port_stands_in() {
    let router =
        compatible(json!([{"hosts": ["a.test:9999"]}, {"hosts": [format!("b.test:{LISTENER_PORT}")]}]));
    assert_eq!(get("a.test:9999/").winner(&router), Some(1));
    assert_eq!(get("a.test:1/").winner(&router), None);
    assert_eq!(get("b.test/").winner(&router), Some(2));
}

#[test]
fn a_leading_wildcard_covers_any_number_of_labels_but_not_none() {
    let router = compatible(json!([{"hosts": ["*.a.test"]}]));
    assert_eq!(get("x.a.test/").winner(&router), Some(1));
    assert_eq!(get("x.y.a.test/").winner(&router), Some(1));
    assert_eq!(get("a.test/").winner(&router), None);
}

#[test]
fn a_trailing_wildcard_covers_any_ending() {
    let router = compatible(json!([{"hosts": ["a.*"]}]));
    assert_eq!(get("a.com/").winner(&router), Some(1));
    assert_eq!(get("a.co.uk/").winner(&router), Some(1));
    assert_eq!(get("b.a.com/").winner(&router), None);
}

#[test]
fn a_wildcard_with_port_asks_for_the_port() {
    let router = compatible(json!([{"hosts": ["*.a.test:81"]}]));
    assert_eq!(get("x.a.test:81/").winner(&router), Some(1));
    assert_eq!(get("x.a.test:82/").winner(&router), None);
}

#[test]
fn a_plain_host_beats_a_wildcard_of_as_many_attributes() {
    let alone = compatible(json!([{"hosts": ["*.a.test"]}, {"hosts": ["x.a.test"]}]));
    assert_eq!(get("x.a.test/").winner(&alone), Some(2));
    let with_paths = compatible(
        json!([{"hosts": ["*.a.test"], "paths": ["/p"]}, {"hosts": ["x.a.test"], "paths": ["/p"]}]),
    );
    assert_eq!(get("x.a.test/p").winner(&with_paths), Some(2));
}

#[test]
fn two_kinds_of_attributes_beat_a_plain_host_alone() {
    let router = compatible(json!([{"hosts": ["*.a.test"], "paths": ["/p"]}, {"hosts": ["x.a.test"]}]));
    assert_eq!(get("x.a.test/p").winner(&router), Some(1));
}

#[test]
fn a_path_matches_as_textual_prefix() {
    let router = compatible(json!([{"paths": ["/foo"]}]));
    for path in ["/foo", "/foo/", "/foo/bar", "/foobar"] {
        assert_eq!(get(&format!("h{path}")).winner(&router), Some(1), "{path}");
    }
    for path in ["/fo", "/x/foo", "/"] {
        assert_eq!(get(&format!("h{path}")).winner(&router), None, "{path}");
    }
}

#[test]
fn the_longer_prefix_wins_in_either_order_of_creation() {
    for fields in [
        json!([{"paths": ["/a"]}, {"paths": ["/a/b"]}]),
        json!([{"paths": ["/a/b"]}, {"paths": ["/a"]}]),
    ] {
        let router = compatible(fields.clone());
        let longer = fields
            .as_array()
            .unwrap()
            .iter()
            .position(|one| one["paths"][0] == "/a/b")
            .unwrap() as u32
            + 1;
        assert_eq!(get("h/a/b/c").winner(&router), Some(longer));
        assert_eq!(get("h/a/c").winner(&router), Some(3 - longer));
    }
}

#[test]
fn each_path_length_of_a_route_ranks_by_itself() {
    let router = compatible(json!([{"paths": ["/a", "/a/b/c/d"]}, {"paths": ["/a/b"]}]));
    assert_eq!(get("h/a/b/c/d").winner(&router), Some(1));
    assert_eq!(get("h/a/b/x").winner(&router), Some(2));
    assert_eq!(get("h/a/x").winner(&router), Some(1));
}

#[test]
fn a_regex_is_anchored_at_the_start_only() {
    let ended = compatible(json!([{"paths": [r"~/users/\d+/profile$"]}]));
    assert_eq!(get("h/users/12/profile").winner(&ended), Some(1));
    assert_eq!(get("h/users/x/profile").winner(&ended), None);
    assert_eq!(get("h/x/users/12/profile").winner(&ended), None);
    let open = compatible(json!([{"paths": [r"~/users/\d+"]}]));
    assert_eq!(get("h/users/1/anything").winner(&open), Some(1));
}

#[test]
fn a_regex_outranks_any_prefix() {
    let router = compatible(json!([{"paths": ["/users/1/profile"]}, {"paths": [r"~/users/\d+"]}]));
    assert_eq!(get("h/users/1/profile").winner(&router), Some(2));
}

#[test]
fn regex_priority_orders_regexes_and_negative_ones_go_last() {
    let fields = json!([{"paths": [r"~/v/\d+"]}, {"paths": [r"~/v/\w+"], "regex_priority": 5},
        {"paths": ["~/v/."], "regex_priority": -1}]);
    let router = compatible(fields);
    assert_eq!(get("h/v/1").winner(&router), Some(2));
    assert_eq!(get("h/v/-").winner(&router), Some(3));
    let negative = compatible(json!([{"paths": ["~/v/1"], "regex_priority": -7}, {"paths": ["~/v/\\d"]}]));
    assert_eq!(get("h/v/1").winner(&negative), Some(2));
}

#[test]
fn regex_priority_means_nothing_for_prefixes() {
    let router = compatible(json!([{"paths": ["/p"], "regex_priority": 100}, {"paths": ["/p/q"]}]));
    assert_eq!(get("h/p/q").winner(&router), Some(2));
}

#[test]
fn regexes_and_prefixes_of_one_route_rank_apart() {
    let router = compatible(json!([{"paths": ["~/x", "/longprefix"]}, {"paths": ["/long"]}]));
    assert_eq!(get("h/longprefix").winner(&router), Some(1));
    assert_eq!(get("h/longer").winner(&router), Some(2));
    assert_eq!(get("h/x").winner(&router), Some(1));
}

#[test]
fn of_several_regexes_of_a_route_the_first_that_matches_gives_the_prefix() {
    let router = compatible(json!([{"paths": ["~/ab", "~/a/?", "~/abc"]}]));
    assert_eq!(get("h/abc").find(&router).unwrap().matched_prefix, 3);
    let reversed = compatible(json!([{"paths": ["~/abc", "~/ab"]}]));
    assert_eq!(get("h/abc").find(&reversed).unwrap().matched_prefix, 4);
}

#[test]
fn an_open_alternation_in_a_regex_is_anchored_only_in_its_first_branch() {
    let router = compatible(json!([{"paths": ["~/a|/b"]}]));
    assert_eq!(get("h/x/b").find(&router).unwrap().matched_prefix, 2);
    let legacy = crate::kit::router(json!([{"paths": ["~/a|/b"]}]), Flavor::Traditional);
    assert_eq!(get("h/x/b").winner(&legacy), None);
}

#[test]
fn methods_are_compared_exactly() {
    let router = compatible(json!([{"methods": ["GET"]}, {"methods": ["PURGE"]}]));
    assert_eq!(get("h/").winner(&router), Some(1));
    assert_eq!(get("h/").method("PURGE").winner(&router), Some(2));
    assert_eq!(get("h/").method("POST").winner(&router), None);
    assert_eq!(get("h/").method("get").winner(&router), None);
}

#[test]
fn of_single_attributes_the_plain_host_wins() {
    let router = compatible(json!([{"methods": ["GET"]}, {"paths": ["/p"]}, {"hosts": ["a.test"]}]));
    assert_eq!(get("a.test/p").winner(&router), Some(3));
}

#[test]
fn more_kinds_of_attributes_win() {
    let router = compatible(json!([{"hosts": ["a.test"], "paths": ["/p"]},
        {"hosts": ["a.test"], "paths": ["/p"], "methods": ["GET"]}]));
    assert_eq!(get("a.test/p").winner(&router), Some(2));
    assert_eq!(get("a.test/p").method("POST").winner(&router), Some(1));
}

#[test]
fn a_half_match_never_wins() {
    let router = compatible(json!([{"hosts": ["a.test"], "methods": ["POST"]}, {"paths": ["/p"]}]));
    assert_eq!(get("a.test/p").winner(&router), Some(2));
}

#[test]
fn a_header_matches_any_of_its_values_without_case() {
    let router = compatible(json!([{"headers": {"version": ["v1", "v2"]}}, {"headers": {"Env": ["PROD"]}}]));
    assert_eq!(get("h/").header("version", "v2").winner(&router), Some(1));
    assert_eq!(get("h/").header("version", "v3").winner(&router), None);
    assert_eq!(get("h/").header("eNv", "prod").winner(&router), Some(2));
    assert_eq!(get("h/").winner(&router), None);
}

#[test]
fn all_headers_of_a_route_must_match() {
    let router = compatible(json!([{"headers": {"a": ["1"], "b": ["2"]}}]));
    assert_eq!(get("h/").header("a", "1").winner(&router), None);
    assert_eq!(
        get("h/").header("a", "1").header("b", "2").winner(&router),
        Some(1)
    );
}

#[test]
fn one_of_several_values_of_a_header_suffices() {
    let router = compatible(json!([{"headers": {"x": ["b"]}}]));
    assert_eq!(
        get("h/").header("x", "a").header("x", "b").winner(&router),
        Some(1)
    );
}

#[test]
fn a_header_value_after_tilde_star_is_a_regex_without_case() {
    let router = compatible(json!([{"headers": {"x": ["~*^V[0-9]+$", "plain"]}}]));
    assert_eq!(get("h/").header("x", "v12").winner(&router), Some(1));
    assert_eq!(get("h/").header("x", "V12").winner(&router), Some(1));
    assert_eq!(get("h/").header("x", "Plain").winner(&router), Some(1));
    assert_eq!(get("h/").header("x", "vv").winner(&router), None);
}

#[test]
fn underscores_in_configured_header_names_mean_dashes() {
    let router = compatible(json!([{"headers": {"x_env": ["a"]}}]));
    assert_eq!(get("h/").header("X-Env", "a").winner(&router), Some(1));
}

#[test]
fn more_headers_win_before_the_longer_path() {
    let few = compatible(json!([{"headers": {"a": ["1"]}}, {"headers": {"a": ["1"], "b": ["2"]}}]));
    assert_eq!(get("h/").header("a", "1").header("b", "2").winner(&few), Some(2));
    let paths = compatible(json!([{"headers": {"a": ["1"], "b": ["2"]}, "paths": ["/p"]},
        {"headers": {"a": ["1"]}, "paths": ["/p/long"]}]));
    assert_eq!(
        get("h/p/long").header("a", "1").header("b", "2").winner(&paths),
        Some(1)
    );
}

#[test]
fn a_plain_host_ranks_above_more_headers() {
    let router = compatible(json!([{"hosts": ["x.t"], "headers": {"a": ["1"]}},
        {"hosts": ["*.t"], "headers": {"a": ["1"], "b": ["2"]}}]));
    assert_eq!(
        get("x.t/").header("a", "1").header("b", "2").winner(&router),
        Some(1)
    );
}

#[test]
fn server_names_count_only_on_tls() {
    let router = compatible(json!([{"snis": ["a.test"], "protocols": ["https"]}]));
    assert_eq!(get("h/").tls("a.test").winner(&router), Some(1));
    assert_eq!(get("h/").tls("A.Test").winner(&router), Some(1));
    assert_eq!(get("h/").tls("b.test").winner(&router), None);
    assert_eq!(get("h/").tls("").winner(&router), None);
    assert_eq!(get("h/").winner(&router), Some(1), "the proxy then asks for TLS");
}

#[test]
fn server_names_know_wildcards_and_drop_a_final_dot() {
    let router = compatible(json!([{"snis": ["*.a.test"]}, {"snis": ["b.*"]}, {"snis": ["c.test."]}]));
    assert_eq!(get("h/").tls("x.a.test").winner(&router), Some(1));
    assert_eq!(get("h/").tls("b.test").winner(&router), Some(2));
    assert_eq!(get("h/").tls("c.test").winner(&router), Some(3));
}

#[test]
fn protocols_take_part_only_in_the_expressions_flavour() {
    let fields = json!([{"paths": ["/p"], "protocols": ["http"]}]);
    assert_eq!(get("h/p").tls("").winner(&compatible(fields.clone())), Some(1));
    let strict = router(fields, Flavor::Expressions);
    assert_eq!(get("h/p").tls("").winner(&strict), None);
    assert_eq!(get("h/p").winner(&strict), Some(1));
    let https = router(
        json!([{"paths": ["/p"], "protocols": ["https"]}]),
        Flavor::Expressions,
    );
    assert_eq!(get("h/p").winner(&https), Some(1), "answered with a redirect");
}

#[test]
fn the_greater_id_wins_between_equal_routes_whatever_their_order() {
    let (low, high) = (
        route(1, json!({"paths": ["/p"]})),
        route(9, json!({"paths": ["/p"]})),
    );
    for list in [vec![low.clone(), high.clone()], vec![high.clone(), low.clone()]] {
        let (router, _) = Router::build(&inputs(&list), Flavor::TraditionalCompatible);
        let winner = get("h/p").winner(&router).unwrap() as usize - 1;
        assert_eq!(list[winner].id, high.id);
    }
}

#[test]
fn hosts_are_compared_without_case() {
    let router = compatible(json!([{"hosts": ["A.test"]}]));
    assert_eq!(get("a.TEST/").winner(&router), Some(1));
}

#[test]
fn the_query_takes_no_part_in_path_matching() {
    let router = compatible(json!([{"paths": ["~/p$"]}]));
    assert_eq!(get("h/p?x=/q").winner(&router), Some(1));
}

#[test]
fn paths_are_bytes_and_need_not_be_utf8() {
    let router = compatible(json!([{"paths": ["/a"]}, {"paths": ["~/b/.*"]}]));
    let mut request = get("h/a");
    request.path = b"/a/\xff\xfe".to_vec();
    assert_eq!(request.winner(&router), Some(1));
    request.path = b"/b/\xff".to_vec();
    assert_eq!(request.winner(&router), Some(2));
}

#[test]
fn routes_of_the_stream_side_are_left_out_without_a_fault() {
    let router = compatible(json!([{"protocols": ["tcp"], "destinations": [{"port": LISTENER_PORT}]}]));
    assert_eq!(get("h/").winner(&router), None);
}

#[test]
fn a_faulty_route_is_reported_and_the_others_serve() {
    let list = routes(
        json!([{"paths": ["~/(["]}, {"paths": ["/ok"]}, {"paths": ["~/a(?=b)"]}, {},
        {"paths": ["~/(\\w{500}){500}"]}, {"headers": {"x": ["~*("]}}]),
    );
    let (router, faults) = Router::build(&inputs(&list), Flavor::TraditionalCompatible);
    assert_eq!(
        faults.iter().map(|fault| fault.route).collect::<Vec<_>>(),
        [0, 2, 3, 4, 5]
    );
    assert!(
        faults[0].message.starts_with("paths: invalid regex '~/(['"),
        "{}",
        faults[0].message
    );
    assert!(faults[1].message.contains("look-around"), "{}", faults[1].message);
    assert!(
        faults[2].message.contains("nothing to match on"),
        "{}",
        faults[2].message
    );
    assert!(
        faults[3].message.contains("lower its repetition counts"),
        "{}",
        faults[3].message
    );
    assert!(
        faults[4].message.starts_with("headers.x: invalid regex"),
        "{}",
        faults[4].message
    );
    assert_eq!(get("h/ok").winner(&router), Some(2));
}

#[test]
fn a_second_route_with_the_same_id_is_a_fault() {
    let list = [
        route(1, json!({"paths": ["/a"]})),
        route(1, json!({"paths": ["/b"]})),
    ];
    let (router, faults) = Router::build(&inputs(&list), Flavor::TraditionalCompatible);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].route, 1);
    assert_eq!(get("h/a").winner(&router), Some(1));
    assert_eq!(get("h/b").winner(&router), None);
}

#[test]
fn the_legacy_flavour_ranks_hosts_over_headers_over_paths_over_methods() {
    let pairs = json!([{"paths": ["/p"], "methods": ["GET"]}, {"headers": {"a": ["1"]}, "methods": ["GET"]},
        {"hosts": ["*.t"], "methods": ["GET"]}]);
    let legacy = router(pairs, Flavor::Traditional);
    assert_eq!(get("x.t/p").header("a", "1").winner(&legacy), Some(3));
    assert_eq!(get("x/p").header("a", "1").winner(&legacy), Some(2));
    assert_eq!(get("x/p").winner(&legacy), Some(1));
}

#[test]
fn the_legacy_flavour_gives_ties_to_the_route_created_first() {
    let list = [
        route(9, json!({"paths": ["/p"], "created_at": 20})),
        route(1, json!({"paths": ["/p"], "created_at": 10})),
        route(5, json!({"paths": ["/p"], "created_at": 10})),
    ];
    let (router, _) = Router::build(&inputs(&list), Flavor::Traditional);
    assert_eq!(get("h/p").winner(&router), Some(2));
}

#[test]
fn the_legacy_flavour_wants_the_port_of_a_plain_host_in_the_request() {
    let explicit = format!("a.test:{LISTENER_PORT}");
    let legacy = router(
        json!([{"hosts": [explicit]}, {"hosts": ["*.b.test:80"]}]),
        Flavor::Traditional,
    );
    assert_eq!(get("a.test/").winner(&legacy), None);
    assert_eq!(get(&format!("{explicit}/")).winner(&legacy), Some(1));
    assert_eq!(
        get("x.b.test/").winner(&legacy),
        Some(2),
        "port 80 of the scheme stands in"
    );
}

#[test]
fn captures_hold_groups_by_number_and_by_name() {
    let router = compatible(
        json!([{"paths": [r"~/users/(?<id>\d+)/(?<tail>[a-z]*)(/x)?"]}, {"paths": [r"~/plain/\d+"]}]),
    );
    let found = get("h/users/7/x").find(&router).unwrap();
    let captures = found.captures.unwrap();
    let groups: Vec<_> = captures.groups.iter().map(Option::as_deref).collect();
    assert_eq!(groups, [Some("/users/7/x"), Some("7"), Some("x"), None]);
    assert_eq!(captures.named("id"), Some("7"));
    assert_eq!(captures.named("tail"), Some("x"));
    let empty = get("h/users/7/").find(&router).unwrap().captures.unwrap();
    assert_eq!(
        empty.named("tail"),
        Some(""),
        "a group that matches nothing is empty, not missing"
    );
    assert_eq!(get("h/plain/1").find(&router).unwrap().captures, None);
}

#[test]
fn the_explanation_names_the_first_failing_predicate_and_the_rule_that_outranks() {
    let router = compatible(json!([
        {"hosts": ["a.test"], "paths": ["/p"]},
        {"hosts": ["a.test"]},
        {"hosts": ["b.test"]},
        {"hosts": ["a.test"], "paths": ["/p"], "methods": ["POST"]},
        {"hosts": ["a.test"], "paths": ["/"], "headers": {"x": ["1"]}},
    ]));
    let request = get("a.test/p/1").header("x", "2");
    let told = router.explain(&request.facts());
    assert_eq!(told.winner, request.find(&router));
    let outcome = |route: u32| {
        &told
            .candidates
            .iter()
            .find(|one| one.route + 1 == route)
            .unwrap()
            .outcome
    };
    assert_eq!(*outcome(1), Outcome::Wins);
    assert_eq!(
        *outcome(2),
        Outcome::Outranked {
            by: 0,
            rule: RankRule::MoreAttributes
        }
    );
    assert_eq!(
        outcome(3).to_string(),
        "host must be `b.test`, the request has `a.test:8000`"
    );
    assert_eq!(
        outcome(4).to_string(),
        "method must be `POST`, the request has `GET`"
    );
    assert_eq!(
        outcome(5).to_string(),
        "header x must be `1`, the request has `2`"
    );
    let method = told.candidates.iter().find(|one| one.route == 3).unwrap();
    assert_eq!(method.held, [Attribute::Host, Attribute::Path]);
    assert_eq!(told.close().count(), 4, "the foreign host is far");
}
