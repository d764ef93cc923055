//! The data of a component's store: what its instance has beyond a call.
//!
//! wasmtime's asynchronous calls want it to be `Send`; nothing of a run or of its exchange is in it.

use super::desk;
use crate::engine::Weight;
use crate::failure::Remains;
use crate::generation::Generation;
use crate::limits::Limiter;
use std::collections::VecDeque;
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime::{Trap, UpdateDeadline};

/// Handles that a guest may hold at once.
const MAX_RESOURCES: usize = 1_000;
const LOG_RING: usize = 20;

/// See the module.
pub(crate) struct State {
    pub(super) generation: Arc<Generation>,
    pub(super) limiter: Limiter,
    /// What the guest owns.
    pub(super) table: ResourceTable,
    pub(super) log_lines: u32,
    pub(super) log_ring: VecDeque<String>,
    /// The guest asked to exit.
    pub(super) has_exited: bool,
}

impl State {
    pub(super) fn new(generation: &Arc<Generation>, weight: Weight) -> Self {
        let host = &generation.host;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            limiter: Limiter::for_component(
                weight,
                generation.options.max_memory_bytes,
                Arc::clone(&host.memory_in_use),
                host.limits.max_total_memory_bytes,
            ),
            generation: Arc::clone(generation),
            table,
            log_lines: 0,
            log_ring: VecDeque::new(),
            has_exited: false,
        }
    }

    pub(super) fn remains(&self) -> Remains<'_> {
        Remains {
            has_exited: self.has_exited,
            denied: self.limiter.denied,
            log: &self.log_ring,
        }
    }

    /// One line to the filter's log, within its caps.
    pub(super) fn log(&mut self, level: crate::log::Level, line: &[u8]) {
        let line = crate::log::write(&self.generation, &mut self.log_lines, level, line);
        if let Some(line) = line {
            if self.log_ring.len() == LOG_RING {
                self.log_ring.pop_front();
            }
            self.log_ring.push_back(line);
        }
    }

    pub(super) fn deadline_reached(&self) -> wasmtime::Result<UpdateDeadline> {
        let ticker = &self.generation.host.engine.ticker;
        desk::with(|desk| desk.call.meter.reached_in_stretch(ticker)).unwrap_or(Err(Trap::Interrupt.into()))
    }

    pub(super) fn may(&self, permission: crate::options::Permission) -> bool {
        self.generation.options.permissions.contains(&permission)
    }
}
