use super::{WORKSPACE_ID, fields, query, record, response_head_size};
use crate::context::HeaderCx;
use crate::exchange::{Exchange, Tls, Try};
use crate::identity::Credential;
use crate::kind::{BuildCx, BuildError, Kind, PhaseSet, Plugin};
use crate::reply::Reply;
use crate::testing::{Finished, Harness};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidegate_model::ids::CredentialId;
use tidegate_model::schema::RecordSchema;
use uuid::Uuid;

/// Does nothing: the harness only carries exchanges to their end.
struct Idle;

impl Kind for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }
    fn priority(&self) -> i32 {
        0
    }
    fn phases(&self) -> PhaseSet {
        PhaseSet::default()
    }
    fn schema(&self) -> &'static RecordSchema {
        static NOTHING: std::sync::LazyLock<RecordSchema> = std::sync::LazyLock::new(RecordSchema::default);
        &NOTHING
    }
    fn build(&self, _: &Value, _: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        Ok(Arc::new(Self))
    }
}

impl Plugin for Idle {
    fn header_filter(&self, x: &mut HeaderCx<'_>) -> Result<(), crate::kind::Fault> {
        let _ = x.response_mut();
        Ok(())
    }
}

fn harness() -> Harness {
    Harness::new(Idle)
        .route(&json!({ "name": "r1", "paths": ["/a"] }))
        .service(&json!({ "name": "s1", "host": "backend.test" }))
        .consumer("alice")
}

