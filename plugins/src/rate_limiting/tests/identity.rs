//! Who shares a counter with whom.

use super::*;
use crate::rate_limiting::{Instance, Meter, RateLimitingConfig};
use tidegate_model::ids::{ConsumerId, CredentialId, ForeignKey, PluginId, RouteId, ServiceId};
use tidegate_plugin::counters::Identifier;
use tidegate_plugin::identity::Credential;
use uuid::Uuid;

fn limited_by(limit_by: &str) -> Harness {
    harness(json!({ "minute": 1, "limit_by": limit_by }), &clock())
        .consumer("alice")
        .consumer("bob")
}

fn with_credential(request: TestRequest, id: u128) -> TestRequest {
    request.with(|x| {
        x.credential = Some(Credential {
            id: CredentialId(Uuid::from_u128(id)),
            consumer: None,
        })
    })
}

#[test]
fn two_keys_of_one_consumer_share_its_limit_and_other_consumers_do_not() {
    let harness = limited_by("consumer");
    let call = |consumer, key| {
        status(with_credential(
            harness.request("GET", "/").consumer(consumer),
            key,
        ))
    };
    assert_eq!(
        [call("alice", 1), call("alice", 2), call("bob", 3)],
        [200, 429, 200]
    );
}

#[test]
fn two_keys_of_one_consumer_have_limits_of_their_own_by_credential() {
    let harness = limited_by("credential");
    let call = |key| {
        status(with_credential(
            harness.request("GET", "/").consumer("alice"),
            key,
        ))
    };
    assert_eq!([call(1), call(2), call(1)], [200, 200, 429]);
}

#[test]
fn callers_without_the_attribute_are_told_apart_by_address() {
    for limit_by in ["consumer", "credential", "ip", "service"] {
        let harness = limited_by(limit_by);
        let call = |address| status(harness.request("GET", "/").client_address(address));
        let answers = [
            call("10.0.0.1"),
            call("10.0.0.2"),
            call("10.0.0.1"),
            call("::ffff:10.0.0.2"),
        ];
        assert_eq!(answers, [200, 200, 429, 429], "{limit_by}");
    }
}

#[test]
fn credential_stands_in_for_a_missing_consumer() {
    let harness = limited_by("consumer");
    let call = |key| status(with_credential(harness.request("GET", "/"), key));
    assert_eq!([call(1), call(2), call(1)], [200, 200, 429]);
}

#[test]
fn values_of_the_header_count_apart_and_a_missing_or_empty_one_by_address() {
    let config = json!({ "minute": 1, "limit_by": "header", "header_name": "X-Email-Address" });
    let harness = harness(config, &clock());
    let call = |value: &str| status(harness.request("GET", "/").header("x-email-address", value));
    assert_eq!([call("a"), call("b"), call("a")], [200, 200, 429]);
    let first = harness
        .request("GET", "/")
        .header("x-email-address", "c")
        .header("x-email-address", "a");
    assert_eq!(status(first), 200, "the first of several values counts");
    assert_eq!([status(harness.request("GET", "/")), call("")], [200, 429]);
    assert_eq!(
        call("127.0.0.1"),
        200,
        "a header cannot use up the limit of an address"
    );
}

#[test]
fn exact_path_has_one_counter_for_all_and_other_paths_count_by_address() {
    let harness = harness(json!({ "minute": 1, "limit_by": "path", "path": "/a" }), &clock());
    let call = |target, address| status(harness.request("GET", target).client_address(address));
    assert_eq!([call("/a", "10.0.0.1"), call("/a?x=1", "10.0.0.2")], [200, 429]);
    assert_eq!(
        [
            call("/b", "10.0.0.1"),
            call("/a/b", "10.0.0.1"),
            call("/b", "10.0.0.2")
        ],
        [200, 429, 200]
    );
}

#[test]
fn service_has_one_counter_for_all_callers() {
    let harness = limited_by("service")
        .route(&json!({ "paths": ["/"] }))
        .service(&json!({ "host": "h" }));
    let call = |address| status(harness.request("GET", "/").client_address(address));
    assert_eq!([call("10.0.0.1"), call("10.0.0.2")], [200, 429]);
}

#[test]
fn clients_without_an_address_share_one_counter() {
    let harness = limited_by("ip");
    let call = || status(harness.request("GET", "/").with(|x| x.client.address = None));
    assert_eq!([call(), call()], [200, 429]);
}

/// The ids under which an instance of that scope counts.
fn scope(route: Option<u128>, service: Option<u128>, consumer: Option<u128>) -> (Uuid, Uuid) {
    let mut entity = entity();
    entity.route = route.map(|id| ForeignKey {
        id: RouteId(Uuid::from_u128(id)),
    });
    entity.service = service.map(|id| ForeignKey {
        id: ServiceId(Uuid::from_u128(id)),
    });
    entity.consumer = consumer.map(|id| ForeignKey {
        id: ConsumerId(Uuid::from_u128(id)),
    });
    let services = Arc::new(tidegate_plugin::services::Services::detached());
    let cx = tidegate_plugin::BuildCx {
        entity: &entity,
        services: &services,
    };
    let processed =
        tidegate_plugin::Kind::schema(&RateLimiting).process(json!({ "minute": 1 }).as_object().unwrap());
    let config: RateLimitingConfig = cx.config(&Value::Object(processed.value)).unwrap();
    let instance = Instance::new(&config, Meter::Local, &cx).unwrap();
    (instance.route, instance.service)
}

fn entity() -> tidegate_model::entities::Plugin {
    tidegate_model::entities::Plugin {
        id: PluginId(Uuid::from_u128(1)),
        created_at: None,
        updated_at: None,
        name: "rate-limiting".to_owned(),
        instance_name: None,
        service: None,
        route: None,
        consumer: None,
        consumer_group: None,
        config: Value::Null,
        protocols: Vec::new(),
        enabled: true,
        ordering: None,
        tidegate: None,
        tags: None,
    }
}

#[test]
fn counters_belong_to_the_scope_of_the_instance_and_not_to_the_matched_route() {
    let nil = Uuid::nil();
    assert_eq!(
        scope(None, None, None),
        (nil, nil),
        "a global instance counts all services together"
    );
    assert_eq!(scope(Some(7), None, None), (Uuid::from_u128(7), nil));
    assert_eq!(scope(None, Some(8), None), (nil, Uuid::from_u128(8)));
    assert_eq!(
        scope(None, None, Some(9)),
        scope(None, None, None),
        "those of a consumer count with the global ones"
    );
    assert_ne!(Identifier::Header(b"x"), Identifier::Path(b"x"));
}
