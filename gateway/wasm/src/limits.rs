//! Bounds that the engine asks about while a guest runs.

use crate::engine::Weight;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::ResourceLimiter;

/// Keeps one instance's memory within its cap, and all of them within the process's budget.
pub(crate) struct Limiter {
    max_memory: usize,
    held: usize,
    total: Arc<AtomicUsize>,
    max_total: usize,
    max_parts: usize,
    max_table_elements: usize,
    pub(crate) denied: u32,
}

/// Instances and tables of the parts that a component is made of.
const MAX_COMPONENT_PARTS: usize = 64;

impl Limiter {
    pub(crate) fn new(max_memory: usize, total: Arc<AtomicUsize>, max_total: usize) -> Self {
        Self {
            max_memory,
            held: 0,
            total,
            max_total,
            max_parts: 1,
            max_table_elements: Weight::Light.max_table_elements(),
            denied: 0,
        }
    }

    /// For a component: several modules, of which one or few have a memory.
    pub(crate) fn for_component(
        weight: Weight,
        max_memory: usize,
        total: Arc<AtomicUsize>,
        max_total: usize,
    ) -> Self {
        let mut limiter = Self::new(max_memory, total, max_total);
        limiter.max_parts = MAX_COMPONENT_PARTS;
        limiter.max_table_elements = weight.max_table_elements();
        limiter
    }

    /// Bytes of memory that the instance has.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        // All memories of a component count together.
        if self.held.saturating_add(more) > self.max_memory {
            self.denied += 1;
            return Ok(false);
        }
        let before = self.total.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.max_total {
            self.total.fetch_sub(more, Ordering::Relaxed);
            self.denied += 1;
            return Ok(false);
        }
        self.held += more;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.max_table_elements)
    }

    fn instances(&self) -> usize {
        self.max_parts
    }

    fn memories(&self) -> usize {
        self.max_parts
    }

    fn tables(&self) -> usize {
        self.max_parts.max(4)
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.total.fetch_sub(self.held, Ordering::Relaxed);
    }
}
