//! Test kit: runs one plugin over made-up exchanges, without a server, sockets or a runtime.
//!
//! A [`Harness`] holds one configured instance. Each [`Harness::request`] makes an exchange, runs `rewrite` and `access`
//! and gives an [`Access`]: what the plugin decided, or what would have gone upstream. From there
//! [`Access::upstream_response`] (or [`Access::finish`], when the plugin answered) runs `header_filter`, `body_filter`
//! and `log` and gives the [`Finished`] exchange. Everything that goes wrong in the kit itself panics, as tests want.
//!
//! ```
//! use std::sync::Arc;
//! use tidegate_model::{record, schema::{self, Declared, RecordSchema}};
//! use tidegate_plugin::{AccessCx, BuildCx, BuildError, Kind, Phase, PhaseSet, Plugin, Reply, Step, testing::Harness};
//!
//! record! {
//!     /// Nothing to set.
//!     pub struct TeapotConfig {}
//! }
//! struct Teapot;
//! impl Kind for Teapot {
//!     fn name(&self) -> &'static str { "teapot" }
//!     fn priority(&self) -> i32 { 1 }
//!     fn phases(&self) -> PhaseSet { PhaseSet::of(&[Phase::Access]) }
//!     fn schema(&self) -> &'static RecordSchema { TeapotConfig::schema() }
//!     fn build(&self, _: &serde_json::Value, _: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
//!         Ok(Arc::new(Self))
//!     }
//! }
//! impl Plugin for Teapot {
//!     fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
//!         if x.request.headers.contains_key("x-coffee") {
//!             return Step::reply(Reply::message(http::StatusCode::IM_A_TEAPOT, "no"));
//!         }
//!         Step::go_on()
//!     }
//! }
//!
//! let harness = Harness::new(Teapot);
//! assert!(harness.request("GET", "/").run().reply().is_none());
//! assert_eq!(harness.request("GET", "/").header("X-Coffee", "1").run().finish().status(), 418);
//! ```

#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test kit reports misuse by panicking in the test"
)]

mod doubles;
mod exchange;
mod finished;
mod run;
mod snapshot;

pub use doubles::{ManualClock, RecordedLine, RecordedLines, block_on};
pub use exchange::exchange;
pub use finished::{Finished, reply_parts};
pub use run::{Access, TestRequest};

use crate::kind::{BuildCx, Kind, Plugin};
use crate::services::{LineSink, Services};
use serde_json::{Map, Value};
use snapshot::TestSnapshot;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tidegate_model::entities::{self, Protocol, Route, Service};
use tidegate_model::ids::PluginId;
use tidegate_model::schema::{Context, Declared};
use uuid::Uuid;

/// One plugin instance under test with the world around it. Describe the world first, then send requests; the instance
/// is built by the first request and keeps its state over all of them.
pub struct Harness {
    kind: Arc<dyn Kind>,
    config: Value,
    world: TestSnapshot,
    services: RefCell<Services>,
    built: OnceCell<Built>,
}

struct Built {
    plugin: Arc<dyn Plugin>,
    snapshot: Rc<TestSnapshot>,
}

impl Harness {
    /// An instance of `kind` with an empty configuration, no route, service or consumer, and the system's clock.
    #[must_use]
    pub fn new(kind: impl Kind) -> Self {
        Self {
            kind: Arc::new(kind),
            config: Value::Object(Map::new()),
            world: TestSnapshot::default(),
            services: RefCell::new(Services::detached()),
            built: OnceCell::new(),
        }
    }

    /// The configuration as a user writes it. It passes through the kind's schema when the instance is built.
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// The route that requests match, as a user writes it.
    #[must_use]
    pub fn route(mut self, route: &Value) -> Self {
        self.world.route = Some(declared::<Route>(route, "route"));
        self
    }

    /// The service behind the route, as a user writes it.
    #[must_use]
    pub fn service(mut self, service: &Value) -> Self {
        self.world.service = Some(declared::<Service>(service, "service"));
        self
    }

    /// Adds a consumer of that username; its id is derived from the name.
    #[must_use]
    pub fn consumer(mut self, username: &str) -> Self {
        self.world.add_consumer(username, None);
        self
    }

    /// Adds a consumer with a custom id.
    #[must_use]
    pub fn consumer_with_custom_id(mut self, username: &str, custom_id: &str) -> Self {
        self.world.add_consumer(username, Some(custom_id));
        self
    }

