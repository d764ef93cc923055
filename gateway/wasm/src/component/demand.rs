//! What a component asks of an engine's slots, as far as its declarations tell, before anything is compiled.

use wasmparser::{BinaryReaderError, Element, ElementItems, Instance, Parser, Payload};

/// See the module. Of several parts the largest counts where an engine bounds each, the sum where it bounds all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Core modules that are instantiated.
    pub(crate) core_instances: u32,
    /// Bytes of the largest memory at the start.
    pub(crate) memory_bytes: u64,
    /// Elements of the largest table at the start.
    pub(crate) table_elements: u64,
    /// Bytes that the engine itself needs to describe an instance, about.
    pub(crate) instance_bytes: u64,
}

const PAGE_BYTES: u64 = 64 << 10;
/// Of what the engine keeps for each function that can be referred to, for each that is imported, and for each global.
const FUNCTION_BYTES: u64 = 32;
const IMPORT_BYTES: u64 = 32;
const GLOBAL_BYTES: u64 = 16;

impl Demand {
    /// Adds up the declarations of all core modules, however deep they are nested.
    ///
    /// # Errors
    /// When the binary cannot be read.
    pub(crate) fn of(wasm: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut demand = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            demand.add(payload?)?;
        }
        Ok(demand)
    }

    /// Whether it asks for no more than another of anything.
    pub(crate) const fn is_within(&self, bound: &Self) -> bool {
        self.core_instances <= bound.core_instances
            && self.memory_bytes <= bound.memory_bytes
            && self.table_elements <= bound.table_elements
            && self.instance_bytes <= bound.instance_bytes
    }

    fn add(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    let is_made = matches!(instance?, Instance::Instantiate { .. });
                    self.core_instances = self.core_instances.saturating_add(u32::from(is_made));
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory?;
                    let page = memory
                        .page_size_log2
                        .map_or(PAGE_BYTES, |log2| 1_u64.checked_shl(log2).unwrap_or(u64::MAX));
                    self.memory_bytes = self.memory_bytes.max(memory.initial.saturating_mul(page));
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    self.table_elements = self.table_elements.max(table?.ty.initial);
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements {
                    self.describe(referred(&element?), FUNCTION_BYTES);
                }
            }
            Payload::ExportSection(exports) => self.describe(exports.count(), FUNCTION_BYTES),
            Payload::GlobalSection(globals) => self.describe(globals.count(), GLOBAL_BYTES),
            Payload::ImportSection(imports) => self.describe(imports.count(), IMPORT_BYTES),
            _ => {}
        }
        Ok(())
    }

    fn describe(&mut self, count: u32, each: u64) {
        self.instance_bytes = self
            .instance_bytes
            .saturating_add(u64::from(count).saturating_mul(each));
    }
}

fn referred(element: &Element<'_>) -> u32 {
    match &element.items {
        ElementItems::Functions(functions) => functions.count(),
        ElementItems::Expressions(_, expressions) => expressions.count(),
    }
}
