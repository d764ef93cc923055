//! The compilers and allocators that all filters share, and the clock that interrupts them.
//!
//! Slots of one engine are all of a size. Most filters want little, and many of them at once; the runtimes of scripting
//! languages want much, and few are alive. Hence there are two engines; the second is made when the first heavy component
//! comes.

mod slots;
mod ticker;

pub(crate) use slots::Weight;
pub(crate) use ticker::{Pulse, Ticker};

use slots::{Slots, engine_of};
use std::fs;
use std::sync::{Arc, OnceLock};
use wasmtime::Engine;

/// Bounds of the engines; they hold for all filters of the process together.
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
    /// Bounds of components that bring a language's runtime with them.
    pub heavy: HeavySettings,
    /// Whether slots are cleaned page by page where the kernel can tell which are dirty (Linux 6.7). Never used while
    /// there is swap: a dirty page that was swapped out would reach the next tenant.
    pub scan_dirty_pages: bool,
    /// Whether to reserve slots ahead; without it every instance maps its own memory.
    pub pooling: bool,
}

/// Bounds of the second engine, for components that are too large for the slots of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeavySettings {
    /// Instances that may live at once.
    pub max_instances: u32,
    /// Largest memory of one instance, in bytes. A filter's own cap may be lower.
    pub max_memory_bytes: usize,
    /// Bytes of a finished instance's memory that stay resident for the next one.
    pub keep_resident_bytes: usize,
    /// Stack of a guest, in bytes: interpreters nest deeply.
    pub max_stack_bytes: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_instances: 4_096,
            max_memory_bytes: 64 << 20,
            keep_resident_bytes: 256 << 10,
            max_stack_bytes: 512 << 10,
            heavy: HeavySettings::default(),
            scan_dirty_pages: true,
            pooling: true,
        }
    }
}

impl Default for HeavySettings {
    fn default() -> Self {
        Self {
            max_instances: 128,
            max_memory_bytes: 256 << 20,
            keep_resident_bytes: 1 << 20,
            max_stack_bytes: 1 << 20,
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

/// Both engines, with the ticker that they share.
pub struct FilterEngine {
    /// For modules, and for components that want as little.
    pub(crate) engine: Engine,
    pub(crate) ticker: Arc<Ticker>,
    heavy: OnceLock<Result<Engine, EngineError>>,
    settings: EngineSettings,
    allocation: Allocation,
    scans_dirty_pages: bool,
}

/// The engine cannot be made, e.g. on a processor that the compiler does not know.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot set up the Wasm engine: {0}")]
pub struct EngineError(pub(crate) String);

impl FilterEngine {
    /// Reserves slots, or falls back to mapping on demand with a warning where the address space does not suffice
    /// (strict overcommit, `ulimit -v`).
    ///
    /// # Errors
    /// When neither is possible.
    pub fn new(settings: EngineSettings) -> Result<Self, EngineError> {
        let scans_dirty_pages = settings.scan_dirty_pages && !has_swap();
        let (engine, allocation) = engine_of(&Slots::light(&settings), settings.pooling, scans_dirty_pages)?;
        let ticker = Ticker::start(&engine)?;
        Ok(Self {
            engine,
            ticker,
            heavy: OnceLock::new(),
            settings,
            allocation,
            scans_dirty_pages,
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

    /// The engine for a weight; the heavy one is made when it is asked for first.
    pub(crate) fn of(&self, weight: Weight) -> Result<&Engine, EngineError> {
        match weight {
            Weight::Light => Ok(&self.engine),
            Weight::Heavy => self
                .heavy
                .get_or_init(|| {
                    let slots = Slots::heavy(&self.settings.heavy);
                    let (engine, _) = engine_of(&slots, self.settings.pooling, self.scans_dirty_pages)?;
                    self.ticker.drive(&engine);
                    Ok(engine)
                })
                .as_ref()
                .map_err(Clone::clone),
        }
    }
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

    #[test]
    fn the_heavy_engine_is_made_once_and_only_when_it_is_asked_for() {
        let engine = FilterEngine::new(EngineSettings::default()).expect("an engine");
        assert!(engine.heavy.get().is_none());
        let heavy = engine.of(Weight::Heavy).expect("an engine");
        assert!(Engine::same(heavy, engine.of(Weight::Heavy).expect("an engine")));
        assert!(!Engine::same(heavy, &engine.engine));
    }
}