    /// Gives a consumer an API key; the consumer is added when it is missing.
    #[must_use]
    pub fn key_credential(mut self, username: &str, key: &str) -> Self {
        self.world.add_key(username, key, None);
        self
    }

    /// Gives a consumer an API key that expires at that Unix time in seconds.
    #[must_use]
    pub fn expiring_key_credential(mut self, username: &str, key: &str, expires_at: f64) -> Self {
        self.world.add_key(username, key, Some(expires_at));
        self
    }

    /// Puts a consumer into an ACL group; the consumer is added when it is missing.
    #[must_use]
    pub fn acl(mut self, username: &str, group: &str) -> Self {
        self.world.add_acl(username, group);
        self
    }

    /// The time of day that the plugin sees.
    #[must_use]
    pub fn clock(mut self, clock: &Arc<ManualClock>) -> Self {
        self.services.get_mut().clock = Arc::<ManualClock>::clone(clock);
        self
    }

    /// Where log plugins write.
    #[must_use]
    pub fn lines(mut self, sink: Arc<dyn LineSink>) -> Self {
        self.services.get_mut().lines = sink;
        self
    }

    /// Any other process-wide service.
    #[must_use]
    pub fn services(mut self, change: impl FnOnce(&mut Services)) -> Self {
        change(self.services.get_mut());
        self
    }

    /// Everything that schema and build refuse in the configuration, each as `config.path: text`; empty: it is accepted.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        match self.process() {
            Err(violations) => violations,
            Ok(config) => {
                let services = Arc::new(Services::detached());
                self.build(&config, &services).err().into_iter().collect()
            }
        }
    }

    /// A request to come. `target` is path and query as the client writes them.
    pub fn request(&self, method: &str, target: &str) -> TestRequest {
        let built = self.built();
        TestRequest::new(
            Arc::clone(&built.plugin),
            Rc::clone(&built.snapshot),
            method,
            target,
        )
    }

    /// The configured instance.
    pub fn plugin(&self) -> &Arc<dyn Plugin> {
        &self.built().plugin
    }

    fn built(&self) -> &Built {
        self.built.get_or_init(|| {
            let config = self
                .process()
                .unwrap_or_else(|violations| panic!("refused: {}", violations.join("; ")));
            let services = Arc::new(self.services.replace(Services::detached()));
            let plugin = self
                .build(&config, &services)
                .unwrap_or_else(|error| panic!("not built: {error}"));
            let mut snapshot = self.world.clone();
            snapshot.services = services;
            Built {
                plugin,
                snapshot: Rc::new(snapshot),
            }
        })
    }

    fn process(&self) -> Result<Value, Vec<String>> {
        let Value::Object(config) = &self.config else {
            panic!("the configuration must be an object")
        };
        let processed = self.kind.schema().process_config(config, &Context::default());
        if processed.violations.is_empty() {
            return Ok(Value::Object(processed.value));
        }
        Err(processed.violations.iter().map(ToString::to_string).collect())
    }

    fn build(&self, config: &Value, services: &Arc<Services>) -> Result<Arc<dyn Plugin>, String> {
        let entity = entities::Plugin {
            id: PluginId(Uuid::new_v5(&Uuid::NAMESPACE_OID, self.kind.name().as_bytes())),
            created_at: None,
            updated_at: None,
            name: self.kind.name().to_owned(),
            instance_name: None,
            service: None,
            route: None,
            consumer: None,
            consumer_group: None,
            config: config.clone(),
            protocols: vec![Protocol::Grpc, Protocol::Grpcs, Protocol::Http, Protocol::Https],
            enabled: true,
            ordering: None,
            tidegate: None,
            tags: None,
        };
        self.kind
            .build(
                config,
                &BuildCx {
                    entity: &entity,
                    services,
                },
            )
            .map_err(|error| error.to_string())
    }
}

fn declared<T: Declared + serde::de::DeserializeOwned>(value: &Value, what: &str) -> T {
    let mut input = value
        .as_object()
        .unwrap_or_else(|| panic!("{what} must be an object"))
        .clone();
    if !input.contains_key("id") {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, what.as_bytes());
        input.insert("id".to_owned(), Value::String(id.to_string()));
    }
    let processed = T::schema().process(&input);
    let violations: Vec<String> = processed.violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{what} refused: {}", violations.join("; "));
    serde_json::from_value(Value::Object(processed.value)).unwrap_or_else(|error| panic!("{what}: {error}"))
}

#[cfg(test)]
mod tests;
