//! Sizes of the slots in which instances live, and what fits into them.

use super::{Allocation, EngineError, EngineSettings, HeavySettings};
use crate::component::Demand;
use std::num::NonZeroUsize;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Which engine runs a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Many small slots.
    Light,
    /// Few large slots.
    Heavy,
}

/// The slots of one engine.
pub(super) struct Slots {
    /// Components, or modules that are filters, at once.
    max_instances: u32,
    /// Core instances at once; components consist of several.
    max_core_instances: u32,
    max_memories: u32,
    max_tables: u32,
    max_memory_bytes: usize,
    max_table_elements: usize,
    /// Of the engine's own data for one core module, and for one component with all of its modules.
    max_module_data_bytes: usize,
    max_component_data_bytes: usize,
    keep_resident_bytes: usize,
    max_stack_bytes: usize,
}

const LIGHT_TABLE_ELEMENTS: usize = 20_000;
const HEAVY_TABLE_ELEMENTS: usize = 100_000;
/// Modules that a heavy component is made of; a Python runtime is linked from about fifteen.
const HEAVY_CORE_INSTANCES: u32 = 64;
const HEAVY_DATA_BYTES: usize = 8 << 20;
const LIGHT_DATA_BYTES: usize = 1 << 20;

/// What a component may declare to count as light: about a tenth of what the slots could take, for it grows.
const LIGHT: Demand = Demand {
    core_instances: 12,
    memory_bytes: 8 << 20,
    table_elements: 10_000,
    instance_bytes: 512 << 10,
};

const KEEP_RESIDENT_WITH_SCAN: usize = 2 << 20;
const GUARD_BYTES: u64 = 2 << 20;
/// Stack of a fiber beyond the guest's: what host functions need.
const FIBER_STACK_BYTES: usize = 1 << 20;
const MAX_BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(20).expect("20 is not zero");

impl Weight {
    /// The engine for a component, by what it declares.
    pub(crate) const fn of(demand: &Demand) -> Self {
        if demand.is_within(&LIGHT) {
            Self::Light
        } else {
            Self::Heavy
        }
    }

    /// Elements of one table, also after it grew.
    pub(crate) const fn max_table_elements(self) -> usize {
        match self {
            Self::Light => LIGHT_TABLE_ELEMENTS,
            Self::Heavy => HEAVY_TABLE_ELEMENTS,
        }
    }
}

impl HeavySettings {
    /// The first thing of which a component declares more than the largest slots have.
    pub(crate) fn excess(&self, demand: &Demand) -> Option<String> {
        let bounds = [
            (
                "bytes of memory at its start",
                demand.memory_bytes,
                self.max_memory_bytes as u64,
            ),
            (
                "elements in a table",
                demand.table_elements,
                HEAVY_TABLE_ELEMENTS as u64,
            ),
            (
                "core modules",
                u64::from(demand.core_instances),
                u64::from(HEAVY_CORE_INSTANCES),
            ),
            (
                "bytes to describe its functions and globals",
                demand.instance_bytes,
                HEAVY_DATA_BYTES as u64,
            ),
        ];
        let excess = bounds.into_iter().find(|(_, asked, bound)| asked > bound);
        excess.map(|(what, asked, bound)| format!("it asks for {asked} {what}, more than {bound}"))
    }
}

impl Slots {
    pub(super) const fn light(settings: &EngineSettings) -> Self {
        let instances = settings.max_instances;
        Self {
            max_instances: instances,
            max_core_instances: instances,
            max_memories: instances,
            max_tables: instances.saturating_mul(2),
            max_memory_bytes: settings.max_memory_bytes,
            max_table_elements: LIGHT_TABLE_ELEMENTS,
            max_module_data_bytes: LIGHT_DATA_BYTES,
            max_component_data_bytes: LIGHT_DATA_BYTES,
            keep_resident_bytes: settings.keep_resident_bytes,
            max_stack_bytes: settings.max_stack_bytes,
        }
    }

    pub(super) const fn heavy(settings: &HeavySettings) -> Self {
        let instances = settings.max_instances;
        Self {
            max_instances: instances,
            max_core_instances: instances.saturating_mul(HEAVY_CORE_INSTANCES),
            // The runtime's, and that of its adapter to WASI.
            max_memories: instances.saturating_mul(2),
            max_tables: instances.saturating_mul(4),
            max_memory_bytes: settings.max_memory_bytes,
            max_table_elements: HEAVY_TABLE_ELEMENTS,
            max_module_data_bytes: HEAVY_DATA_BYTES,
            max_component_data_bytes: HEAVY_DATA_BYTES,
            keep_resident_bytes: settings.keep_resident_bytes,
            max_stack_bytes: settings.max_stack_bytes,
        }
    }
}

/// An engine with these slots reserved, or one that maps on demand where that is not possible or not wanted.
pub(super) fn engine_of(
    slots: &Slots,
    pooling: bool,
    scans_dirty_pages: bool,
) -> Result<(Engine, Allocation), EngineError> {
    if pooling {
        match engine(slots, pool(slots, scans_dirty_pages)) {
            Ok(engine) => return Ok((engine, Allocation::Pooling { scans_dirty_pages })),
            Err(error) => {
                tracing::warn!(%error, "cannot reserve slots for filters: instances are mapped on demand and cost more");
            }
        }
    }
    let engine = engine(slots, InstanceAllocationStrategy::OnDemand)?;
    Ok((engine, Allocation::OnDemand))
}

fn pool(slots: &Slots, scans_dirty_pages: bool) -> InstanceAllocationStrategy {
    let keep_resident = if scans_dirty_pages {
        slots.keep_resident_bytes.max(KEEP_RESIDENT_WITH_SCAN)
    } else {
        slots.keep_resident_bytes
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots.max_core_instances)
        .total_memories(slots.max_memories)
        .total_tables(slots.max_tables)
        .total_component_instances(slots.max_instances)
        .max_core_instance_size(slots.max_module_data_bytes)
        .max_component_instance_size(slots.max_component_data_bytes)
        .total_stacks(slots.max_instances)
        .max_memories_per_module(1)
        .max_tables_per_module(4)
        .table_elements(slots.max_table_elements)
        .max_memory_size(slots.max_memory_bytes)
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
    InstanceAllocationStrategy::Pooling(pool)
}

fn engine(slots: &Slots, strategy: InstanceAllocationStrategy) -> Result<Engine, EngineError> {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(slots.max_stack_bytes)
        .async_stack_size(slots.max_stack_bytes + FIBER_STACK_BYTES)
        .wasm_backtrace_max_frames(Some(MAX_BACKTRACE_FRAMES))
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .memory_reservation(slots.max_memory_bytes as u64)
        .memory_guard_size(GUARD_BYTES)
        .allocation_strategy(strategy);
    Engine::new(&config).map_err(|error| EngineError(error.to_string()))
}
