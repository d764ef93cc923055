//! What all filters of the process share.

pub(crate) mod data;
pub(crate) mod metrics;
pub(crate) mod queues;

use crate::abi::linker;
use crate::abi::state::State;
use crate::component;
use crate::engine::{EngineError, FilterEngine, Weight};
use data::SharedData;
use metrics::MetricTable;
pub use metrics::{Count, Labels, MetricKind, MetricValue, Observed};
use parking_lot::Mutex;
use queues::Queues;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;
use tidegate_plugin::services::Services;
use wasmtime::{Engine, Linker};

/// Bounds that hold for all filters together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Memory of all instances, in bytes.
    pub max_total_memory_bytes: usize,
    /// Shared data under one VM id, in bytes; the least recently used goes first.
    pub max_shared_data_bytes: usize,
    /// Items in one shared queue.
    pub max_queue_items: usize,
    /// Bytes in one shared queue.
    pub max_queue_bytes: usize,
    /// Shared queues.
    pub max_queues: usize,
    /// Failures that are remembered.
    pub max_failures_kept: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            max_total_memory_bytes: 2 << 30,
            max_shared_data_bytes: 16 << 20,
            max_queue_items: 10_000,
            max_queue_bytes: 16 << 20,
            max_queues: 1_000,
            max_failures_kept: 32,
        }
    }
}

/// Engine, services and state that outlives requests and reloads. One per process.
pub struct FilterHost {
    pub(crate) engine: FilterEngine,
    pub(crate) services: Arc<Services>,
    pub(crate) limits: HostLimits,
    pub(crate) queues: Queues,
    pub(crate) metrics: MetricTable,
    pub(crate) memory_in_use: Arc<AtomicUsize>,
    pub(crate) totals: Totals,
    pub(crate) linker: Linker<State>,
    component_linker: component::BaseLinker,
    heavy_linker: OnceLock<Result<component::BaseLinker, EngineError>>,
    pub(crate) started: Instant,
    data: Mutex<HashMap<Box<str>, Weak<SharedData>>>,
    failures: Mutex<VecDeque<FailureRecord>>,
    /// Of each filter that was in service since the start, by kind.
    failure_counts: Mutex<BTreeMap<Arc<str>, FailureCounts>>,
}

/// Failures by kind, in the order of [`FailureKind::ALL`].
type FailureCounts = [u64; FailureKind::ALL.len()];

/// Counts over the life of the process.
#[derive(Debug, Default)]
pub struct Totals {
    /// Guest instances that were started.
    pub instances_booted: Count,
    /// Stream contexts created in guests.
    pub streams_created: Count,
    /// Stream contexts that ended: deleted by the guest, or gone with its instance.
    pub streams_ended: Count,
    /// Failures of guests.
    pub traps: Count,
    /// Growths of memory that were denied.
    pub memory_denied: Count,
    /// Log lines beyond the cap.
    pub log_lines_dropped: Count,
}

/// A failure of a guest, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRecord {
    /// The filter.
    pub filter: Arc<str>,
    /// The callback that failed.
    pub callback: &'static str,
    /// What kind: `trap`, `deadline`, `memory`, `stack`, `exit`, `host`.
    pub kind: FailureKind,
    /// What happened, with the names of the functions on the stack.
    pub report: String,
    /// Milliseconds since the Unix epoch.
    pub at_millis: u64,
    /// Id of the request, if it was one's.
    pub request_id: Option<String>,
    /// The guest's last log lines.
    pub log: Vec<String>,
}

/// Kinds of failures, as metrics name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of metrics")]
pub enum FailureKind {
    Trap,
    Deadline,
    Memory,
    Stack,
    Exit,
    Host,
    Timeout,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Trap,
        Self::Deadline,
        Self::Memory,
        Self::Stack,
        Self::Exit,
        Self::Host,
        Self::Timeout,
    ];

    /// Label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Exit => "exit",
            Self::Host => "host",
            Self::Timeout => "timeout",
        }
    }
}

impl FilterHost {
    /// A host over an engine.
    ///
    /// # Errors
    /// When the engine does not take the host functions.
    pub fn new(
        engine: FilterEngine,
        services: Arc<Services>,
        limits: HostLimits,
    ) -> Result<Arc<Self>, EngineError> {
        let linker = linker::base(&engine.engine).map_err(|error| EngineError(error.to_string()))?;
        let component_linker = component_linker(&engine.engine)?;
        Ok(Arc::new(Self {
            linker,
            component_linker,
            heavy_linker: OnceLock::new(),
            started: Instant::now(),
            engine,
            services,
            limits,
            queues: Queues::new(limits),
            metrics: MetricTable::default(),
            memory_in_use: Arc::default(),
            totals: Totals::default(),
            data: Mutex::default(),
            failures: Mutex::default(),
            failure_counts: Mutex::default(),
        }))
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &FilterEngine {
        &self.engine
    }

    /// The host functions for components on the engine of a weight.
    pub(crate) fn component_linker(&self, weight: Weight) -> Result<&component::BaseLinker, EngineError> {
        match weight {
            Weight::Light => Ok(&self.component_linker),
            Weight::Heavy => self
                .heavy_linker
                .get_or_init(|| component_linker(self.engine.of(weight)?))
                .as_ref()
                .map_err(Clone::clone),
        }
    }

    /// Counts since the start.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Bytes of memory that instances hold now.
    #[must_use]
    pub fn memory_in_use(&self) -> usize {
        self.memory_in_use.load(Ordering::Relaxed)
    }

    /// Metrics that filters defined, with their values.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricValue> {
        self.metrics.values()
    }

    /// The last failures, oldest first.
    #[must_use]
    pub fn failures(&self) -> Vec<FailureRecord> {
        self.failures.lock().iter().cloned().collect()
    }

    /// Failures since the start by filter and kind, of all filters that were in service.
    #[must_use]
    pub fn failure_counts(&self) -> Vec<(Arc<str>, FailureKind, u64)> {
        let counts = self.failure_counts.lock();
        let counts = counts.iter().flat_map(|(filter, counts)| {
            let kinds = FailureKind::ALL.into_iter().zip(counts);
            kinds.map(|(kind, count)| (Arc::clone(filter), kind, *count))
        });
        counts.collect()
    }

    /// Counts failures of a filter; with 0 it is only made known.
    pub(crate) fn count_failures(&self, filter: &Arc<str>, kind: FailureKind, more: u64) {
        let mut counts = self.failure_counts.lock();
        let counts = counts.entry(Arc::clone(filter)).or_default();
        if let Some(count) = counts.get_mut(kind as usize) {
            *count += more;
        }
    }

    pub(crate) fn note_failure(&self, record: FailureRecord) {
        self.totals.traps.add(1);
        let mut failures = self.failures.lock();
        while failures.len() >= self.limits.max_failures_kept.max(1) {
            failures.pop_front();
        }
        failures.push_back(record);
    }

    /// Data shared under a VM id; lives as long as somebody holds it.
    pub(crate) fn shared_data(&self, vm_id: &str) -> Arc<SharedData> {
        let mut all = self.data.lock();
        all.retain(|_, data| data.strong_count() > 0);
        if let Some(data) = all.get(vm_id).and_then(Weak::upgrade) {
            return data;
        }
        let data = Arc::new(SharedData::new(self.limits.max_shared_data_bytes));
        all.insert(vm_id.into(), Arc::downgrade(&data));
        data
    }
}

fn component_linker(engine: &Engine) -> Result<component::BaseLinker, EngineError> {
    component::base_linker(engine).map_err(|error| EngineError(error.to_string()))
}
