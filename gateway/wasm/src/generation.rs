//! One filter with one configuration: everything its instances share, on all workers.

mod circuit;

pub(crate) use circuit::{Circuit, Passage};

use crate::abi::linker;
use crate::abi::state::State;
use crate::host::data::SharedData;
use crate::host::queues::Mailbox;
use crate::host::{FailureKind, FilterHost};
use crate::module::{FilterModule, LoadError};
use crate::options::FilterOptions;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use wasmtime::InstancePre;

/// A module that is bound to the host functions as an attachment grants them.
pub(crate) struct Generation {
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) module: Arc<FilterModule>,
    pub(crate) linked: InstancePre<State>,
    pub(crate) configuration: Bytes,
    pub(crate) vm_configuration: Bytes,
    pub(crate) options: FilterOptions,
    pub(crate) host: Arc<FilterHost>,
    pub(crate) vm_id: Arc<str>,
    pub(crate) data: Arc<SharedData>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) circuit: Circuit,
    failures: [AtomicU64; FailureKind::ALL.len()],
    warned_at: AtomicU64,
    is_retired: AtomicBool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static RETIREMENTS: AtomicU64 = AtomicU64::new(0);

impl Generation {
    pub(crate) fn new(
        host: &Arc<FilterHost>,
        name: &Arc<str>,
        module: &FilterModule,
        configuration: Bytes,
        options: FilterOptions,
    ) -> Result<Self, LoadError> {
        if module.initial_memory_bytes > options.max_memory_bytes as u64 {
            return Err(LoadError::MemoryTooLarge {
                needed: module.initial_memory_bytes,
                max: options.max_memory_bytes as u64,
            });
        }
        let mut module = module.share();
        let linked = linker::link(&host.linker, &mut module, &options)?;
        let vm_id: Arc<str> = options
            .vm_id
            .as_deref()
            .map_or_else(|| Arc::clone(name), Arc::from);
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: Arc::clone(name),
            module: Arc::new(module),
            linked,
            configuration,
            vm_configuration: Bytes::from(options.vm_configuration.clone()),
            data: host.shared_data(&vm_id),
            vm_id,
            options,
            host: Arc::clone(host),
            mailbox: Arc::default(),
            circuit: Circuit::default(),
            failures: Default::default(),
            warned_at: AtomicU64::new(0),
            is_retired: AtomicBool::new(false),
        })
    }

    /// At most one warning per second: a filter must not fill the log.
    pub(crate) fn may_warn(&self) -> bool {
        let now = 1 + self.host.started.elapsed().as_secs();
        self.warned_at.swap(now, Ordering::Relaxed) != now
    }

    pub(crate) fn count_failure(&self, kind: FailureKind) {
        if let Some(count) = self.failures.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn failures(&self) -> impl Iterator<Item = (FailureKind, u64)> {
        FailureKind::ALL
            .into_iter()
            .zip(&self.failures)
            .map(|(kind, count)| (kind, count.load(Ordering::Relaxed)))
    }

    /// Nobody will begin an exchange with it any more: free instances go.
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
        RETIREMENTS.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Acquire)
    }
}

/// Generations that were retired since the start; workers look whether it moved.
pub(crate) fn retirements() -> u64 {
    RETIREMENTS.load(Ordering::Acquire)
}
