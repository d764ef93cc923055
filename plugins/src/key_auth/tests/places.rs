//! Where keys are found, and how they are taken away.

use super::*;

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=\"b-1\"";

fn multipart(fields: &[(&str, &str)]) -> String {
    let parts = fields.iter().map(|(name, value)| {
        format!("--b-1\r\nContent-Disposition: form-data; name=\"{name}\"\r\nX-More: 1\r\n\r\n{value}\r\n")
    });
    parts.chain(["--b-1--\r\n".to_owned()]).collect()
}

fn post(harness: &Harness, content_type: &str, body: &str) -> Access {
    harness
        .request("POST", "/")
        .header("Content-Type", content_type)
        .body(body.to_owned())
        .run()
}

#[test]
fn header_is_found_in_any_case_and_before_the_query() {
    let harness = harness(json!({}));
    assert_eq!(
        harness
            .request("GET", "/")
            .header("ApiKey", "k2")
            .run()
            .header("x-consumer-username"),
        ["bob"]
    );
    let both = harness
        .request("GET", "/?apikey=k1&x=1")
        .header("apikey", "nope")
        .run();
    assert_eq!(refusal(both), refused(UNKNOWN));
}

#[test]
fn empty_and_valueless_keys_are_no_keys() {
    let harness = harness(json!({}));
    assert_eq!(
        refusal(harness.request("GET", "/").header("apikey", "").run()),
        refused(NO_KEY)
    );
    let empty_header = harness.request("GET", "/?apikey=k1").header("apikey", "").run();
    assert_eq!(
        refusal(empty_header),
        refused(NO_KEY),
        "an empty header ends the search"
    );
    for target in [
        "/?apikey=",
        "/?apikey",
        "/?apikey[]=k1",
        "/?apikey[1]=k1",
        "/?APIKEY=k1",
        "/?=k1",
    ] {
        assert_eq!(
            refusal(harness.request("GET", target).run()),
            refused(NO_KEY),
            "{target}"
        );
    }
}

#[test]
fn repeated_key_is_a_duplicate() {
    let harness = harness(json!({}));
    for target in [
        "/?apikey=k1&apikey=k2",
        "/?apikey=k1&x=1&%61pikey=k1",
        "/?apikey&apikey=k1",
    ] {
        assert_eq!(
            refusal(harness.request("GET", target).run()),
            refused(DUPLICATE),
            "{target}"
        );
    }
    let request = harness
        .request("GET", "/")
        .header("apikey", "k1")
        .header("apikey", "k1");
    assert_eq!(refusal(request.run()), refused(DUPLICATE));
}

#[test]
fn names_are_tried_in_order_and_the_first_key_decides() {
    let harness = harness(json!({ "key_names": ["a", "b"] }));
    let request = harness.request("GET", "/?a=nope").header("b", "k1");
    assert_eq!(refusal(request.run()), refused(UNKNOWN));
    assert!(
        harness.request("GET", "/?a").header("b", "k1").run().passed(),
        "a flag is no key: the next name is tried"
    );
    assert!(harness.request("GET", "/").header("b", "k1").run().passed());
}

#[test]
fn underscore_in_a_name_also_means_a_dash_in_headers_only() {
    let harness = harness(json!({ "key_names": ["api_key"] }));
    assert!(harness.request("GET", "/").header("Api-Key", "k1").run().passed());
    assert!(harness.request("GET", "/?api_key=k1").run().passed());
    assert_eq!(
        refusal(harness.request("GET", "/?api-key=k1").run()),
        refused(NO_KEY)
    );
}

#[test]
fn places_that_are_switched_off_are_not_looked_at() {
    let no_header = harness(json!({ "key_in_header": false }));
    assert_eq!(
        refusal(no_header.request("GET", "/").header("apikey", "k1").run()),
        refused(NO_KEY)
    );
    let no_query = harness(json!({ "key_in_query": false }));
    assert_eq!(
        refusal(no_query.request("GET", "/?apikey=k1").run()),
        refused(NO_KEY)
    );
    assert_eq!(
        refusal(post(&harness(json!({})), FORM, "apikey=k1")),
        refused(NO_KEY)
    );
    let elsewhere = harness(json!({}))
        .request("GET", "/")
        .header("Authorization", "k1")
        .header("x-key", "k1")
        .run();
    assert_eq!(refusal(elsewhere), refused(NO_KEY));
}

