//! The compiler and allocator that all filters share, and the clock that interrupts them.

mod ticker;

pub(crate) use ticker::{Pulse, Ticker};

use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Bounds of the engine; they hold for all filters of the process together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Instances that may live at once; each reserves address space, not memory.
    pub max_instances: u32,
    /// Largest memory of one instance, in bytes. A filter's own cap may be lower.
    pub max_memory_bytes: usize,
    /// Bytes of a finished instance's memory that stay resident for the next one.
    pub keep_resident_bytes: usize,
    /// Stack of a guest, in bytes.
    pub max_stack_bytes: usize,
    /// Whether slots are cleaned page by page where the kernel can tell which are dirty (Linux 6.7). Never used while
    /// there is swap: a dirty page that was swapped out would reach the next tenant.
    pub scan_dirty_pages: bool,
    /// Whether to reserve slots ahead; without it every instance maps its own memory.
    pub pooling: bool,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_instances: 4_096,
            max_memory_bytes: 64 << 20,
            keep_resident_bytes: 256 << 10,
            max_stack_bytes: 512 << 10,
            scan_dirty_pages: true,
            pooling: true,
        }
    }
}

/// How instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// From slots reserved at start.
    Pooling {
        /// Whether the kernel is asked which pages are dirty.
        scans_dirty_pages: bool,
    },
    /// Mapped when asked for: the address space could not be reserved.
    OnDemand,
}

/// A wasmtime engine with its ticker.
pub struct FilterEngine {
    pub(crate) engine: Engine,
    pub(crate) ticker: Arc<Ticker>,
    settings: EngineSettings,
    allocation: Allocation,
}

/// The engine cannot be made, e.g. on a processor that the compiler does not know.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the Wasm engine: {0}")]
pub struct EngineError(pub(crate) String);

const KEEP_RESIDENT_WITH_SCAN: usize = 2 << 20;
const GUARD_BYTES: u64 = 2 << 20;
const MAX_TABLE_ELEMENTS: usize = 20_000;
/// Of the engine's own data for one instance of a component.
const MAX_COMPONENT_BYTES: usize = 1 << 20;
/// Stack of a fiber: the guest's, and what host functions need.
const FIBER_STACK_BYTES: usize = 1 << 20;
const MAX_BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(20).expect("20 is not zero");

impl FilterEngine {
    /// Reserves slots, or falls back to mapping on demand with a warning where the address space does not suffice
    /// (strict overcommit, `ulimit -v`).
    ///
    /// # Errors
    /// When neither is possible.
    pub fn new(settings: EngineSettings) -> Result<Self, EngineError> {
        let scans_dirty_pages = settings.scan_dirty_pages && !has_swap();
        let pooled = settings
            .pooling
            .then(|| pooled_engine(&settings, scans_dirty_pages));
        let (engine, allocation) = match pooled {
            Some(Ok(engine)) => (engine, Allocation::Pooling { scans_dirty_pages }),
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot reserve slots for filters: instances are mapped on demand and cost more");
                (on_demand_engine(&settings)?, Allocation::OnDemand)
            }
            None => (on_demand_engine(&settings)?, Allocation::OnDemand),
        };
        let ticker = Ticker::start(&engine)?;
        Ok(Self {
            engine,
            ticker,
            settings,
            allocation,
        })
    }

    /// How instances get their memory.
    #[must_use]
    pub const fn allocation(&self) -> Allocation {
        self.allocation
    }

    /// The bounds it was made with.
    #[must_use]
    pub const fn settings(&self) -> &EngineSettings {
        &self.settings
    }
}

fn pooled_engine(settings: &EngineSettings, scans_dirty_pages: bool) -> Result<Engine, EngineError> {
    let keep_resident = if scans_dirty_pages {
        settings.keep_resident_bytes.max(KEEP_RESIDENT_WITH_SCAN)
    } else {
        settings.keep_resident_bytes
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(settings.max_instances)
        .total_memories(settings.max_instances)
        .total_tables(settings.max_instances.saturating_mul(2))
        .total_component_instances(settings.max_instances)
        .max_component_instance_size(MAX_COMPONENT_BYTES)
        .total_stacks(settings.max_instances)
        .max_memories_per_module(1)
        .max_tables_per_module(4)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_memory_size(settings.max_memory_bytes)
        .max_unused_warm_slots(256)
        .linear_memory_keep_resident(keep_resident)
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(16 << 10)
        .decommit_batch_size(32)
        .pagemap_scan(if scans_dirty_pages {
            Enabled::Auto
        } else {
            Enabled::No
        });
    let mut config = base_config(settings);
    config
        .memory_reservation(settings.max_memory_bytes as u64)
        .memory_guard_size(GUARD_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).map_err(|error| EngineError(error.to_string()))
}

fn on_demand_engine(settings: &EngineSettings) -> Result<Engine, EngineError> {
    let mut config = base_config(settings);
    config
        .memory_reservation(settings.max_memory_bytes as u64)
        .memory_guard_size(GUARD_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| EngineError(error.to_string()))
}

fn base_config(settings: &EngineSettings) -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(settings.max_stack_bytes)
        .async_stack_size(settings.max_stack_bytes + FIBER_STACK_BYTES)
        .wasm_backtrace_max_frames(Some(MAX_BACKTRACE_FRAMES))
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    config
}

fn has_swap() -> bool {
    // The first line is a heading.
    fs::read_to_string("/proc/swaps").map_or(true, |text| text.lines().count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_back_to_mapping_on_demand_when_the_reservation_does_not_fit() {
        let settings = EngineSettings {
            max_instances: 1_000_000,
            max_memory_bytes: 2 << 30,
            ..EngineSettings::default()
        };
        let engine = FilterEngine::new(settings).expect("an engine");
        assert_eq!(engine.allocation(), Allocation::OnDemand);
    }

    #[test]
    fn reserves_slots_by_default() {
        let engine = FilterEngine::new(EngineSettings::default()).expect("an engine");
        assert!(matches!(engine.allocation(), Allocation::Pooling { .. }));
    }
}
