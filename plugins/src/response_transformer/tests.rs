use super::{MAX_BODY, ResponseTransformer};
use http::StatusCode;
use serde_json::{Value, json};
use tidegate_plugin::Reply;
use tidegate_plugin::testing::{Finished, Harness};

fn respond(config: Value, headers: &[(&str, &str)], chunks: &[&str]) -> Finished {
    let harness = Harness::new(ResponseTransformer).config(config);
    harness
        .request("GET", "/")
        .run()
        .upstream_response(200, headers, chunks)
}

fn json_body(config: Value, body: &str) -> Value {
    respond(config, &[("Content-Type", "application/json")], &[body]).json()
}

#[test]
fn headers_are_removed_by_name() {
    let config = json!({ "remove": { "headers": ["access-control-allow-origin:ignored", "X-B"] } });
    let finished = respond(
        config,
        &[("Access-Control-Allow-Origin", "*"), ("X-B", "1"), ("X-C", "2")],
        &[],
    );
    assert!(finished.header("access-control-allow-origin").is_empty());
    assert!(finished.header("x-b").is_empty());
    assert_eq!(finished.header("x-c"), ["2"]);
}

#[test]
fn headers_are_renamed_when_they_are_there_even_when_empty() {
    let config = || json!({ "rename": { "headers": ["h1:h2"] } });
    let finished = respond(config(), &[("H1", "v"), ("H1", "w"), ("H2", "old")], &[]);
    assert_eq!(
        (finished.header("h1"), finished.header("h2")),
        (vec![], vec!["v", "w"])
    );
    assert_eq!(respond(config(), &[("H2", "old")], &[]).header("h2"), ["old"]);
    assert_eq!(respond(config(), &[("H1", "")], &[]).header("h2"), [""]);
}

#[test]
fn headers_are_replaced_only_when_they_are_there() {
    let config = || json!({ "replace": { "headers": ["h1:v2"] } });
    assert_eq!(
        respond(config(), &[("H1", "a"), ("H1", "b")], &[]).header("h1"),
        ["v2"]
    );
    assert!(respond(config(), &[], &[]).header("h1").is_empty());
}

#[test]
fn headers_are_added_only_when_they_are_not_there() {
    let config = || json!({ "add": { "headers": ["h1:b:c", "h2:"] } });
    assert_eq!(respond(config(), &[], &[]).header("h1"), ["b:c"]);
    assert_eq!(respond(config(), &[("H1", "a")], &[]).header("h1"), ["a"]);
    assert!(
        respond(config(), &[], &[]).header("h2").is_empty(),
        "an entry without a value says nothing"
    );
}

#[test]
fn headers_are_appended_as_another_line() {
    let config = json!({ "append": { "headers": ["h1:v2", "h3:x"] } });
    let finished = respond(config, &[("H1", "v1")], &[]);
    assert_eq!(finished.header("h1"), ["v1", "v2"]);
    assert_eq!(finished.header("h3"), ["x"]);
}

#[test]
fn presence_is_asked_of_the_response_as_it_came() {
    let config = json!({
        "remove": { "headers": ["h1", "h2"] },
        "rename": { "headers": ["h2:h3"] },
        "replace": { "headers": ["h3:no"] },
        "add": { "headers": ["h1:new"] },
    });
    let finished = respond(config, &[("H1", "old"), ("H2", "moved")], &[]);
    assert!(
        finished.header("h1").is_empty(),
        "add after remove of the same header does nothing"
    );
    assert_eq!(
        finished.header("h3"),
        ["moved"],
        "h3 was not there when the response came"
    );
}

#[test]
fn a_replaced_content_type_keeps_the_charset_of_the_upstream() {
    let config = || json!({ "replace": { "headers": ["Content-Type:text/html"] } });
    let finished = respond(
        config(),
        &[("Content-Type", "application/json; charset=utf-8")],
        &["{}"],
    );
    assert_eq!(finished.header("content-type"), ["text/html; charset=utf-8"]);
    assert_eq!(
        respond(config(), &[("Content-Type", "text/plain")], &[]).header("content-type"),
        ["text/html"]
    );
    let config = json!({ "replace": { "headers": ["Content-Type:text/html; charset=x"] } });
    let finished = respond(
        config,
        &[("Content-Type", "application/json; charset=utf-8")],
        &[],
    );
    assert_eq!(finished.header("content-type"), ["text/html; charset=x"]);
}