#[test]
fn body_of_each_known_type_may_hold_the_key() {
    let harness = harness(json!({ "key_in_body": true }));
    let multipart = multipart(&[("x", "1"), ("apikey", "k1")]);
    for (content_type, body) in [
        (FORM, "z=1&apikey=k1"),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", "apikey=%6b1"),
        ("application/json", r#"{"x":{"apikey":"no"},"apikey":"k1"}"#),
        (MULTIPART, multipart.as_str()),
    ] {
        assert!(post(&harness, content_type, body).passed(), "{content_type}");
    }
    for (content_type, body) in [
        ("text/plain", "apikey=k1"),
        ("application/json", "{\"apikey\":\"k1\""),
        ("application/json", r#"{"x":{"apikey":"k1"}}"#),
        ("application/json", r#"{"apikey":1}"#),
        ("application/json", r#"{"apikey":null}"#),
        ("application/json", r#"["apikey","k1"]"#),
        ("multipart/form-data", multipart.as_str()),
        ("multipart/form-data; boundary=other", multipart.as_str()),
        (FORM, ""),
    ] {
        assert_eq!(
            refusal(post(&harness, content_type, body)),
            refused(NO_KEY),
            "{content_type}: {body}"
        );
    }
}

#[test]
fn several_keys_in_the_body_are_duplicates() {
    let harness = harness(json!({ "key_in_body": true }));
    let multipart = multipart(&[("apikey", "k1"), ("apikey", "k1")]);
    for (content_type, body) in [
        (FORM, "apikey=k1&apikey=k2"),
        ("application/json", r#"{"apikey":["k1","k2"]}"#),
        ("application/json", r#"{"apikey":{}}"#),
        (MULTIPART, multipart.as_str()),
    ] {
        assert_eq!(
            refusal(post(&harness, content_type, body)),
            refused(DUPLICATE),
            "{content_type}: {body}"
        );
    }
}

#[test]
fn body_that_was_too_large_to_read_has_no_key() {
    let harness = harness(json!({ "key_in_body": true }));
    let request = harness
        .request("POST", "/")
        .header("Content-Type", FORM)
        .body("apikey=k1")
        .body_too_large();
    assert_eq!(refusal(request.run()), refused(NO_KEY));
}

#[test]
fn key_stays_in_the_request_unless_it_is_to_be_hidden() {
    let access = harness(json!({})).request("GET", "/?apikey=k1&a=2").run();
    assert_eq!(access.query(), "apikey=k1&a=2");
    let access = harness(json!({}))
        .request("GET", "/")
        .header("apikey", "k1")
        .run();
    assert_eq!(access.header("apikey"), ["k1"]);
    let access = post(&harness(json!({ "key_in_body": true })), FORM, "apikey=k1");
    assert!(!access.body_was_replaced());
}

#[test]
fn hidden_key_leaves_header_and_query_and_the_rest_keeps_order_and_encoding() {
    let harness = harness(json!({ "hide_credentials": true }));
    for (target, query) in [
        ("/r?b=1&apikey=k1&a=2", "b=1&a=2"),
        ("/r?b=%41+c&&%61pikey=k1&a", "b=%41+c&&a"),
        ("/r?apikey=k1", ""),
    ] {
        assert_eq!(harness.request("GET", target).run().query(), query, "{target}");
    }
    let access = harness
        .request("GET", "/?apikey=other&x=1")
        .header("apikey", "k1")
        .run();
    assert!(access.passed());
    assert_eq!(
        (access.header("apikey"), access.query()),
        (Vec::<&str>::new(), "x=1"),
        "both places are cleared"
    );
}

#[test]
fn hidden_key_leaves_the_body_in_its_content_type() {
    let harness = harness(json!({ "hide_credentials": true, "key_in_body": true }));
    let parts = multipart(&[("x", "1"), ("apikey", "k1"), ("y", "2")]);
    for (content_type, body, wanted) in [
        (FORM, "apikey=k1&z=%31&a", "z=%31&a".to_owned()),
        (
            "application/json",
            r#"{"apikey":"k1","foo":"bar","n":1.50}"#,
            r#"{"foo":"bar","n":1.5}"#.to_owned(),
        ),
        ("application/json", r#"{"apikey":"k1"}"#, "{}".to_owned()),
        (MULTIPART, parts.as_str(), multipart(&[("x", "1"), ("y", "2")])),
    ] {
        let access = post(&harness, content_type, body);
        assert!(access.passed() && access.body_was_replaced(), "{content_type}");
        assert_eq!(access.body(), wanted.as_bytes(), "{content_type}");
    }
    let untouched = harness
        .request("POST", "/")
        .header("apikey", "k1")
        .header("Content-Type", FORM)
        .body("z=1")
        .run();
    assert!(
        !untouched.body_was_replaced(),
        "a body without the key stays as it is"
    );
}

#[test]
fn hidden_key_is_hidden_from_the_anonymous_request_too() {
    let harness = harness(json!({ "hide_credentials": true, "anonymous": "anonymous" }));
    let access = harness.request("GET", "/?apikey=wrong&x=1").run();
    assert_eq!(
        (access.query(), access.header("x-anonymous-consumer")),
        ("x=1", vec!["true"])
    );
}

#[test]
fn multipart_fields_are_read_as_browsers_and_tools_write_them() {
    let harness = harness(json!({ "key_in_body": true, "hide_credentials": true }));
    let content_type = "multipart/form-data; charset=utf-8; boundary=b-1";
    for body in [
        "preamble\r\n--b-1\r\ncontent-disposition: form-data; filename=\"a;b\\\".txt\"; name=apikey\r\n\r\nk1\r\n--b-1--",
        "--b-1 \r\nContent-Type: text/plain\r\nContent-Disposition: form-data;name=\"apikey\"\r\n\r\nk1\r\n--b-1--\r\nepilogue",
    ] {
        let access = post(&harness, content_type, body);
        assert!(access.passed(), "{body}");
        assert!(
            !std::str::from_utf8(access.body()).unwrap().contains("k1"),
            "{body}"
        );
    }
    for body in [
        "--b-1\r\n\r\nk1\r\n--b-1--",
        "--b-1\r\n",
        "--b-1",
        "--b-1--",
        "k1",
        "--b-1\r\nname=apikey\r\n--b-1",
    ] {
        assert_eq!(
            refusal(post(&harness, content_type, body)),
            refused(NO_KEY),
            "{body}"
        );
    }
}

#[test]
fn body_is_asked_for_only_when_keys_may_be_in_it() {
    use tidegate_plugin::BodyAccess;
    for (in_body, wanted) in [(false, BodyAccess::None), (true, BodyAccess::Buffered)] {
        let harness = harness(json!({ "key_in_body": in_body }));
        assert_eq!(harness.plugin().needs().request_body, wanted);
    }
}
