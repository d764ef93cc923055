//! One filter with one configuration: everything its instances share, on all workers.

mod circuit;

pub(crate) use circuit::{Circuit, Passage};

use crate::failure::BootError;
use crate::host::data::SharedData;
use crate::host::queues::Mailbox;
use crate::host::{FailureKind, FilterHost};
use crate::module::LoadError;
use crate::options::{FailurePolicy, FilterOptions};
use crate::pool::NoInstance;
use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tidegate_plugin::FilterFault;
use tidegate_plugin::kind::Fault;

/// A generation with its code, bound to the host functions as the attachment grants them.
pub(crate) struct Bound<C> {
    pub(crate) generation: Arc<Generation>,
    pub(crate) code: C,
}

/// What an attachment's instances share, whatever their front end.
pub(crate) struct Generation {
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) configuration: Bytes,
    pub(crate) vm_configuration: Bytes,
    pub(crate) options: FilterOptions,
    pub(crate) host: Arc<FilterHost>,
    pub(crate) vm_id: Arc<str>,
    pub(crate) data: Arc<SharedData>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) circuit: Circuit,
    /// Data under other names than the VM id.
    stores: Mutex<HashMap<Box<str>, Arc<SharedData>>>,
    warned_at: AtomicU64,
    is_retired: AtomicBool,
}

/// Data that one generation may hold beside that of its VM id.
const MAX_STORES: usize = 16;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static RETIREMENTS: AtomicU64 = AtomicU64::new(0);

impl Generation {
    pub(crate) fn new(
        host: &Arc<FilterHost>,
        name: &Arc<str>,
        initial_memory_bytes: u64,
        configuration: Bytes,
        options: FilterOptions,
    ) -> Result<Self, LoadError> {
        if initial_memory_bytes > options.max_memory_bytes as u64 {
            return Err(LoadError::MemoryTooLarge {
                needed: initial_memory_bytes,
                max: options.max_memory_bytes as u64,
            });
        }
        host.count_failures(name, FailureKind::Trap, 0);
        let vm_id: Arc<str> = options
            .vm_id
            .as_deref()
            .map_or_else(|| Arc::clone(name), Arc::from);
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: Arc::clone(name),
            configuration,
            vm_configuration: Bytes::from(options.vm_configuration.clone()),
            data: host.shared_data(&vm_id),
            vm_id,
            options,
            host: Arc::clone(host),
            mailbox: Arc::default(),
            circuit: Circuit::default(),
            stores: Mutex::default(),
            warned_at: AtomicU64::new(0),
            is_retired: AtomicBool::new(false),
        })
    }

    /// Data shared under a name, held as long as this generation lives. `None`: it holds too many.
    pub(crate) fn keep_data(&self, name: &str) -> Option<Arc<SharedData>> {
        let mut stores = self.stores.lock();
        if let Some(data) = stores.get(name) {
            return Some(Arc::clone(data));
        }
        if stores.len() >= MAX_STORES {
            return None;
        }
        let data = self.host.shared_data(name);
        stores.insert(name.into(), Arc::clone(&data));
        Some(data)
    }

    /// At most one warning per second: a filter must not fill the log.
    pub(crate) fn may_warn(&self) -> bool {
        let now = 1 + self.host.started.elapsed().as_secs();
        self.warned_at.swap(now, Ordering::Relaxed) != now
    }

    /// What ends an exchange whose filter fails; `None`: it goes on without the filter.
    pub(crate) fn refusal(
        &self,
        status: StatusCode,
        retry_after: Option<u32>,
        message: &str,
    ) -> Option<Box<FilterFault>> {
        (self.options.failure_policy == FailurePolicy::Closed).then(|| {
            Box::new(FilterFault {
                status,
                retry_after,
                fault: Fault::plugin(format!("filter {}: {message}", self.name)),
            })
        })
    }

    /// Writes down that no instance can be had. What ends the exchange, as [`Generation::refusal`] has it.
    pub(crate) fn without_instance(&self, error: NoInstance) -> Option<Box<FilterFault>> {
        match error {
            NoInstance::Busy(live) => {
                if self.may_warn() {
                    tracing::warn!(filter = &*self.name, live, "all instances of a filter are in use");
                }
                self.refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    None,
                    "all its instances are in use",
                )
            }
            NoInstance::Boot(BootError::NoInstance(reason)) => {
                if self.may_warn() {
                    tracing::warn!(
                        filter = &*self.name,
                        reason,
                        "there is no room for an instance of a filter"
                    );
                }
                self.refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    None,
                    "there is no room for an instance",
                )
            }
            NoInstance::Boot(error) => {
                self.count_failure(FailureKind::Host);
                self.circuit.fail();
                tracing::error!(filter = &*self.name, %error, "a filter cannot be started");
                self.refusal(StatusCode::INTERNAL_SERVER_ERROR, None, "it cannot be started")
            }
        }
    }

    pub(crate) fn count_failure(&self, kind: FailureKind) {
        self.host.count_failures(&self.name, kind, 1);
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
