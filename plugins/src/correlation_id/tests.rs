use super::CorrelationId;
use http::StatusCode;
use regex::Regex;
use serde_json::json;
use tidegate_plugin::Reply;
use tidegate_plugin::testing::{Harness, ManualClock};

const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

fn id(harness: &Harness) -> String {
    harness
        .request("GET", "/")
        .run()
        .header("kong-request-id")
        .concat()
}

#[test]
fn by_default_ids_are_the_workers_uuid_and_a_number_that_counts_up() {
    let harness = Harness::new(CorrelationId);
    let (first, second) = (id(&harness), id(&harness));
    let pattern = Regex::new(&format!("^{UUID}#[0-9]+$")).expect("pattern");
    assert!(pattern.is_match(&first), "{first}");
    let (uuid, number) = first.split_once('#').expect("#");
    let (same_uuid, next) = second.split_once('#').expect("#");
    assert_eq!(uuid, same_uuid);
    assert_eq!(
        number.parse::<u64>().expect("number") + 1,
        next.parse::<u64>().expect("number")
    );
}

#[test]
fn the_uuid_generator_gives_another_v4_uuid_each_time() {
    let harness = Harness::new(CorrelationId).config(json!({ "generator": "uuid" }));
    let (first, second) = (id(&harness), id(&harness));
    let pattern = Regex::new(&format!("^{UUID}$")).expect("pattern");
    assert!(
        pattern.is_match(&first) && pattern.is_match(&second),
        "{first} {second}"
    );
    assert_ne!(first, second);
}

#[test]
fn the_tracker_names_server_process_connection_request_and_time() {
    let clock = ManualClock::at_millis(1_700_000_000_007);
    let harness = Harness::new(CorrelationId)
        .config(json!({ "generator": "tracker" }))
        .clock(&clock);
    let expected = format!("127.0.0.1-8000-{}-1-1-1700000000.007", std::process::id());
    assert_eq!(id(&harness), expected);
    let pattern = Regex::new(r"^\d+\.\d+\.\d+\.\d+-\d+-\d+-\d+-\d+-\d+\.\d{3}$").expect("pattern");
    assert!(pattern.is_match(&expected));
}

#[test]
fn an_id_of_the_client_is_kept_upstream_and_echoed() {
    let harness = Harness::new(CorrelationId).config(json!({ "echo_downstream": true }));
    let access = harness.request("GET", "/").header("Kong-Request-ID", "foo").run();
    assert_eq!(access.header("kong-request-id"), ["foo"]);
    let finished = access.upstream_response(200, &[("Kong-Request-ID", "of-upstream")], &[]);
    assert_eq!(finished.header("kong-request-id"), ["foo"]);
}

#[test]
fn an_empty_or_blank_header_is_replaced_by_a_new_id() {
    let harness = Harness::new(CorrelationId);
    for value in ["", "  "] {
        let access = harness.request("GET", "/").header("Kong-Request-ID", value).run();
        assert!(
            access.header("kong-request-id").concat().contains('#'),
            "{value:?}"
        );
    }
}

#[test]
fn without_echo_the_response_does_not_carry_the_id() {
    let finished = Harness::new(CorrelationId)
        .request("GET", "/")
        .run()
        .upstream_response(200, &[], &[]);
    assert!(finished.header("kong-request-id").is_empty());
}

#[test]
fn the_header_name_can_be_chosen() {
    let harness =
        Harness::new(CorrelationId).config(json!({ "header_name": "Foo-Bar-Id", "echo_downstream": true }));
    let access = harness.request("GET", "/").run();
    let sent = access.header("foo-bar-id").concat();
    assert!(sent.contains('#'));
    assert_eq!(
        access.upstream_response(200, &[], &[]).header("foo-bar-id"),
        [sent.as_str()]
    );
}

#[test]
fn error_pages_of_the_gateway_carry_the_id_of_the_request() {
    let harness = Harness::new(CorrelationId).config(json!({ "echo_downstream": true }));
    let access = harness.request("GET", "/").run();
    let sent = access.header("kong-request-id").concat();
    let finished = access.upstream_response(504, &[], &["timeout"]);
    assert_eq!(finished.header("kong-request-id"), [sent.as_str()]);
}

#[test]
fn a_request_that_never_reached_access_gets_an_id_in_its_response() {
    let harness = Harness::new(CorrelationId).config(json!({ "echo_downstream": true }));
    let reply = || Reply::error(StatusCode::NOT_FOUND, "no Route matched with those values");
    assert!(
        harness
            .request("GET", "/")
            .answered_by_gateway(reply())
            .header("kong-request-id")
            .concat()
            .contains('#')
    );
    let known = harness
        .request("GET", "/")
        .header("Kong-Request-ID", "foo")
        .answered_by_gateway(reply());
    assert_eq!(known.header("kong-request-id"), ["foo"]);
}

#[test]
fn the_log_object_holds_the_same_id() {
    let access = Harness::new(CorrelationId).request("GET", "/").run();
    let sent = access.header("kong-request-id").concat();
    let finished = access.upstream_response(200, &[], &[]);
    assert_eq!(finished.log_field("correlation_id"), Some(&json!(sent)));
}

#[test]
fn an_unknown_generator_and_an_impossible_header_name_are_refused() {
    let violations = Harness::new(CorrelationId)
        .config(json!({ "generator": "x" }))
        .violations();
    assert_eq!(
        violations,
        ["config.generator: expected one of: uuid, uuid#counter, tracker"]
    );
    let violations = Harness::new(CorrelationId)
        .config(json!({ "header_name": "a b" }))
        .violations();
    assert_eq!(violations, ["config.header_name: 'a b' is not a valid header"]);
}
