//! Entities from the fields that matter, a plugin kind without behaviour, and what a snapshot answers.

use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tidegate_model::entities::{
    Consumer, EntitySet, KeyAuthCredential, Plugin, Route, Service, Target, Upstream,
};
use tidegate_model::record;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plan::{PlanInput, Snapshot, plan};
use tidegate_plugin::exchange::RouteIndex;
use tidegate_plugin::services::Services;
use tidegate_plugin::{BuildCx, BuildError, Kind, Phase, PhaseSet, Registry};
use tidegate_router::{Flavor, NoHeaders, RequestFacts};
use uuid::Uuid;

record! {
    /// Nothing to set.
    pub struct InertConfig {}
}

/// A kind that does nothing.
struct Inert(&'static str, i32);

impl Kind for Inert {
    fn name(&self) -> &'static str {
        self.0
    }
    fn priority(&self) -> i32 {
        self.1
    }
    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Rewrite, Phase::Access])
    }
    fn schema(&self) -> &'static RecordSchema {
        InertConfig::schema()
    }
    fn build(&self, _: &Value, _: &BuildCx<'_>) -> Result<Arc<dyn tidegate_plugin::Plugin>, BuildError> {
        Ok(Arc::new(Idle))
    }
}

struct Idle;

impl tidegate_plugin::Plugin for Idle {}

/// Names of the kinds, by falling priority.
pub(crate) const KINDS: [&str; 3] = ["first", "second", "third"];

pub(crate) struct Planner {
    registry: Registry,
    services: Arc<Services>,
}

impl Planner {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        for (name, priority) in KINDS.into_iter().zip([30, 20, 10]) {
            registry.add(Arc::new(Inert(name, priority)));
        }
        Self {
            registry,
            services: Arc::new(Services::detached()),
        }
    }

    pub(crate) fn plan(&self, entities: &EntitySet, previous: Option<&Snapshot>) -> Snapshot {
        let (snapshot, faults) = plan(&PlanInput {
            entities,
            registry: &self.registry,
            services: &self.services,
            flavor: Flavor::TraditionalCompatible,
            previous,
        });
        assert_eq!(faults, []);
        snapshot
    }
}

pub(crate) fn id(kind: &str, number: usize) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{kind}-{number}").as_bytes())
}

fn whole<T: serde::de::DeserializeOwned>(mut base: Value, fields: &Value) -> T {
    for (key, value) in fields.as_object().expect("fields are an object") {
        base[key] = value.clone();
    }
    serde_json::from_value(base).expect("a valid entity")
}

/// `service` is a number or nothing.
pub(crate) fn route(number: usize, service: Option<usize>, path: &str) -> Route {
    let service = service.map(|service| json!({ "id": id("service", service) }));
    let base = json!({
        "id": id("route", number), "name": format!("r{number}"), "protocols": ["http", "https"], "paths": [path],
        "https_redirect_status_code": 426, "regex_priority": 0, "strip_path": true, "path_handling": "v0",
        "preserve_host": false, "request_buffering": true, "response_buffering": true,
    });
    whole(base, &json!({ "service": service }))
}

pub(crate) fn service(number: usize, host: &str) -> Service {
    let base = json!({
        "id": id("service", number), "name": format!("s{number}"), "protocol": "http", "port": 80, "retries": 5,
        "connect_timeout": 60_000, "read_timeout": 60_000, "write_timeout": 60_000, "enabled": true,
    });
    whole(base, &json!({ "host": host }))
}

pub(crate) fn plugin(number: usize, kind: &str, scope: &Value) -> Plugin {
    let base = json!({
        "id": id("plugin", number), "name": kind, "config": {}, "enabled": true,
        "protocols": ["grpc", "grpcs", "http", "https"],
    });
    whole(base, scope)
}

pub(crate) fn consumer(number: usize) -> Consumer {
    let base = json!({ "id": id("consumer", number) });
    whole(base, &json!({ "username": format!("c{number}") }))
}

pub(crate) fn key(number: usize, consumer: usize) -> KeyAuthCredential {
    let base = json!({ "id": id("key", number), "key": format!("k{number}") });
    whole(base, &json!({ "consumer": { "id": id("consumer", consumer) } }))
}

pub(crate) fn upstream(number: usize) -> Upstream {
    let table = Upstream::schema();
    let input = json!({ "id": id("upstream", number), "name": format!("u{number}") });
    let processed = table.process(input.as_object().expect("an object"));
    assert!(processed.violations.is_empty(), "{:?}", processed.violations);
    serde_json::from_value(Value::Object(processed.value)).expect("a valid upstream")
}

pub(crate) fn target(number: usize, upstream: usize, address: &str, weight: u16) -> Target {
    let base = json!({ "id": id("target", number), "upstream": { "id": id("upstream", upstream) } });
    whole(base, &json!({ "target": address, "weight": weight }))
}

/// Everything that requests to a path can see, as text.
pub(crate) fn answer(snapshot: &Snapshot, path: &str) -> String {
    let local = Some((IpAddr::V4(Ipv4Addr::LOCALHOST), 1));
    let found = snapshot.router.find(&RequestFacts {
        method: "GET",
        scheme: "http",
        host: "h",
        host_port: None,
        path: path.as_bytes(),
        query: None,
        headers: &NoHeaders,
        sni: None,
        source: local,
        destination: local,
    });
    let planned = found.and_then(|found| snapshot.planned_route(RouteIndex(found.route)));
    let Some(planned) = planned else {
        return format!("nobody {:?}", choices(snapshot, snapshot.global_chain));
    };
    let service = planned.service.map(|index| {
        let service = snapshot.planned_service(index).expect("the service exists");
        format!("{:?} {:?}", service.service, service.host_header)
    });
    format!(
        "{:?} {service:?} {:?}",
        planned.route,
        choices(snapshot, planned.chain)
    )
}

/// The instances that run on a chain, without a consumer and for each.
fn choices(snapshot: &Snapshot, chain: tidegate_plan::ChainIndex) -> Vec<Vec<(Uuid, Value)>> {
    let nobody = std::iter::once(None);
    let callers = nobody.chain(snapshot.identities.consumers.iter().map(Some));
    callers
        .map(|caller| {
            let selected = snapshot
                .chain(chain)
                .iter()
                .filter_map(|entry| entry.select(caller));
            selected
                .map(|index| snapshot.instance(index).expect("the instance exists"))
                .map(|instance| (instance.entity.id.0, instance.entity.config.clone()))
                .collect()
        })
        .collect()
}
