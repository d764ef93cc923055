//! A worker's instances of one filter.
//!
//! Instances belong to the thread that made them; nothing here is shared. An instance that is used serves one exchange
//! (`pooled`, `request`) or all of the worker's (`shared`). The one used last is used next: its memory is in the caches.

use crate::engine::Pulse;
use crate::failure::BootError;
use crate::generation::{Bound, Generation, retirements};
use crate::options::Isolation;
use futures_util::future::LocalBoxFuture;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::LocalKey;
use std::time::{Duration, Instant};
use tidegate_plugin::filter::Hints;

/// A front end's instance, as pools keep it.
pub(crate) trait Vm: Clone + 'static {
    /// What a generation is bound to.
    type Code: 'static;
    /// What a worker keeps beside its instances.
    type Beside: Default;

    fn boot(bound: &Arc<Bound<Self::Code>>, pulse: Rc<Pulse>) -> Result<Self, BootError>;
    /// `None`: it failed, or it is gone.
    fn wear(&self) -> Option<Wear>;
    /// What the last exchange left behind goes.
    fn clean(&self);
    /// Adds what the next call will touch.
    fn hints(&self, hints: Hints) -> Hints {
        hints
    }
    /// The guest is told that it ends, as far as it can be.
    fn shut_down(&self);
    /// All pools of this thread.
    fn pools() -> &'static LocalKey<RefCell<Pools<Self>>>;

    /// The instance of all exchanges, with isolation `shared`.
    fn shared(pool: &WorkerPool<Self>) -> Result<Self, NoInstance> {
        pool.boot()
    }
    /// Takes it away.
    fn take_shared(_beside: &Self::Beside) -> Option<Self> {
        None
    }
}

/// By id of their generation.
pub(crate) type Pools<V> = HashMap<u64, Rc<WorkerPool<V>>, foldhash::fast::RandomState>;

/// How much an instance was used.
pub(crate) struct Wear {
    /// Exchanges, or callbacks.
    pub(crate) uses: u32,
    /// Bytes of memory.
    pub(crate) held: usize,
    pub(crate) born: Instant,
}

/// Instances of one generation on one worker.
pub(crate) struct WorkerPool<V: Vm> {
    bound: Arc<Bound<V::Code>>,
    pulse: Rc<Pulse>,
    free: RefCell<Vec<V>>,
    live: Cell<usize>,
    pub(crate) beside: V::Beside,
    /// What goes on after its exchange ended.
    lingering: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    waker: RefCell<Option<Waker>>,
}

const USES_PER_LOOK_AT_AGE: u32 = 16;

/// A hold on an instance, given back when dropped.
pub(crate) struct Lease<V: Vm> {
    pool: Rc<WorkerPool<V>>,
    vm: V,
}

/// Why there is no instance.
pub(crate) enum NoInstance {
    /// As many as the worker may have are in use.
    Busy(usize),
    Boot(BootError),
}

thread_local! {
    static SEEN_RETIREMENTS: Cell<u64> = const { Cell::new(0) };
}

impl<V: Vm> WorkerPool<V> {
    /// This worker's pool for a generation.
    pub(crate) fn of(bound: &Arc<Bound<V::Code>>) -> Rc<Self> {
        sweep();
        V::pools().with_borrow_mut(|pools| {
            let pool = pools.entry(bound.generation.id).or_insert_with(|| {
                Rc::new(Self {
                    bound: Arc::clone(bound),
                    pulse: bound.generation.host.engine.ticker.pulse(),
                    free: RefCell::default(),
                    live: Cell::new(0),
                    beside: V::Beside::default(),
                    lingering: RefCell::default(),
                    waker: RefCell::default(),
                })
            });
            Rc::clone(pool)
        })
    }

    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.bound.generation
    }

    pub(crate) const fn pulse(&self) -> &Rc<Pulse> {
        &self.pulse
    }

    /// An instance for one exchange.
    pub(crate) fn lease(self: &Rc<Self>) -> Result<Lease<V>, NoInstance> {
        let vm = match self.generation().options.isolation {
            Isolation::Shared => V::shared(self)?,
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

    /// Fetches the instance that [`WorkerPool::lease`] will give.
    pub(crate) fn prepare(&self) {
        if let Some(vm) = self.free.borrow().last() {
            vm.hints(Hints::default()).fetch();
        }
    }

    pub(crate) fn boot(&self) -> Result<V, NoInstance> {
        let live = self.live.get();
        if live >= self.generation().options.max_instances_per_worker {
            return Err(NoInstance::Busy(live));
        }
        let vm = V::boot(&self.bound, Rc::clone(&self.pulse)).map_err(NoInstance::Boot)?;
        self.live.set(live + 1);
        Ok(vm)
    }

    /// An instance is gone.
    pub(crate) fn count_out(&self) {
        self.live.set(self.live.get().saturating_sub(1));
    }

    fn give_back(&self, vm: V) {
        let options = &self.generation().options;
        if options.isolation == Isolation::Shared {
            return;
        }
        let is_fit = options.isolation == Isolation::Pooled
            && !self.generation().is_retired()
            && vm.wear().is_some_and(|wear| {
                // The clock costs more than the rest: it is looked at now and then.
                let is_young = || wear.born.elapsed() < Duration::from_secs(options.recycle_seconds);
                wear.uses < options.recycle_requests
                    && wear.held <= options.recycle_memory_bytes
                    && (wear.uses % USES_PER_LOOK_AT_AGE != 0 || is_young())
            });
        if is_fit {
            vm.clean();
            self.free.borrow_mut().push(vm);
        } else {
            vm.shut_down();
            self.count_out();
        }
    }

    /// Hands something over to the filter's background future.
    pub(crate) fn linger(&self, lingering: impl Future<Output = ()> + 'static) {
        self.lingering.borrow_mut().push(Box::pin(lingering));
        self.wake();
    }

    /// How much was handed over and has not ended.
    pub(crate) fn lingering(&self) -> usize {
        self.lingering.borrow().len()
    }

    pub(crate) fn poll_lingering(&self, cx: &mut Context<'_>) {
        self.set_waker(cx.waker());
        // Taken out: an instance that ends may hand over more.
        let mut all = std::mem::take(&mut *self.lingering.borrow_mut());
        all.retain_mut(|lingering| matches!(lingering.as_mut().poll(cx), Poll::Pending));
        self.lingering.borrow_mut().append(&mut all);
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
        for vm in free.into_iter().chain(V::take_shared(&self.beside)) {
            self.count_out();
            vm.shut_down();
        }
    }
}

impl<V: Vm> Lease<V> {
    pub(crate) const fn vm(&self) -> &V {
        &self.vm
    }

    pub(crate) const fn pool(&self) -> &Rc<WorkerPool<V>> {
        &self.pool
    }
}

impl<V: Vm> Drop for Lease<V> {
    fn drop(&mut self) {
        self.pool.give_back(self.vm.clone());
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
    sweep_of::<crate::abi::instance::ModuleVm>();
    sweep_of::<crate::component::ComponentVm>();
}

fn sweep_of<V: Vm>() {
    let retired: Vec<_> = V::pools().with_borrow_mut(|pools| {
        pools
            .extract_if(|_, pool| pool.generation().is_retired())
            .map(|(_, pool)| pool)
            .collect()
    });
    // Outside of the borrow: guests run.
    for pool in retired {
        pool.empty();
    }
}
