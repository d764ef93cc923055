//! What the Admin API asks of the gateway that it belongs to.

use serde_json::{Map, Value};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tidegate_config::declarative::{Inspection, PluginSchemas};
use tidegate_model::entities::EntitySet;
use tidegate_model::schema::Violation;
use uuid::Uuid;

/// A future that may be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The running gateway, as far as the Admin API reaches. Every method returns soon; none may block on the network.
pub trait Node: Send + Sync + 'static {
    /// Who this is, for `/`.
    fn identity(&self) -> Identity;

    /// What goes on, for `/status`.
    fn activity(&self) -> Activity;

    /// The plugins that are enabled.
    fn plugins(&self) -> Arc<dyn PluginSchemas + Send + Sync>;

    /// Name, version and priority of every plugin of this build.
    fn plugins_on_server(&self) -> Vec<PluginOnServer>;

    /// Whether filters may be attached (setting `wasm`).
    fn has_filters(&self) -> bool;

    /// The schema of the configuration of an installed filter; null when it has none.
    fn filter_schema(&self, name: &str) -> Option<Value>;

    /// What is wrong with a finished record beyond what its table can say: a plugin that cannot be built, a filter that
    /// is not installed, a key that does not belong to its certificate. Runs inside of a transaction, so it must be
    /// quick.
    fn inspect(&self, collection: &'static str, record: &Map<String, Value>) -> Vec<Violation>;

    /// The same for all entities of a declarative configuration, which may not be put to work with any of these faults.
    fn inspect_all(&self, entities: &EntitySet) -> Vec<Inspection>;

    /// Resolves when this version of the store, or a later one, serves traffic on this node, or when it is certain that it
    /// will not: writes are answered only then.
    fn applied(&self, version: u64) -> BoxFuture<'_, ()>;

    /// How the targets of an upstream are. None when it has no balancer (yet).
    fn upstream_health(&self, upstream: Uuid) -> Option<UpstreamHealth>;

    /// Sets the health of a target, or of one address of it, by hand.
    ///
    /// # Errors
    /// Why it cannot be set.
    fn set_target_health(
        &self,
        upstream: Uuid,
        target: Uuid,
        address: Option<SocketAddr>,
        is_healthy: bool,
    ) -> Result<(), HealthRefusal>;

    /// The level of the process log, in Kong's words.
    fn log_level(&self) -> String;

    /// Changes the level of the process log; after `timeout` it goes back. Zero: at once.
    ///
    /// # Errors
    /// When there is no such level.
    fn set_log_level(&self, level: &str, timeout: Duration) -> Result<(), UnknownLevel>;

    /// Every data plane that is connected, as rows of `/clustering/data-planes`. None when this is no control plane.
    fn data_planes(&self) -> Option<Vec<Value>> {
        None
    }

    /// The value of a key in the cache of entities and credentials, for `/cache/{key}`.
    fn cached(&self, _key: &str) -> Option<Value> {
        None
    }

    /// Forgets what is cached under a key, or everything.
    fn forget(&self, _key: Option<&str>) {}
}

/// Who a node is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Identity {
    /// Product and version, as in the field `Server`, e.g. `tidegate/0.1.0`.
    pub product: String,
    /// The version that clients decide by: the one of Kong whose API this is, e.g. `3.9.1`.
    pub version: String,
    /// Id of the node, kept over restarts.
    pub node_id: Uuid,
    /// Name of the machine.
    pub hostname: String,
    /// Id of the process.
    pub pid: u32,
    /// Every setting, secrets masked as `******`.
    pub configuration: Value,
}

/// What goes on in a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// Bytes of memory in use.
    pub memory: u64,
    /// Bytes of memory of the store of counters and keys.
    pub shared_memory: u64,
    /// Connections that are open.
    pub active: u64,
    /// Connections on which a request is being read.
    pub reading: u64,
    /// Connections on which an answer is being written.
    pub writing: u64,
    /// Connections without a request.
    pub waiting: u64,
    /// Connections that were ever accepted.
    pub accepted: u64,
    /// Connections that were ever handled.
    pub handled: u64,
    /// Requests so far.
    pub requests: u64,
    /// Timers that wait.
    pub pending_timers: u64,
    /// Timers that run.
    pub running_timers: u64,
}

/// A plugin of this build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginOnServer {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its priority: higher runs earlier.
    pub priority: i32,
}

/// How an upstream is.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamHealth {
    /// `HEALTHY` or `UNHEALTHY`: against `healthchecks.threshold`.
    pub balancer: &'static str,
    /// Weights and targets of the balancer, for `?balancer_health=1`.
    pub details: Value,
    /// Its targets.
    pub targets: Vec<TargetHealth>,
}

/// How a target is.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetHealth {
    /// Id of the target.
    pub id: Uuid,
    /// `HEALTHY`, `UNHEALTHY`, `HEALTHCHECKS_OFF` or `DNS_ERROR`.
    pub health: &'static str,
    /// Host, port, weights and addresses.
    pub data: Value,
}

/// Why a health was not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HealthRefusal {
    /// The upstream is not in use.
    #[error("the upstream has no balancer")]
    NoBalancer,
    /// The balancer does not know the target or the address.
    #[error("no such target or address")]
    UnknownTarget,
    /// The upstream has no health checks.
    #[error("the upstream has no health checks")]
    NoHealthcheck,
}

/// There is no level of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such log level")]
pub struct UnknownLevel;
