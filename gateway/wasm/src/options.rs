//! How a filter is attached: what it may use and what happens when it fails.

mod secrets;

pub use secrets::GrantedSecrets;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of an exchange when its filter fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailurePolicy {
    /// It ends with an error.
    #[default]
    Closed,
    /// It goes on without the filter.
    Open,
}

/// Which exchanges share an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// One exchange at a time on each instance; instances are used again.
    #[default]
    Pooled,
    /// One instance per worker for all exchanges.
    Shared,
    /// A fresh instance for each exchange.
    Request,
}

/// What `Pause` from a headers callback means for the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadersPause {
    /// The body waits too.
    #[default]
    StopAll,
    /// Body callbacks run while the head is held, so that it can change after the body was seen.
    BufferBody,
}

/// What lets a paused stream go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// Only the filter's own call, as in Envoy.
    #[default]
    Explicit,
    /// Also the end of the last outstanding call, as in Kong's filter chains.
    Auto,
}

/// How values of properties are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertyEncoding {
    /// Numbers as eight bytes, booleans as one, maps as pairs.
    #[default]
    Envoy,
    /// Everything as text.
    Text,
}

/// What a pointer outside of the guest's memory does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BadPointer {
    /// Ends the instance: its memory is corrupt.
    #[default]
    Trap,
    /// The host call answers `INVALID_MEMORY_ACCESS`.
    Status,
}

/// An interface of components that is withheld unless it is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the interfaces")]
pub enum Permission {
    Kv,
    Outbound,
}

/// Options of one attachment. Every bound is inclusive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterOptions {
    /// See [`FailurePolicy`].
    pub failure_policy: FailurePolicy,
    /// See [`Isolation`].
    pub isolation: Isolation,
    /// Memory of one instance, in bytes.
    pub max_memory_bytes: usize,
    /// CPU time of one callback, in milliseconds.
    pub callback_deadline_ms: u64,
    /// CPU time to start and configure an instance, in milliseconds.
    pub boot_deadline_ms: u64,
    /// How long a stream may stay paused, in milliseconds.
    pub pause_timeout_ms: u64,
    /// How long a finished stream may put off its end, in milliseconds.
    pub done_timeout_ms: u64,
    /// Bytes of a body that a filter may hold back, and of one that it writes, in each direction.
    pub max_body_bytes: usize,
    /// Bytes of one header map.
    pub max_header_bytes: usize,
    /// Entries of one header map.
    pub max_headers: usize,
    /// Calls outstanding at once in one exchange, and as many outside of exchanges.
    pub max_callouts: u32,
    /// Bytes of the answer to a call.
    pub max_callout_response_bytes: usize,
    /// Lines logged in one callback; the rest is counted.
    pub max_log_lines: u32,
    /// Bytes of one log line; the rest is cut.
    pub max_log_line_bytes: usize,
    /// Instances per worker; one more exchange is a failure of the filter.
    pub max_instances_per_worker: usize,
    /// Exchanges after which an instance is replaced.
    pub recycle_requests: u32,
    /// Memory from which an instance is replaced when it is free, in bytes.
    pub recycle_memory_bytes: usize,
    /// Age at which an instance is replaced, in seconds.
    pub recycle_seconds: u64,
    /// Metrics that the filter may define.
    pub max_metrics: usize,
    /// See [`HeadersPause`].
    pub headers_pause: HeadersPause,
    /// See [`Resume`].
    pub resume: Resume,
    /// See [`PropertyEncoding`].
    pub property_encoding: PropertyEncoding,
    /// See [`BadPointer`].
    pub bad_pointer: BadPointer,
    /// Whether a write that can have no effect any more answers `BAD_ARGUMENT`; otherwise it is ignored with a warning.
    pub strict_phases: bool,
    /// Host functions and callbacks that the filter may use; absent: all.
    pub capabilities: Option<BTreeSet<String>>,
    /// What a component may use beyond the exchange; see [`Permission`].
    pub permissions: BTreeSet<Permission>,
    /// Secrets that a component may read. Only an attachment grants them.
    pub secrets: GrantedSecrets,
    /// Targets that it may call; absent: all that the gateway allows.
    pub allowed_hosts: Option<BTreeSet<String>>,
    /// Environment variables that the guest sees.
    pub environment: BTreeMap<String, String>,
    /// Name under which instances share data and queues; absent: the filter's name.
    pub vm_id: Option<String>,
    /// Property `plugin_root_id`.
    pub root_id: String,
    /// Configuration that the guest sees while its VM starts.
    pub vm_configuration: String,
    /// Time between two ticks of a component, in milliseconds; at least 10.
    pub tick_interval_ms: u64,
    /// Whether every worker ticks; otherwise the first alone.
    pub tick_per_worker: bool,
    /// Whether it takes no part in exchanges: it starts, ticks and is told of queues, as Envoy's singleton services do.
    pub background_only: bool,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self {
            failure_policy: FailurePolicy::default(),
            isolation: Isolation::default(),
            max_memory_bytes: 64 << 20,
            callback_deadline_ms: 10,
            boot_deadline_ms: 2_000,
            pause_timeout_ms: 60_000,
            done_timeout_ms: 30_000,
            max_body_bytes: 1 << 20,
            max_header_bytes: 1 << 20,
            max_headers: 1_024,
            max_callouts: 16,
            max_callout_response_bytes: 1 << 20,
            max_log_lines: 100,
            max_log_line_bytes: 8 << 10,
            max_instances_per_worker: 1_024,
            recycle_requests: 10_000,
            recycle_memory_bytes: 32 << 20,
            recycle_seconds: 3_600,
            max_metrics: 1_000,
            headers_pause: HeadersPause::default(),
            resume: Resume::default(),
            property_encoding: PropertyEncoding::default(),
            bad_pointer: BadPointer::default(),
            strict_phases: false,
            capabilities: None,
            permissions: BTreeSet::new(),
            secrets: GrantedSecrets::default(),
            allowed_hosts: None,
            environment: BTreeMap::new(),
            vm_id: None,
            root_id: String::new(),
            vm_configuration: String::new(),
            tick_interval_ms: 1_000,
            tick_per_worker: false,
            background_only: false,
        }
    }
}

impl FilterOptions {
    /// Whether a host function or callback may be used.
    pub(crate) fn grants(&self, capability: &str) -> bool {
        self.capabilities
            .as_ref()
            .is_none_or(|granted| granted.contains(capability))
    }
}
