//! Instances of modules in their pools.

use super::Instance;
use crate::abi::linker::ModuleCode;
use crate::abi::state::NewCall;
use crate::engine::Pulse;
use crate::failure::BootError;
use crate::generation::Bound;
use crate::pool::{NoInstance, Pools, Vm, Wear, WorkerPool};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::LocalKey;
use tidegate_plugin::filter::Hints;

/// An instance that one exchange has, or all of a worker.
pub(crate) type ModuleVm = Rc<RefCell<Instance>>;

/// What a worker keeps for isolation `shared`.
#[derive(Default)]
pub(crate) struct Shared {
    vm: RefCell<Option<ModuleVm>>,
    /// Calls of the shared instance's plugin context.
    pub(crate) root_calls: RefCell<Vec<NewCall>>,
}

thread_local! {
    static POOLS: RefCell<Pools<ModuleVm>> = RefCell::default();
}

impl Vm for ModuleVm {
    type Code = ModuleCode;
    type Beside = Shared;

    fn boot(bound: &Arc<Bound<ModuleCode>>, pulse: Rc<Pulse>) -> Result<Self, BootError> {
        Ok(Self::new(RefCell::new(Instance::boot(bound, pulse)?)))
    }

    fn wear(&self) -> Option<Wear> {
        let mut instance = self.borrow_mut();
        (!instance.is_poisoned).then(|| Wear {
            uses: instance.uses,
            held: instance.state().limiter.held(),
            born: instance.born,
        })
    }

    fn clean(&self) {
        self.borrow_mut().state().calls.clear();
    }

    fn hints(&self, hints: Hints) -> Hints {
        let hints = hints.with(Self::as_ptr(self), size_of::<RefCell<Instance>>());
        match self.try_borrow() {
            Ok(instance) => instance.hints(hints),
            Err(_) => hints,
        }
    }

    fn shut_down(&self) {
        // Streams of a shared instance may hold it.
        if let Ok(mut instance) = self.try_borrow_mut() {
            instance.shut_down();
        }
    }

    fn pools() -> &'static LocalKey<RefCell<Pools<Self>>> {
        &POOLS
    }

    fn shared(pool: &WorkerPool<Self>) -> Result<Self, NoInstance> {
        let mut shared = pool.beside.vm.borrow_mut();
        if let Some(vm) = shared.as_ref()
            && !vm.borrow().is_poisoned
        {
            return Ok(Self::clone(vm));
        }
        // The streams of a failed instance hold it until they notice.
        if shared.take().is_some() {
            pool.count_out();
        }
        let vm = pool.boot()?;
        *shared = Some(Self::clone(&vm));
        Ok(vm)
    }

    fn take_shared(beside: &Shared) -> Option<Self> {
        beside.vm.borrow_mut().take()
    }
}
