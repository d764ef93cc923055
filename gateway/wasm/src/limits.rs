//! Bounds that the engine asks about while a guest runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::ResourceLimiter;

/// Keeps one instance's memory within its cap, and all of them within the process's budget.
pub(crate) struct Limiter {
    max_memory: usize,
    held: usize,
    total: Arc<AtomicUsize>,
    max_total: usize,
    pub(crate) denied: u32,
}

const MAX_TABLE_ELEMENTS: usize = 20_000;

impl Limiter {
    pub(crate) fn new(max_memory: usize, total: Arc<AtomicUsize>, max_total: usize) -> Self {
        Self {
            max_memory,
            held: 0,
            total,
            max_total,
            denied: 0,
        }
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
        if desired > self.max_memory {
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
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        4
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.total.fetch_sub(self.held, Ordering::Relaxed);
    }
}