fn attempt(x: &Exchange, failure: Option<(&'static str, u16)>) -> Try {
    let started = x.timings.start.elapsed();
    Try {
        address: std::net::SocketAddr::from(([10, 0, 0, 1], 80)).into(),
        started,
        choice: Duration::from_micros(2_500),
        failure,
    }
}

/// A request to `/a/b?x=1` that the upstream answered, after one try for each failure given.
fn proxied(harness: &Harness, failures: &[(&'static str, u16)]) -> Finished {
    let request = harness
        .request("GET", "/a/b?x=1&x=2&flag&%61=b%20c")
        .header("Authorization", "Basic c2VjcmV0")
        .with(|x| {
            x.set_upstream_path("/base/b".to_owned());
            for failure in failures {
                let failed = attempt(x, Some(*failure));
                x.tries.push(failed);
            }
            let last = attempt(x, None);
            x.tries.push(last);
            x.timings.upstream_start = Some(x.timings.start + Duration::from_millis(2));
            x.timings.upstream_head = Some(x.timings.start + Duration::from_millis(7));
        });
    request.run().upstream_response(
        200,
        &[("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")],
        &["hello"],
    )
}

#[test]
fn proxied_request_has_every_member() {
    let harness = harness();
    let finished = proxied(&harness, &[]);
    let record = record(finished.exchange());
    let request = &record["request"];
    assert_eq!(request["id"], "0123456789abcdef0123456789abcdef");
    assert_eq!(request["uri"], "/a/b?x=1&x=2&flag&%61=b%20c");
    assert_eq!(
        request["url"],
        "http://gateway.test:8000/a/b?x=1&x=2&flag&%61=b%20c"
    );
    assert_eq!(
        request["querystring"],
        json!({ "x": ["1", "2"], "flag": true, "a": "b c" })
    );
    assert_eq!(
        (&request["method"], &request["size"]),
        (&json!("GET"), &json!(100))
    );
    assert_eq!(
        request["headers"],
        json!({ "host": "gateway.test", "authorization": "REDACTED" })
    );
    assert_eq!(request.get("tls"), None);
    assert_eq!(record["upstream_uri"], "/base/b?x=1&x=2&flag&%61=b%20c");
    assert_eq!(record["upstream_status"], "200");
    assert_eq!(record["response"]["status"], 200);
    assert_eq!(
        record["response"]["headers"],
        json!({ "content-type": "text/plain", "x-a": ["1", "2"] })
    );
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\ntransfer-encoding: chunked\r\n".len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-a: 1\r\nx-a: 2\r\n\r\n".len() + date;
    assert_eq!(response_head_size(finished.exchange()), head as u64);
    assert_eq!(record["response"]["size"], head + 5);
    assert_eq!(
        (&record["latencies"]["kong"], &record["latencies"]["proxy"]),
        (&json!(2), &json!(5))
    );
    assert!(record["latencies"]["request"].is_i64() && record["latencies"]["receive"].is_i64());
    assert_eq!(
        (&record["route"]["name"], &record["route"]["ws_id"]),
        (&json!("r1"), &json!(WORKSPACE_ID))
    );
    assert_eq!(
        (&record["service"]["host"], &record["service"].get("tags")),
        (&json!("backend.test"), &None)
    );
    assert_eq!(
        (&record["client_ip"], &record["source"]),
        (&json!("127.0.0.1"), &json!("upstream"))
    );
    assert!(record["started_at"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(
        (&record["workspace"], &record["workspace_name"]),
        (&json!(WORKSPACE_ID), &json!("default"))
    );
    assert_eq!(
        (record.get("consumer"), record.get("authenticated_entity")),
        (None, None)
    );
}

#[test]
fn each_try_is_listed_and_failed_ones_tell_state_and_code() {
    let harness = harness();
    let record = record(proxied(&harness, &[("failed", 502), ("next", 503)]).exchange());
    assert_eq!(record["upstream_status"], "502, 503, 200");
    let tries = record["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 3);
    assert_eq!(
        (&tries[0]["ip"], &tries[0]["port"]),
        (&json!("10.0.0.1"), &json!(80))
    );
    assert_eq!(
        (&tries[0]["state"], &tries[0]["code"]),
        (&json!("failed"), &json!(502))
    );
    assert_eq!((tries[2].get("state"), tries[2].get("code")), (None, None));
    let started_at = record["started_at"].as_u64().unwrap();
    assert!(
        tries
            .iter()
            .all(|attempt| attempt["balancer_start"].as_u64().unwrap() >= started_at)
    );
    assert_eq!(
        (&tries[0]["balancer_latency"], &tries[0]["balancer_latency_ns"]),
        (&json!(2), &json!(2_500_000))
    );
    assert!(tries[0]["balancer_start_ns"].as_u64().unwrap() / 1_000_000 >= started_at);
}

#[test]
fn request_without_a_route_has_neither_route_nor_upstream() {
    let not_found = Reply::error(StatusCode::NOT_FOUND, "no Route matched with those values");
    let finished = Harness::new(Idle)
        .request("GET", "/nowhere")
        .answered_by_gateway(not_found);
    let record = record(finished.exchange());
    assert_eq!(
        (record.get("route"), record.get("service"), record.get("tries")),
        (None, None, None)
    );
    assert_eq!(
        (&record["upstream_uri"], &record["upstream_status"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(
        (&record["latencies"]["proxy"], &record["source"]),
        (&json!(-1), &json!("kong"))
    );
    assert_eq!(record["latencies"]["kong"], record["latencies"]["request"]);
    assert_eq!(record["request"]["querystring"], json!({}));
}

#[test]
fn routed_request_that_a_plugin_answers_has_an_empty_list_of_tries() {
    let finished = harness()
        .request("GET", "/a")
        .answered_by_gateway(Reply::empty(StatusCode::NO_CONTENT));
    let record = record(finished.exchange());
    assert_eq!(
        (&record["tries"], &record["upstream_uri"]),
        (&json!([]), &json!(""))
    );
}

#[test]
fn consumer_and_credential_appear_when_known() {
    let credential = Credential {
        id: CredentialId(Uuid::from_u128(9)),
        consumer: None,
    };
    let harness = harness();
    let request = harness
        .request("GET", "/a")
        .consumer("alice")
        .with(|x| x.credential = Some(credential));
    let finished = request.run().upstream_response(200, &[], &[]);
    let record = record(finished.exchange());
    assert_eq!(record["consumer"]["username"], "alice");
    assert_eq!(
        record["consumer"].get("custom_id"),
        None,
        "unset members are left out"
    );
    assert_eq!(
        record["authenticated_entity"],
        json!({ "id": Uuid::from_u128(9) })
    );
}

#[test]
fn tls_connection_tells_version_cipher_and_client_certificate() {
    let tls = Tls {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        sni: None,
        client_verify: "NONE",
    };
    let harness = harness();
    let request = harness
        .request("GET", "/a")
        .with(|x| x.client.tls = Some(Rc::new(tls)));
    let record = record(request.run().upstream_response(200, &[], &[]).exchange());
    let wanted = json!({ "version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "client_verify": "NONE" });
    assert_eq!(record["request"]["tls"], wanted);
}

#[test]
fn members_added_by_plugins_stand_beside_the_others() {
    let harness = harness();
    let request = harness.request("GET", "/a").with(|x| {
        x.log_fields.push(("correlation_id".into(), json!("id-1")));
        x.log_fields.push(("a.b".into(), json!(1)));
        x.log_fields.push((r"a\.b".into(), json!(2)));
        x.log_fields.push(("route".into(), Value::Null));
    });
    let record = record(request.run().upstream_response(200, &[], &[]).exchange());
    assert_eq!(record["correlation_id"], "id-1");
    assert_eq!((&record["a"], &record["a.b"]), (&json!({ "b": 1 }), &json!(2)));
    assert_eq!(record.get("route"), None);
}

#[test]
fn path_through_a_member_that_is_no_object_changes_nothing() {
    let mut record: Map<String, Value> = json!({ "a": 1, "o": { "x": 1 } }).as_object().unwrap().clone();
    let before = record.clone();
    fields::set(&mut record, "a.b", json!(2));
    fields::set(&mut record, "missing.member", Value::Null);
    assert_eq!(record, before);
    fields::set(&mut record, "o.x", Value::Null);
    assert_eq!(Value::Object(record), json!({ "a": 1, "o": {} }));
}

#[test]
fn query_arguments_are_decoded_and_repeated_ones_become_arrays() {
    for (query, wanted) in [
        ("", json!({})),
        ("a=1&a=2&a", json!({ "a": ["1", "2", true] })),
        ("a+b=c+d&%zz=%", json!({ "a b": "c d", "%zz": "%" })),
        ("&&a=&=b", json!({ "a": "", "": "b" })),
        ("a=%ff", json!({ "a": "\u{fffd}" })),
    ] {
        assert_eq!(query::decode(query), wanted, "{query}");
    }
}

#[test]
fn a_head_that_was_compressed_counts_as_it_would_be_written() {
    let harness = harness();
    let finished = harness
        .request("GET", "/a")
        .header("X-A", "1")
        .with(|x| x.request.head_size = 0)
        .run();
    let head = "GET /a HTTP/2.0\r\nhost: gateway.test\r\nx-a: 1\r\n\r\n".len();
    assert_eq!(record(finished.exchange())["request"]["size"], head);
}
