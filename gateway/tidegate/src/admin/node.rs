//! The running gateway as the Admin API sees it.

use super::inspection::inspect;
use crate::certificates;
use crate::cli::explain::ExplainRequest;
use crate::configuration::{Configuration, RegistrySchemas};
use crate::explain::explain;
use crate::prober::Prober;
use crate::reload::Reloader;
use crate::upstream_status;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_admin::{
    Activity, BoxFuture, HealthRefusal, Identity, Node, PluginOnServer, TargetHealth, UnknownLevel,
    UpstreamHealth,
};
use tidegate_config::declarative::{Inspection, PluginSchemas};
use tidegate_config::settings::Settings;
use tidegate_model::address::Address;
use tidegate_model::entities::EntitySet;
use tidegate_model::schema::Violation;
use tidegate_plugin::services::Services;
use tidegate_proxy::{settings::PRODUCT, tell};
use tidegate_telemetry::metrics::Metrics;
use tidegate_telemetry::process_log::{LogHandle, LogLevel};
use tidegate_upstream::Upstream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Kong's version whose Admin API this is; clients decide by it.
const KONG_VERSION: &str = "3.9.1";

/// What the Admin API asks of this gateway.
pub(crate) struct GatewayNode {
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) services: Arc<Services>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) prober: Arc<Prober>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) level: LogHandle,
    pub(crate) runtime: Handle,
    /// Sets the level back that was changed for a while.
    pub(crate) level_reset: Mutex<Option<JoinHandle<()>>>,
}

impl Node for GatewayNode {
    fn identity(&self) -> Identity {
        Identity {
            product: PRODUCT.to_owned(),
            version: KONG_VERSION.to_owned(),
            node_id: self.services.node_id,
            hostname: self.services.hostname.clone(),
            pid: std::process::id(),
            configuration: settings(&self.settings),
        }
    }

    fn activity(&self) -> Activity {
        let connections = self.metrics.connections();
        Activity {
            memory: resident_bytes(),
            active: connections.active,
            writing: connections.writing,
            waiting: connections.waiting,
            accepted: connections.accepted,
            handled: connections.handled,
            requests: self.metrics.total_requests(),
            ..Activity::default()
        }
    }

    fn plugins(&self) -> Arc<dyn PluginSchemas + Send + Sync> {
        let registry = self.configuration.latest_registry();
        Arc::new(RegistrySchemas::new(registry, Arc::clone(&self.settings)))
    }

    fn plugins_on_server(&self) -> Vec<PluginOnServer> {
        let registry = self.configuration.latest_registry();
        let kinds = registry.kinds().map(|kind| PluginOnServer {
            name: kind.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            priority: kind.priority(),
        });
        kinds.collect()
    }

    fn has_filters(&self) -> bool {
        self.settings.filters.wasm
    }

    fn filter_schema(&self, name: &str) -> Option<Value> {
        let registry = self.configuration.latest_registry();
        let kind = registry.get(name).filter(|kind| kind.is_filter())?;
        Some(if kind.takes_any_config() {
            Value::Null
        } else {
            kind.schema().describe()
        })
    }

    fn inspect(&self, collection: &'static str, record: &Map<String, Value>) -> Vec<Violation> {
        let registry = self.configuration.latest_registry();
        inspect(&registry, &self.services, collection, record)
    }

    fn inspect_all(&self, entities: &EntitySet) -> Vec<Inspection> {
        let mut found = certificates::inspect(entities);
        found.extend(self.configuration.plan_faults(entities));
        found
    }

    fn applied(&self, version: u64) -> BoxFuture<'_, ()> {
        Box::pin(self.reloader.stored().applied(version))
    }

    fn upstream_health(&self, upstream: Uuid) -> Option<UpstreamHealth> {
        let upstream = self.upstream(upstream)?;
        let targets = upstream.targets(Instant::now());
        Some(UpstreamHealth {
            balancer: upstream_status::overall(&upstream).name(),
            details: upstream_status::shown(&upstream),
            targets: targets
                .iter()
                .map(|view| TargetHealth {
                    id: view.target.id.0,
                    health: view.health.name(),
                    data: upstream_status::kong_data(view),
                })
                .collect(),
        })
    }

    fn set_target_health(
        &self,
        upstream: Uuid,
        target: Uuid,
        address: Option<SocketAddr>,
        is_healthy: bool,
    ) -> Result<(), HealthRefusal> {
        let upstream = self.upstream(upstream).ok_or(HealthRefusal::NoBalancer)?;
        let now = Instant::now();
        let views = upstream.targets(now);
        let view = views
            .iter()
            .find(|view| view.target.id.0 == target)
            .ok_or(HealthRefusal::UnknownTarget)?;
        if !upstream.spec().has_checks() {
            return Err(HealthRefusal::NoHealthcheck);
        }
        let chosen = |known: Address| match address {
            Some(wanted) => known == Address::Tcp(wanted),
            None => view.target.port == 0 || known.port() == Some(view.target.port),
        };
        if !view.addresses.iter().any(|known| chosen(known.address)) {
            return Err(HealthRefusal::UnknownTarget);
        }
        for event in upstream.set_health(&view.target.host, chosen, is_healthy, now) {
            tell(&event, Some("set by hand"));
        }
        Ok(())
    }

    fn explain(&self, request: &str) -> Result<String, String> {
        let request = ExplainRequest::parse(request).map_err(|error| format!("{error:#}"))?;
        Ok(explain(&request, &self.reloader.snapshot()))
    }

    fn log_level(&self) -> String {
        self.level.level().name().to_owned()
    }

    fn set_log_level(&self, level: &str, timeout: Duration) -> Result<(), UnknownLevel> {
        let level: LogLevel = level.parse().map_err(|_| UnknownLevel)?;
        // Not the level before: that may be one that was to last a while as well.
        let configured = self.settings.logs.log_level.as_str();
        let configured: LogLevel = configured.parse().map_err(|_| UnknownLevel)?;
        self.level.set_level(level).map_err(|_| UnknownLevel)?;
        let handle = self.level.clone();
        let reset = self.runtime.spawn(async move {
            tokio::time::sleep(timeout).await;
            drop(handle.set_level(configured));
        });
        if let Some(earlier) = self.level_reset.lock().replace(reset) {
            earlier.abort();
        }
        Ok(())
    }
}

impl GatewayNode {
    fn upstream(&self, id: Uuid) -> Option<Arc<Upstream>> {
        let upstreams = self.prober.upstreams();
        upstreams
            .iter()
            .find(|upstream| upstream.spec().id().0 == id)
            .cloned()
    }
}

/// Every setting as it may be shown.
fn settings(settings: &Settings) -> Value {
    let shown = settings.effective().iter().map(|entry| {
        let name = entry.definition.name.to_owned();
        (name, Value::from(entry.shown()))
    });
    let mut shown: Map<String, Value> = shown.collect();
    let database = crate::entity_store::kind(settings);
    shown.insert("database".to_owned(), json!(database.as_str()));
    Value::Object(shown)
}

/// Memory of the process, as `/proc/self/statm` tells it; 0 where there is none.
fn resident_bytes() -> u64 {
    const PAGE: u64 = 4_096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE
}
