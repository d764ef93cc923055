//! Instances of components in their pools.

use super::instance::Instance;
use super::linker::ComponentCode;
use crate::engine::Pulse;
use crate::failure::BootError;
use crate::generation::Bound;
use crate::pool::{Pools, Vm, Wear};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::LocalKey;

/// A place for an instance; empty while a call has it, and for good when the call ended it.
#[derive(Clone)]
pub(crate) struct ComponentVm(Rc<Cell<Option<Box<Instance>>>>);

impl ComponentVm {
    pub(super) fn take(&self) -> Option<Box<Instance>> {
        self.0.take()
    }

    pub(super) fn put(&self, instance: Box<Instance>) {
        self.0.set(Some(instance));
    }
}

thread_local! {
    static POOLS: RefCell<Pools<ComponentVm>> = RefCell::default();
}

impl Vm for ComponentVm {
    type Code = ComponentCode;
    type Beside = ();

    fn boot(bound: &Arc<Bound<ComponentCode>>, pulse: Rc<Pulse>) -> Result<Self, BootError> {
        let instance = Instance::boot(bound, &pulse)?;
        Ok(Self(Rc::new(Cell::new(Some(Box::new(instance))))))
    }

    fn wear(&self) -> Option<Wear> {
        let instance = self.0.take()?;
        let wear = instance.wear();
        self.0.set(Some(instance));
        Some(wear)
    }

    /// Handles of an exchange end with the call that had them.
    fn clean(&self) {}

    /// A component is not told.
    fn shut_down(&self) {
        drop(self.0.take());
    }

    fn pools() -> &'static LocalKey<RefCell<Pools<Self>>> {
        &POOLS
    }
}
