//! Rules for bodies.

use super::harness;
use serde_json::{Value, json};
use tidegate_plugin::testing::Access;

const MULTIPART: &str = "--BB\r\nContent-Disposition: form-data; name=\"k1\"\r\n\r\nv1\r\n--BB\r\nContent-Disposition: form-data; name=\"k2\"; filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\nfile body\r\n--BB--\r\n";

fn post(config: Value, content_type: &str, body: &str) -> Access {
    harness(config)
        .request("POST", "/")
        .header("Content-Type", content_type)
        .body(body.to_owned())
        .run()
}

fn json_body(config: Value, body: &str) -> Access {
    post(config, "application/json; charset=utf-8", body)
}

fn form(config: Value, body: &str) -> String {
    let access = post(config, "application/x-www-form-urlencoded", body);
    String::from_utf8(access.body().to_vec()).expect("text")
}

fn multipart(config: Value) -> String {
    String::from_utf8(
        post(config, "multipart/form-data; boundary=BB", MULTIPART)
            .body()
            .to_vec(),
    )
    .expect("text")
}

#[test]
fn members_are_removed_from_every_format() {
    let config = || json!({ "remove": { "body": ["k1", "nope"] } });
    assert_eq!(
        json_body(config(), r#"{"k1":1,"k2":2}"#).body().as_ref(),
        br#"{"k2":2}"#
    );
    assert_eq!(form(config(), "k1=v1&k2=v2&k1=w"), "k2=v2");
    assert!(!multipart(config()).contains("k1"));
}

#[test]
fn members_are_renamed_in_every_format() {
    let config = || json!({ "rename": { "body": ["k1:k9", "k7:k8"] } });
    assert_eq!(
        json_body(config(), r#"{"k1":"v1","k2":{"a":[1]}}"#).json(),
        json!({ "k2": { "a": [1] }, "k9": "v1" })
    );
    assert_eq!(form(config(), "k1=v1&k2=v2&k3=a&k3=b"), "k2=v2&k3=a&k3=b&k9=v1");
    let renamed = multipart(config());
    assert!(renamed.starts_with("--BB\r\nContent-Disposition: form-data; name=\"k2\"; filename=\"f.txt\""));
    assert!(renamed.ends_with("--BB\r\nContent-Disposition: form-data; name=\"k9\"\r\n\r\nv1\r\n--BB--\r\n"));
}

#[test]
fn members_are_replaced_only_when_there() {
    let config = || json!({ "replace": { "body": ["k1:new", "k7:absent"] } });
    assert_eq!(
        json_body(config(), r#"{"k1":{"a":1},"k2":2}"#).json(),
        json!({ "k1": "new", "k2": 2 })
    );
    assert_eq!(form(config(), "k1=v1&k2=v2&k1=w"), "k1=new&k2=v2");
    let replaced = multipart(config());
    assert!(
        replaced.ends_with("--BB\r\nContent-Disposition: form-data; name=\"k1\"\r\n\r\nnew\r\n--BB--\r\n")
    );
    assert!(!replaced.contains("absent"));
}

#[test]
fn members_are_added_only_when_absent() {
    let config = || json!({ "add": { "body": ["k1:dup", "k5:five"] } });
    assert_eq!(
        json_body(config(), r#"{"k1":"v1"}"#).body().as_ref(),
        br#"{"k1":"v1","k5":"five"}"#
    );
    assert_eq!(form(config(), "k1=v%201"), "k1=v%201&k5=five");
    assert!(multipart(config()).ends_with("name=\"k5\"\r\n\r\nfive\r\n--BB--\r\n"));
}

#[test]
fn members_are_appended_except_in_multipart() {
    let config = || json!({ "append": { "body": ["p1:v1"] } });
    for (body, expected) in [
        (r#"{"p1":"a"}"#, json!(["a", "v1"])),
        (r#"{"p1":["a",1]}"#, json!(["a", 1, "v1"])),
        (r#"{"p1":[]}"#, json!(["v1"])),
        (r#"{"p1":null}"#, json!(["v1"])),
        ("{}", json!(["v1"])),
    ] {
        assert_eq!(
            json_body(config(), body).json(),
            json!({ "p1": expected }),
            "{body}"
        );
    }
    assert_eq!(form(config(), "p1=a&x=1"), "p1=a&p1=v1&x=1");
    assert_eq!(multipart(config()), MULTIPART);
}

#[test]
fn false_counts_as_absent_and_null_as_present() {
    let body = r#"{"f":false,"n":null}"#;
    let of = |config: Value| json_body(config, body).json();
    assert_eq!(
        of(json!({ "replace": { "body": ["f:1", "n:1"] } })),
        json!({ "f": false, "n": "1" })
    );
    assert_eq!(
        of(json!({ "add": { "body": ["f:1", "n:1"] } })),
        json!({ "f": "1", "n": null })
    );
    assert_eq!(
        of(json!({ "rename": { "body": ["f:g", "n:m"] } })),
        json!({ "f": false, "m": null })
    );
}

#[test]
fn malformed_json_is_forwarded_unchanged() {
    let config = || json!({ "add": { "body": ["p1:v1"] }, "remove": { "body": ["k"] } });
    for body in ["not json", "[1,2]", "\"text\"", "{\"k\":1"] {
        let access = json_body(config(), body);
        assert_eq!(access.body().as_ref(), body.as_bytes());
        assert!(!access.body_was_replaced());
    }
}

#[test]
fn an_empty_body_gets_members_but_loses_none() {
    let access = json_body(json!({ "add": { "body": ["p1:v1"] } }), "");
    assert_eq!(access.body().as_ref(), br#"{"p1":"v1"}"#);
    let access = json_body(
        json!({ "remove": { "body": ["p1"] }, "replace": { "body": ["p2:x"] } }),
        "",
    );
    assert!(!access.body_was_replaced());
    assert_eq!(form(json!({ "add": { "body": ["z:1"] } }), ""), "z=1");
}

#[test]
fn empty_lists_stay_lists_and_order_is_kept() {
    let access = json_body(
        json!({ "add": { "body": ["z:1"] } }),
        r#"{"emptyarray":[],"a":{"o":{}}}"#,
    );
    assert_eq!(
        access.body().as_ref(),
        br#"{"emptyarray":[],"a":{"o":{}},"z":"1"}"#
    );
}

#[test]
fn unchanged_bodies_keep_their_bytes() {
    let config = || json!({ "replace": { "body": ["nope:1"] } });
    let access = json_body(config(), "{ \"a\" : 1.0 }");
    assert!(!access.body_was_replaced());
    assert_eq!(access.header("content-length"), ["13"]);
    assert_eq!(form(config(), "b=%7e&a=+"), "b=%7e&a=+");
    assert_eq!(multipart(config()), MULTIPART);
}

#[test]
fn other_formats_are_left_alone() {
    let access = post(json!({ "add": { "body": ["z:1"] } }), "text/plain", "k1=v1");
    assert_eq!(access.body().as_ref(), b"k1=v1");
    assert!(!access.body_was_replaced());
}

#[test]
fn a_body_too_large_to_hold_is_left_alone() {
    let harness = harness(json!({ "add": { "body": ["z:1"] } }));
    let request = harness
        .request("POST", "/")
        .header("Content-Type", "application/json");
    assert!(!request.body("{}").body_too_large().run().body_was_replaced());
}

#[test]
fn the_format_is_that_of_the_content_type_after_header_rules() {
    let config = json!({
        "replace": { "headers": ["Content-Type:application/x-www-form-urlencoded"] },
        "add": { "body": ["z:1"] },
    });
    let access = json_body(config, r#"{"k1":"v1"}"#);
    assert_eq!(access.body().as_ref(), b"%7B%22k1%22%3A%22v1%22%7D&z=1");
}

#[test]
fn templates_reach_body_values() {
    let config =
        json!({ "add": { "body": ["b:$(headers.h1)"] }, "replace": { "body": ["k1:$(query_params.q1)"] } });
    let harness = harness(config);
    let request = harness
        .request("POST", "/?q1=x")
        .header("H1", "v1")
        .header("Content-Type", "application/json");
    assert_eq!(
        request.body(r#"{"k1":"v1"}"#).run().json(),
        json!({ "k1": "x", "b": "v1" })
    );
}