#[test]
fn members_are_removed_and_the_length_follows() {
    let config = json!({ "remove": { "json": ["p1"] } });
    let headers = [("Content-Type", "application/json"), ("Content-Length", "15")];
    let finished = respond(config, &headers, &["{\"p1\":1,", "\"p2\":2}"]);
    assert_eq!(finished.body().as_ref(), br#"{"p2":2}"#);
    assert!(finished.header("content-length").is_empty());
}

#[test]
fn members_are_renamed_whatever_they_hold() {
    let config = json!({ "rename": { "json": ["p1:p9", "p2:p8", "p7:p6"] } });
    assert_eq!(
        json_body(config, r#"{"p1":null,"p2":false,"p6":1}"#),
        json!({ "p9": null, "p8": false, "p6": 1 })
    );
}

#[test]
fn members_are_replaced_when_there_and_not_false() {
    let config = json!({ "replace": { "json": ["p1:v2", "p2:v2", "p3:v2", "p4:v2"] } });
    assert_eq!(
        json_body(config, r#"{"p1":"v1","p2":null,"p3":false}"#),
        json!({ "p1": "v2", "p2": "v2", "p3": false })
    );
}

#[test]
fn members_are_added_when_absent_or_false() {
    let config = json!({ "add": { "json": ["p1:v1", "p2:v1", "p3:v1"] } });
    assert_eq!(
        json_body(config, r#"{"p2":null,"p3":false}"#),
        json!({ "p1": "v1", "p2": null, "p3": "v1" })
    );
}

#[test]
fn values_are_cast_to_the_types_of_their_entries() {
    let config = json!({ "add": {
        "json": ["n:12", "f:1.5", "t:true", "x:x", "bad:abc", "s:12", "more:13"],
        "json_types": ["number", "number", "boolean", "boolean", "number", "string"],
    } });
    assert_eq!(
        json_body(config, "{}"),
        json!({ "n": 12, "f": 1.5, "t": true, "x": false, "s": "12", "more": "13" })
    );
}

#[test]
fn members_are_appended_to_strings_lists_and_nothing() {
    let config = || json!({ "append": { "json": ["p3:v2"] } });
    for (body, expected) in [
        (r#"{"p3":"v1"}"#, json!(["v1", "v2"])),
        (r#"{"p3":[]}"#, json!(["v2"])),
        (r#"{"p3":["a"]}"#, json!(["a", "v2"])),
        (r#"{"p3":null}"#, json!(["v2"])),
        (r#"{"p3":7}"#, json!(["v2"])),
        ("{}", json!(["v2"])),
    ] {
        assert_eq!(json_body(config(), body)["p3"], expected, "{body}");
    }
}

#[test]
fn empty_lists_and_the_order_of_members_survive() {
    let finished = respond(
        json!({ "add": { "json": ["z:1"] } }),
        &[("Content-Type", "application/json")],
        &[r#"{"b":[],"a":{},"c":1.50}"#],
    );
    assert_eq!(finished.body().as_ref(), br#"{"b":[],"a":{},"c":1.5,"z":"1"}"#);
}

#[test]
fn a_body_that_is_no_json_object_passes_unchanged() {
    let config = || json!({ "add": { "json": ["z:1"] } });
    for body in ["broken{", "[1,2]", "7", ""] {
        let finished = respond(
            config(),
            &[("Content-Type", "application/json"), ("Content-Length", "1")],
            &[body],
        );
        assert_eq!(finished.body().as_ref(), body.as_bytes());
        assert!(finished.header("content-length").is_empty());
    }
}

#[test]
fn other_media_types_are_left_alone() {
    let config = json!({ "add": { "json": ["z:1"] } });
    let finished = respond(
        config,
        &[("Content-Type", "text/html"), ("Content-Length", "2")],
        &["{}"],
    );
    assert_eq!(finished.body().as_ref(), b"{}");
    assert_eq!(finished.header("content-length"), ["2"]);
}

#[test]
fn json_is_known_by_any_part_of_the_content_type() {
    for (content_type, is_json) in [
        ("application/json, application/x", true),
        ("application/vnd.api+json; charset=utf-8", true),
        ("Application/JSON;charset=utf-8", true),
        ("text/plain, application/json", true),
        ("application/jsonp", false),
        ("text/json", false),
        ("json", false),
    ] {
        let config = json!({ "add": { "json": ["z:1"] } });
        let finished = respond(config, &[("Content-Type", content_type)], &["{}"]);
        assert_eq!(finished.body().len() > 2, is_json, "{content_type}");
    }
}

#[test]
fn slashes_and_quotes_keep_their_form() {
    let config = json!({ "add": { "json": ["a:a/b", "b:say \"hi\"", "c:\"x\""] } });
    assert_eq!(
        json_body(config, "{}"),
        json!({ "a": "a/b", "b": "say \"hi\"", "c": "\"x\"" })
    );
}

#[test]
fn answers_of_other_plugins_are_edited_too() {
    let config = json!({ "remove": { "json": ["message"] }, "add": { "headers": ["x-a:1"] } });
    let harness = Harness::new(ResponseTransformer).config(config);
    let reply = Reply::message(StatusCode::FORBIDDEN, "no");
    let finished = harness.request("GET", "/").answered_by_gateway(reply);
    assert_eq!((finished.status(), finished.json()), (403, json!({})));
    assert_eq!(finished.header("x-a"), ["1"]);
}

#[test]
fn a_body_at_the_limit_is_edited_and_one_past_it_passes_whole() {
    let config = || json!({ "remove": { "json": ["a"] } });
    let frame = r#"{"a":""}"#.len();
    for (size, is_edited) in [(MAX_BODY, true), (MAX_BODY + 1, false)] {
        let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(size - frame));
        let (first, second) = body.split_at(size / 2);
        let finished = respond(
            config(),
            &[("Content-Type", "application/json")],
            &[first, second],
        );
        assert_eq!(finished.body().len(), if is_edited { 2 } else { size });
    }
}

#[test]
fn entries_without_value_and_bad_names_are_refused() {
    let refused = |config: Value| {
        Harness::new(ResponseTransformer)
            .config(config)
            .violations()
            .join("; ")
    };
    assert_eq!(
        refused(json!({ "rename": { "headers": ["old"] } })),
        "config.rename.headers[0]: invalid value: old"
    );
    assert_eq!(
        refused(json!({ "rename": { "headers": ["h:bad header"] } })),
        "config.rename.headers[0]: 'bad header' is not a valid header"
    );
    assert_eq!(
        refused(json!({ "add": { "json": ["a:1"], "json_types": ["object"] } })),
        "config.add.json_types[0]: expected one of: boolean, number, string"
    );
    assert_eq!(
        refused(json!({ "add": { "headers": ["h:a\nb"] } })),
        "config.add.headers[0]: cannot be a header value"
    );
}
