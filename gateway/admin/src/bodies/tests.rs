use super::{Content, Types, Yaml};
use crate::errors::ApiError;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tidegate_model::entity_table::entity_type;

fn read(kind: Option<&str>, body: &[u8]) -> Result<Content, ApiError> {
    let mut headers = HeaderMap::new();
    if let Some(kind) = kind {
        headers.insert("content-type", HeaderValue::from_str(kind).unwrap());
    }
    Content::read(&headers, body, 10 << 20, Yaml::Refused)
}

fn form(collection: &str, text: &str) -> Value {
    let types = Types {
        schema: entity_type(collection).unwrap().schema(),
        plugins: None,
        plugin: None,
        lists: &[],
    };
    let content = read(
        Some("application/x-www-form-urlencoded; charset=utf-8"),
        text.as_bytes(),
    );
    Value::Object(content.unwrap().into_record(&types).unwrap())
}

fn refusal(kind: Option<&str>, body: &[u8]) -> (StatusCode, String) {
    match read(kind, body) {
        Err(ApiError::Message(status, message)) => (status, message),
        Err(ApiError::MediaType) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, String::new()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_form_is_typed_by_the_table() {
    assert_eq!(
        form(
            "routes",
            "hosts[]=a&hosts[]=b&service.id=x&strip_path=false&regex_priority=3&name=&methods=GET"
        ),
        json!({
            "hosts": ["a", "b"], "service": {"id": "x"}, "strip_path": false, "regex_priority": 3, "name": null,
            "methods": ["GET"],
        })
    );
    assert_eq!(
        form(
            "routes",
            "headers[x-a]=1&headers[x-b][]=2&sources[1].ip=1.1.1.1&sources[1].port=80"
        ),
        json!({
            "headers": {"x-a": ["1"], "x-b": ["2"]}, "sources": [{"ip": "1.1.1.1", "port": 80}],
        })
    );
    assert_eq!(
        form(
            "upstreams",
            "healthchecks.active.healthy.http_statuses[]=200&healthchecks.active.timeout=1.5"
        ),
        json!({"healthchecks": {"active": {"healthy": {"http_statuses": [200]}, "timeout": 1.5}}})
    );
    assert_eq!(
        form("services", "port=abc&enabled=maybe&unknown=1"),
        json!({"port": "abc", "enabled": "maybe", "unknown": "1"})
    );
}

#[test]
fn what_is_no_body_of_a_known_type_is_refused() {
    let parse = (StatusCode::BAD_REQUEST, "Cannot parse JSON body".to_owned());
    for body in ["", "{", "\"x\"", "[1]", "null", "{} x"] {
        assert_eq!(
            refusal(Some("application/json"), body.as_bytes()),
            parse,
            "{body}"
        );
    }
    for kind in [
        None,
        Some("invalid"),
        Some("text/plain"),
        Some("text/yaml"),
        Some("application/vnd.api+json"),
    ] {
        assert_eq!(
            refusal(kind, b"x").0,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{kind:?}"
        );
    }
    assert!(matches!(read(None, b""), Ok(Content::Nothing)));
    assert!(matches!(read(Some("application/json"), b"[]"), Ok(Content::Json(record)) if record.is_empty()));
}

#[test]
fn two_content_types_are_refused() {
    let mut headers = HeaderMap::new();
    headers.append("content-type", HeaderValue::from_static("application/json"));
    headers.append("content-type", HeaderValue::from_static("application/json"));
    let refused = Content::read(&headers, b"{}", 10, Yaml::Refused).unwrap_err();
    assert_eq!(
        refused,
        ApiError::bad_request("Multiple Content-Type headers not allowed")
    );
}

#[test]
fn deep_json_is_refused_without_overflowing_the_stack() {
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(Some("application/json"), deep(100).as_bytes()).is_ok());
    assert!(read(Some("application/json"), deep(1_000_000).as_bytes()).is_err());
}

#[test]
fn a_body_at_the_limit_passes_and_one_byte_more_does_not() {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let body = b"{\"a\": 1}";
    assert!(Content::read(&headers, body, body.len(), Yaml::Refused).is_ok());
    let refused = Content::read(&headers, body, body.len() - 1, Yaml::Refused).unwrap_err();
    assert!(
        matches!(refused, ApiError::Message(StatusCode::PAYLOAD_TOO_LARGE, _)),
        "{refused:?}"
    );
}

proptest::proptest! {
    #[test]
    fn whatever_bytes_come_they_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        for kind in ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"] {
            let types = Types {
                schema: entity_type("routes").unwrap().schema(),
                plugins: None,
                plugin: None,
                lists: &[],
            };
            let _ = read(Some(kind), &bytes).and_then(|content| content.into_record(&types));
        }
    }

    #[test]
    fn names_of_forms_with_brackets_anywhere_are_read_or_refused(form in "[a\\[\\].=&0-9]{0,60}") {
        let types = Types {
            schema: entity_type("upstreams").unwrap().schema(),
            plugins: None,
            plugin: None,
            lists: &[],
        };
        let content = read(Some("application/x-www-form-urlencoded"), form.as_bytes());
        let _ = content.and_then(|content| content.into_record(&types));
    }
}
