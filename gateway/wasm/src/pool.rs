//! A worker's instances of one filter.
//!
//! Instances belong to the thread that made them; nothing here is shared. An instance that is used serves one exchange
//! (`pooled`, `request`) or all of the worker's (`shared`). The one used last is used next: its memory is in the caches.

use crate::abi::instance::{BootError, Failure, Instance};
use crate::abi::state::NewCall;
use crate::background::Lingering;
use crate::engine::Pulse;
use crate::generation::{Generation, retirements};
use crate::options::Isolation;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

pub(crate) type Vm = Rc<RefCell<Instance>>;

/// Instances of one generation on one worker.
pub(crate) struct WorkerPool {
    generation: Arc<Generation>,
    pulse: Rc<Pulse>,
    free: RefCell<Vec<Vm>>,
    shared: RefCell<Option<Vm>>,
    live: Cell<usize>,
    /// What goes on after its exchange ended.
    pub(crate) lingering: RefCell<Vec<Lingering>>,
    /// Calls of the shared instance's plugin context.
    pub(crate) root_calls: RefCell<Vec<NewCall>>,
    waker: RefCell<Option<Waker>>,
}

/// A hold on an instance, given back when dropped.
pub(crate) struct Lease {
    pool: Rc<WorkerPool>,
    vm: Vm,
}

/// Why there is no instance.
pub(crate) enum NoInstance {
    /// As many as the worker may have are in use.
    Busy(usize),
    Boot(BootError),
}

thread_local! {
    static POOLS: RefCell<HashMap<u64, Rc<WorkerPool>, foldhash::fast::RandomState>> = RefCell::default();
    static SEEN_RETIREMENTS: Cell<u64> = const { Cell::new(0) };
}

impl WorkerPool {
    /// This worker's pool for a generation.
    pub(crate) fn of(generation: &Arc<Generation>) -> Rc<Self> {
        sweep();
        POOLS.with_borrow_mut(|pools| {
            let pool = pools.entry(generation.id).or_insert_with(|| {
                Rc::new(Self {
                    generation: Arc::clone(generation),
                    pulse: generation.host.engine.ticker.pulse(),
                    free: RefCell::default(),
                    shared: RefCell::default(),
                    live: Cell::new(0),
                    lingering: RefCell::default(),
                    root_calls: RefCell::default(),
                    waker: RefCell::default(),
                })
            });
            Rc::clone(pool)
        })
    }

    pub(crate) const fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// An instance for one exchange.
    pub(crate) fn lease(self: &Rc<Self>) -> Result<Lease, NoInstance> {
        let vm = match self.generation.options.isolation {
            Isolation::Shared => self.shared_instance()?,
            Isolation::Pooled => match self.free.borrow_mut().pop() {
                Some(vm) => vm,
                None => self.boot()?,
            },
            Isolation::Request => self.boot()?,
        };
        Ok(Lease {
            pool: Rc::clone(self),
            vm,
        })
    }

    fn shared_instance(self: &Rc<Self>) -> Result<Vm, NoInstance> {
        let mut shared = self.shared.borrow_mut();
        if let Some(vm) = shared.as_ref()
            && !vm.borrow().is_poisoned
        {
            return Ok(Rc::clone(vm));
        }
        // The streams of a failed instance hold it until they notice.
        if shared.take().is_some() {
            self.live.set(self.live.get().saturating_sub(1));
        }
        let vm = self.boot()?;
        *shared = Some(Rc::clone(&vm));
        Ok(vm)
    }

    fn boot(&self) -> Result<Vm, NoInstance> {
        let live = self.live.get();
        if live >= self.generation.options.max_instances_per_worker {
            return Err(NoInstance::Busy(live));
        }
        let instance = Instance::boot(&self.generation, Rc::clone(&self.pulse)).map_err(NoInstance::Boot)?;
        self.live.set(live + 1);
        Ok(Rc::new(RefCell::new(instance)))
    }

    fn give_back(&self, vm: Vm) {
        let options = &self.generation.options;
        if options.isolation == Isolation::Shared {
            return;
        }
        let keeps = {
            let mut instance = vm.borrow_mut();
            let is_fit = options.isolation == Isolation::Pooled
                && !instance.is_poisoned
                && !self.generation.is_retired()
                && instance.uses < options.recycle_requests
                && instance.state().limiter.held() <= options.recycle_memory_bytes
                && instance.born.elapsed() < Duration::from_secs(options.recycle_seconds);
            if is_fit {
                instance.state().calls.clear();
            } else {
                instance.shut_down();
            }
            is_fit
        };
        if keeps {
            self.free.borrow_mut().push(vm);
        } else {
            self.live.set(self.live.get().saturating_sub(1));
        }
    }

    /// Hands something over to the filter's background future.
    pub(crate) fn linger(&self, lingering: Lingering) {
        self.lingering.borrow_mut().push(lingering);
        self.wake();
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        let mut own = self.waker.borrow_mut();
        if !own.as_ref().is_some_and(|own| own.will_wake(waker)) {
            *own = Some(waker.clone());
        }
    }

    /// Instances that exist on this worker.
    pub(crate) fn live(&self) -> usize {
        self.live.get()
    }

    fn empty(&self) {
        let free = std::mem::take(&mut *self.free.borrow_mut());
        let shared = self.shared.borrow_mut().take();
        for vm in free.into_iter().chain(shared) {
            self.live.set(self.live.get().saturating_sub(1));
            if let Ok(mut instance) = vm.try_borrow_mut() {
                instance.shut_down();
            }
        }
    }
}

impl Lease {
    pub(crate) fn vm(&self) -> &Vm {
        &self.vm
    }

    pub(crate) fn pool(&self) -> &Rc<WorkerPool> {
        &self.pool
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.give_back(Rc::clone(&self.vm));
    }
}

/// Frees this thread's idle instances of filters that no snapshot holds any more. Runs by itself whenever a filter is
/// used; a worker may call it when it takes up a new snapshot.
pub fn sweep() {
    let now = retirements();
    if SEEN_RETIREMENTS.get() == now {
        return;
    }
    SEEN_RETIREMENTS.set(now);
    let retired: Vec<_> = POOLS.with_borrow_mut(|pools| {
        pools
            .extract_if(|_, pool| pool.generation.is_retired())
            .map(|(_, pool)| pool)
            .collect()
    });
    // Outside of the borrow: guests run.
    for pool in retired {
        pool.empty();
    }
}

/// Writes a failure down: log, counters, the list for operators, the circuit.
pub(crate) fn note_failure(vm: &mut Instance, failure: Failure, request_id: Option<String>) {
    let generation = Arc::clone(&vm.generation);
    generation.count_failure(failure.kind);
    let has_tripped = generation.circuit.fail();
    tracing::error!(
        filter = &*generation.name,
        callback = failure.callback.name(),
        kind = failure.kind.as_str(),
        request_id,
        report = failure.report,
        "a filter failed"
    );
    if has_tripped {
        tracing::error!(
            filter = &*generation.name,
            "a filter is out of service: it failed too often"
        );
    }
    let record = failure.record(vm.state(), request_id);
    generation.host.note_failure(record);
}
