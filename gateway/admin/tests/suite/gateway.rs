//! An Admin API over entities in memory, in a gateway that serves nothing.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_admin::{
    Activity, AdminApi, BoxFuture, HealthRefusal, Identity, Mode, Node, Options, PluginOnServer,
    UnknownLevel, UpstreamHealth,
};
use tidegate_config::declarative::{Inspection, PluginSchema, PluginSchemas, PluginScopes};
use tidegate_model::entities::EntitySet;
use tidegate_model::schema::Violation;
use tidegate_plugin::Registry;
use tidegate_store::{MemoryBackend, Store};
use uuid::Uuid;

pub(crate) struct Gateway {
    pub(crate) api: AdminApi,
    pub(crate) store: Store,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Gateway {
    pub(crate) fn start(mode: Mode) -> Self {
        Self::with(Options::new(mode))
    }

    pub(crate) fn with(options: Options) -> Self {
        Self::over(options, tidegate_store::Clock::default())
    }

    pub(crate) fn over(options: Options, clock: tidegate_store::Clock) -> Self {
        let store = Store::open(
            Box::new(MemoryBackend::default()),
            tidegate_store::Options { clock },
        )
        .unwrap();
        Self::of_store(store, options)
    }

    pub(crate) fn of_store(store: Store, options: Options) -> Self {
        let node = Arc::new(TestNode {
            level: parking_lot::Mutex::new("notice".to_owned()),
        });
        Self {
            api: AdminApi::new(store.clone(), node, options),
            store,
        }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Seen {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::copy_from_slice(body)).unwrap();
        let response = self.api.answer(request).await;
        Seen {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: String::from_utf8(response.into_body().to_vec()).unwrap(),
        }
    }

    pub(crate) async fn json(&self, method: &str, target: &str, body: &Value) -> Seen {
        let headers = [("content-type", "application/json")];
        self.send(method, target, &headers, body.to_string().as_bytes())
            .await
    }

    pub(crate) async fn get(&self, target: &str) -> Seen {
        self.send("GET", target, &[], b"").await
    }

    /// A recorded request.
    pub(crate) async fn replay(&self, recorded: &Value) -> Seen {
        let text = |name: &str| recorded[name].as_str().unwrap_or_default();
        let (method, target) = (text("method"), text("target"));
        if recorded["json"].is_object() || recorded["json"].is_array() {
            return self.json(method, target, &recorded["json"]).await;
        }
        let empty = Vec::new();
        let headers: Vec<(&str, &str)> = recorded["headers"]
            .as_array()
            .unwrap_or(&empty)
            .iter()
            .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
            .collect();
        self.send(method, target, &headers, text("body").as_bytes()).await
    }
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

struct TestNode {
    level: parking_lot::Mutex<String>,
}

impl Node for TestNode {
    fn identity(&self) -> Identity {
        Identity {
            product: "tidegate/0.1.0".to_owned(),
            version: "3.9.1".to_owned(),
            node_id: Uuid::from_u128(1),
            hostname: "test".to_owned(),
            pid: 1,
            configuration: json!({}),
        }
    }

    fn activity(&self) -> Activity {
        Activity {
            memory: 3 << 20,
            ..Activity::default()
        }
    }

    fn plugins(&self) -> Arc<dyn PluginSchemas + Send + Sync> {
        Arc::new(BuiltIn(tidegate_plugins::registry()))
    }

    fn plugins_on_server(&self) -> Vec<PluginOnServer> {
        let registry = tidegate_plugins::registry();
        let all = registry.kinds().map(|kind| PluginOnServer {
            name: kind.name().to_owned(),
            version: "0.1.0".to_owned(),
            priority: kind.priority(),
        });
        all.collect()
    }

    fn has_filters(&self) -> bool {
        false
    }

    fn filter_schema(&self, _: &str) -> Option<Value> {
        None
    }

    fn inspect(&self, _: &'static str, _: &Map<String, Value>) -> Vec<Violation> {
        Vec::new()
    }

    fn inspect_all(&self, _: &EntitySet) -> Vec<Inspection> {
        Vec::new()
    }

    fn applied(&self, _: u64) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn upstream_health(&self, _: Uuid) -> Option<UpstreamHealth> {
        None
    }

    fn set_target_health(
        &self,
        _: Uuid,
        _: Uuid,
        _: Option<SocketAddr>,
        _: bool,
    ) -> Result<(), HealthRefusal> {
        Err(HealthRefusal::NoBalancer)
    }

    fn log_level(&self) -> String {
        self.level.lock().clone()
    }

    fn set_log_level(&self, level: &str, _: Duration) -> Result<(), UnknownLevel> {
        if !["debug", "info", "notice", "warn", "error", "crit"].contains(&level) {
            return Err(UnknownLevel);
        }
        level.clone_into(&mut self.level.lock());
        Ok(())
    }
}

struct BuiltIn(Registry);

impl PluginSchemas for BuiltIn {
    fn get(&self, name: &str) -> Option<PluginSchema> {
        let kind = self.0.get(name)?;
        let scopes = kind.scopes();
        Some(PluginSchema {
            config: kind.schema(),
            takes_any_config: kind.takes_any_config(),
            scopes: PluginScopes {
                service: scopes.service,
                route: scopes.route,
                consumer: scopes.consumer,
                consumer_group: scopes.consumer_group,
            },
            protocols: kind.protocols(),
            default_protocols: kind.default_protocols(),
        })
    }

    fn names(&self) -> Vec<&str> {
        self.0.kinds().map(|kind| kind.name()).collect()
    }
}
