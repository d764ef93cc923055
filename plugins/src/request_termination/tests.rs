use super::RequestTermination;
use serde_json::{Value, json};
use tidegate_plugin::reply::ReplyBody;
use tidegate_plugin::testing::{Finished, Harness};

fn terminate(config: Value) -> Finished {
    Harness::new(RequestTermination)
        .config(config)
        .request("GET", "/")
        .run()
        .finish()
}

#[test]
fn the_default_is_503_with_its_message() {
    let finished = terminate(json!({}));
    assert_eq!(finished.status(), 503);
    assert_eq!(finished.body().as_ref(), br#"{"message":"Service unavailable"}"#);
    assert_eq!(
        finished.header("content-type"),
        ["application/json; charset=utf-8"]
    );
}

#[test]
fn known_statuses_have_messages_of_their_own() {
    for (status, message) in [
        (401, "Unauthorized"),
        (404, "Not found"),
        (405, "Method not allowed"),
        (500, "An unexpected error occurred"),
        (502, "Bad Gateway"),
    ] {
        let finished = terminate(json!({ "status_code": status }));
        assert_eq!(finished.status(), status);
        assert_eq!(finished.json(), json!({ "message": message }));
    }
}

#[test]
fn a_message_can_be_chosen() {
    let finished = terminate(json!({ "status_code": 406, "message": "Invalid" }));
    assert_eq!(
        (finished.status(), finished.json()),
        (406, json!({ "message": "Invalid" }))
    );
}

#[test]
fn statuses_without_message_have_an_empty_body() {
    for status in [204, 418] {
        let finished = terminate(json!({ "status_code": status }));
        assert_eq!(finished.status(), status);
        assert!(finished.body().is_empty());
        assert!(finished.header("content-type").is_empty());
    }
}

#[test]
fn a_body_is_sent_as_it_is_with_its_content_type() {
    let finished = terminate(json!({ "body": "<html>", "content_type": "text/html" }));
    assert_eq!(finished.body().as_ref(), b"<html>");
    assert_eq!(finished.header("content-type"), ["text/html"]);
    assert!(
        terminate(json!({ "body": "x" }))
            .header("content-type")
            .is_empty()
    );
}

#[test]
fn echo_shows_the_request_and_what_it_matched() {
    let harness = Harness::new(RequestTermination)
        .config(json!({ "echo": true, "status_code": 200, "message": "hi" }))
        .route(&json!({ "name": "r", "paths": ["/"] }))
        .service(&json!({ "name": "s", "host": "up.test" }));
    let request = harness
        .request("POST", "/p?x=1&x=2&flag")
        .header("Content-Type", "application/json");
    let request = request
        .captures(&[Some("/p"), Some("p")], &[("id", 1)])
        .body("{\"a\":1}");
    let finished = request.run().finish();
    assert_eq!(finished.status(), 200);
    let document = finished.json();
    assert_eq!(document["message"], "hi");
    assert_eq!(document["kong"]["hostname"], "test");
    assert_eq!(document["kong"]["worker_pid"], std::process::id());
    let request = &document["request"];
    assert_eq!(request["method"], "POST");
    assert_eq!(request["path"], "/p");
    assert_eq!(request["scheme"], "http");
    assert_eq!(request["host"], "gateway.test");
    assert_eq!(request["port"], 8000);
    assert_eq!(request["query"], json!({ "x": ["1", "2"], "flag": true }));
    assert_eq!(request["headers"]["content-type"], "application/json");
    assert_eq!(request["body"], json!({ "a": 1 }));
    assert_eq!(request["raw_body"], "{\"a\":1}");
    assert_eq!(
        request["uri_captures"],
        json!({ "named": { "id": "p" }, "unnamed": ["p"] })
    );
    assert_eq!(document["matched_route"]["name"], "r");
    assert_eq!(document["matched_service"]["name"], "s");
}

#[test]
fn with_a_trigger_only_requests_that_carry_it_are_answered() {
    let harness = Harness::new(RequestTermination).config(json!({ "trigger": "gimme" }));
    assert!(harness.request("GET", "/?other=1").run().passed());
    assert_eq!(
        harness
            .request("GET", "/")
            .header("Gimme", "x")
            .run()
            .finish()
            .status(),
        503
    );
    assert_eq!(harness.request("GET", "/?gimme").run().finish().status(), 503);
    assert_eq!(
        harness.request("GET", "/?a=1&gimme=2").run().finish().status(),
        503
    );
}

#[test]
fn the_message_is_given_to_the_grpc_form_too() {
    let harness = Harness::new(RequestTermination);
    let access = harness
        .request("POST", "/")
        .header("Content-Type", "application/grpc")
        .run();
    let reply = access.reply().expect("a reply");
    assert!(
        matches!(&reply.body, ReplyBody::Json { message: Some(message), .. } if message == "Service unavailable")
    );
}

#[test]
fn the_answer_is_json_whatever_the_client_accepts() {
    let harness = Harness::new(RequestTermination);
    let finished = harness
        .request("GET", "/")
        .header("Accept", "text/html")
        .run()
        .finish();
    assert_eq!(
        finished.header("content-type"),
        ["application/json; charset=utf-8"]
    );
}

#[test]
fn contradictory_settings_are_refused() {
    let refused = |config: Value| {
        Harness::new(RequestTermination)
            .config(config)
            .violations()
            .join("; ")
    };
    assert_eq!(
        refused(json!({ "message": "m", "body": "b" })),
        "config: message cannot be used with content_type or body"
    );
    assert_eq!(
        refused(json!({ "content_type": "text/html" })),
        "config: content_type requires a body"
    );
    assert_eq!(
        refused(json!({ "echo": true, "body": "b" })),
        "config: echo cannot be used with content_type and body"
    );
    for status in [99, 600] {
        let violation = refused(json!({ "status_code": status }));
        assert_eq!(
            violation,
            "config.status_code: value should be between 100 and 599"
        );
    }
}
