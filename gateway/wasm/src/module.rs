//! Takes a file for a filter, or says why it is none.

mod sections;

use crate::abi::linker;
use crate::artefacts::{self, Artefact, ArtefactCache, ModuleDigest, Origin};
use crate::component::{Demand, FilterComponent};
use crate::engine::{FilterEngine, Weight};
use sections::Findings;
use wasmtime::component::Component;
use wasmtime::{Engine, ExternType, FuncType, Module, ModuleExport, ValType};

/// What a filter speaks with its host: a version of the proxy-wasm ABI that a module declares, or of the component package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the versions")]
pub enum AbiVersion {
    V0_1_0,
    V0_2_0,
    V0_2_1,
    Component0_1,
}

impl AbiVersion {
    /// `0.2.1`, or `tidegate:filter@0.1.0`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_2_1 => "0.2.1",
            Self::Component0_1 => "tidegate:filter@0.1.0",
        }
    }
}

/// A module or component that is fit to be a filter, compiled.
pub struct FilterModule {
    pub(crate) code: Code,
    /// Digest of its bytes.
    pub digest: ModuleDigest,
    /// Length of its bytes.
    pub size: usize,
    /// The ABI that it speaks.
    pub abi: AbiVersion,
    /// Whether it was compiled by rustc: its SDK takes fewer statuses for granted.
    pub is_rust: bool,
    /// Imports that no host function answers, as `module.name`.
    pub unknown_imports: Vec<String>,
    /// Callbacks that it exports; a component's phases.
    pub callbacks: Vec<&'static str>,
    /// Bytes of memory that an instance has at its start.
    pub initial_memory_bytes: u64,
    /// Whether it is a component that brings a language's runtime, for which there are fewer and larger slots.
    pub is_heavy: bool,
    /// Where its compiled form came from.
    pub origin: Origin,
}

/// Compiled code, by front end.
pub(crate) enum Code {
    Module(Box<CoreModule>),
    Component(FilterComponent),
}

/// A proxy-wasm module.
pub(crate) struct CoreModule {
    pub(crate) module: Module,
    /// Callbacks, but for those that do nothing.
    pub(crate) exports: [Option<ModuleExport>; CALLBACKS.len()],
    pub(crate) abi: AbiVersion,
    pub(crate) is_rust: bool,
}

/// What the first eight bytes tell.
enum Preamble {
    Module,
    Component,
}

/// Why a file is not a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum LoadError {
    #[error("the module has {size} bytes, more than the {max} allowed")]
    TooLarge { size: usize, max: usize },
    #[error("not a WebAssembly module: it does not begin with `\\0asm`")]
    NotWasm,
    #[error("the component exports no `tidegate:filter/lifecycle@0.1.0`: it is not a filter")]
    NoLifecycle,
    #[error("the component exports no phase of `tidegate:filter@0.1.0`; it has to take part in at least one")]
    NoPhase,
    #[error("the component imports {0}, which this gateway does not offer")]
    UnknownImports(String),
    #[error("the component does not fit `tidegate:filter@0.1.0`: {0}")]
    World(String),
    #[error("the component fits into no slot of this gateway: {0}")]
    NoEngine(String),
    #[error("WebAssembly version {0} is not supported, only 1")]
    Version(u32),
    #[error("the module is broken: {0}")]
    Broken(String),
    #[error(
        "this is a command: it exports `_start` and no proxy-wasm ABI marker; build the filter as a library (cdylib, reactor)"
    )]
    Command,
    #[error("`{0}` marks an ABI that this gateway does not speak; known are 0.1.0, 0.2.0 and 0.2.1")]
    ForeignAbi(String),
    #[error("missing or unknown ABI version: the module exports no `proxy_abi_version_*` function")]
    NoAbi,
    #[error("the module does not export its memory as `memory`")]
    NoMemory,
    #[error("the module's memory is {0}; a single 32-bit, unshared memory is expected")]
    Memory(&'static str),
    #[error("the module needs {needed} bytes of memory at its start, more than the {max} allowed")]
    MemoryTooLarge { needed: u64, max: u64 },
    #[error(
        "the module exports no allocator (`proxy_on_memory_allocate` or `malloc`), yet imports `{0}`, which returns data"
    )]
    NoAllocator(String),
    #[error("the export `{name}` has the type {found}; {expected} is expected")]
    ExportType {
        name: String,
        found: String,
        expected: String,
    },
    #[error("the import `{name}` has the type {found}; {expected} is expected")]
    ImportType {
        name: String,
        found: String,
        expected: String,
    },
    #[error("the import `{0}` is a {1}; only functions can be imported")]
    ImportKind(String, &'static str),
    #[error("the filter cannot be started: {0}")]
    Start(String),
}

/// What a module must keep within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleLimits {
    /// Bytes of the module itself.
    pub max_module_bytes: usize,
    /// Bytes of memory at its start.
    pub max_memory_bytes: u64,
}

impl Default for ModuleLimits {
    fn default() -> Self {
        Self {
            max_module_bytes: 64 << 20,
            max_memory_bytes: 64 << 20,
        }
    }
}

/// Every callback with the number of its `i32` parameters (a second number where versions differ) and of its results.
pub(crate) const CALLBACKS: [(&str, &[usize], usize); 24] = [
    ("proxy_on_context_create", &[2], 0),
    ("proxy_on_vm_start", &[2], 1),
    ("proxy_validate_configuration", &[2], 1),
    ("proxy_on_configure", &[2], 1),
    ("proxy_on_tick", &[1], 0),
    ("proxy_on_queue_ready", &[2], 0),
    ("proxy_on_foreign_function", &[3], 0),
    ("proxy_on_request_headers", &[2, 3], 1),
    ("proxy_on_request_body", &[3], 1),
    ("proxy_on_request_trailers", &[2], 1),
    ("proxy_on_request_metadata", &[2], 1),
    ("proxy_on_response_headers", &[2, 3], 1),
    ("proxy_on_response_body", &[3], 1),
    ("proxy_on_response_trailers", &[2], 1),
    ("proxy_on_response_metadata", &[2], 1),
    ("proxy_on_http_call_response", &[5], 0),
    ("proxy_on_grpc_receive_initial_metadata", &[3], 0),
    ("proxy_on_grpc_receive", &[3], 0),
    ("proxy_on_grpc_receive_trailing_metadata", &[3], 0),
    ("proxy_on_grpc_close", &[3], 0),
    ("proxy_on_done", &[1], 1),
    ("proxy_on_log", &[1], 0),
    ("proxy_on_delete", &[1], 0),
    ("proxy_on_memory_allocate", &[1], 1),
];

impl FilterModule {
    /// Checks and compiles a module, through the cache when there is one.
    ///
    /// # Errors
    /// The reason for which it cannot be a filter.
    pub fn load(
        engine: &FilterEngine,
        cache: Option<&ArtefactCache>,
        wasm: &[u8],
        limits: ModuleLimits,
    ) -> Result<Self, LoadError> {
        let digest = artefacts::digest(wasm);
        match check_preamble(wasm, limits)? {
            Preamble::Module => Self::load_module(engine, cache, (wasm, digest), limits),
            Preamble::Component => Self::load_component(engine, cache, (wasm, digest)),
        }
    }

    fn load_module(
        engine: &FilterEngine,
        cache: Option<&ArtefactCache>,
        (wasm, digest): (&[u8], ModuleDigest),
        limits: ModuleLimits,
    ) -> Result<Self, LoadError> {
        let (module, origin) =
            compiled::<Module>(&engine.engine, cache, (wasm, digest)).map_err(LoadError::Broken)?;
        let abi = abi_version(&module)?;
        let initial_memory_bytes = check_memory(&module, limits)?;
        check_imports(&module)?;
        let callbacks = check_callbacks(&module)?;
        check_allocator(&module)?;
        let findings = Findings::of(wasm);
        let is_rust = findings.is_made_by_rustc;
        Ok(Self {
            digest,
            size: wasm.len(),
            abi,
            is_rust,
            unknown_imports: linker::unknown(&module),
            callbacks,
            initial_memory_bytes,
            is_heavy: false,
            origin,
            code: Code::Module(Box::new(CoreModule {
                exports: called(&module, &findings),
                module,
                abi,
                is_rust,
            })),
        })
    }

    fn load_component(
        engine: &FilterEngine,
        cache: Option<&ArtefactCache>,
        (wasm, digest): (&[u8], ModuleDigest),
    ) -> Result<Self, LoadError> {
        let demand = Demand::of(wasm).map_err(|error| LoadError::Broken(error.to_string()))?;
        let (component, origin, weight) = fitting(engine, cache, (wasm, digest), &demand)?;
        let component = FilterComponent::check(component, weight)?;
        Ok(Self {
            digest,
            size: wasm.len(),
            abi: AbiVersion::Component0_1,
            is_rust: false,
            unknown_imports: Vec::new(),
            callbacks: component.phases.names().collect(),
            initial_memory_bytes: component.initial_memory_bytes(),
            is_heavy: weight == Weight::Heavy,
            origin,
            code: Code::Component(component),
        })
    }

    /// Every import as `module.name`, with whether the host has a function for it.
    pub fn imports(&self) -> impl Iterator<Item = (String, bool)> {
        let imports: Vec<_> = match &self.code {
            Code::Module(core) => {
                let imports = core.module.imports().map(|import| {
                    let (module, name) = (import.module(), import.name());
                    (format!("{module}.{name}"), linker::knows(module, name))
                });
                imports.collect()
            }
            Code::Component(component) => component.imports().map(|name| (name, true)).collect(),
        };
        imports.into_iter()
    }

    /// Names of all exports.
    pub fn exports(&self) -> impl Iterator<Item = String> {
        let exports: Vec<_> = match &self.code {
            Code::Module(core) => core
                .module
                .exports()
                .map(|export| export.name().to_owned())
                .collect(),
            Code::Component(component) => component.exports().collect(),
        };
        exports.into_iter()
    }
}

fn compiled<A: Artefact>(
    engine: &Engine,
    cache: Option<&ArtefactCache>,
    (wasm, digest): (&[u8], ModuleDigest),
) -> Result<(A, Origin), String> {
    match cache {
        Some(cache) => cache.artefact(engine, wasm, &digest),
        None => A::compile(engine, wasm).map(|code| (code, Origin::Compiled)),
    }
}

/// A component, compiled for the engine into whose slots it fits. What it declares tells mostly; an engine that knows it
/// better when it has compiled it has the last word.
fn fitting(
    engine: &FilterEngine,
    cache: Option<&ArtefactCache>,
    (wasm, digest): (&[u8], ModuleDigest),
    demand: &Demand,
) -> Result<(Component, Origin, Weight), LoadError> {
    if Weight::of(demand) == Weight::Light
        && let Ok((component, origin)) = compiled(&engine.engine, cache, (wasm, digest))
    {
        return Ok((component, origin, Weight::Light));
    }
    if let Some(excess) = engine.settings().heavy.excess(demand) {
        return Err(LoadError::NoEngine(excess));
    }
    let heavy = engine
        .of(Weight::Heavy)
        .map_err(|error| LoadError::Start(error.to_string()))?;
    let (component, origin) = compiled(heavy, cache, (wasm, digest)).map_err(LoadError::Broken)?;
    Ok((component, origin, Weight::Heavy))
}

fn check_preamble(wasm: &[u8], limits: ModuleLimits) -> Result<Preamble, LoadError> {
    if wasm.len() > limits.max_module_bytes {
        return Err(LoadError::TooLarge {
            size: wasm.len(),
            max: limits.max_module_bytes,
        });
    }
    let Some(([b'\0', b'a', b's', b'm'], rest)) = wasm.split_first_chunk::<4>() else {
        return Err(LoadError::NotWasm);
    };
    match rest.first_chunk::<4>() {
        Some([1, 0, 0, 0]) => Ok(Preamble::Module),
        Some([13, 0, 1, 0]) => Ok(Preamble::Component),
        Some(version) => Err(LoadError::Version(u32::from_le_bytes(*version))),
        None => Err(LoadError::Broken(
            "it ends within its first eight bytes".to_owned(),
        )),
    }
}

fn abi_version(module: &Module) -> Result<AbiVersion, LoadError> {
    let mut known = None;
    let mut foreign = None;
    for export in module.exports().filter(|export| export.ty().func().is_some()) {
        let version = match export.name() {
            "proxy_abi_version_0_1_0" => AbiVersion::V0_1_0,
            "proxy_abi_version_0_2_0" => AbiVersion::V0_2_0,
            "proxy_abi_version_0_2_1" => AbiVersion::V0_2_1,
            name if name.starts_with("proxy_abi_") => {
                foreign = Some(name.to_owned());
                continue;
            }
            _ => continue,
        };
        known = known.max(Some(version));
    }
    match (known, foreign) {
        (Some(version), _) => Ok(version),
        (None, Some(name)) => Err(LoadError::ForeignAbi(name)),
        (None, None) if module.get_export("_start").is_some() => Err(LoadError::Command),
        (None, None) => Err(LoadError::NoAbi),
    }
}

fn check_memory(module: &Module, limits: ModuleLimits) -> Result<u64, LoadError> {
    let Some(ExternType::Memory(memory)) = module.get_export("memory") else {
        return Err(LoadError::NoMemory);
    };
    if memory.is_64() {
        return Err(LoadError::Memory("64-bit"));
    }
    if memory.is_shared() {
        return Err(LoadError::Memory("shared"));
    }
    let needed = memory.minimum().saturating_mul(memory.page_size());
    if needed > limits.max_memory_bytes {
        return Err(LoadError::MemoryTooLarge {
            needed,
            max: limits.max_memory_bytes,
        });
    }
    Ok(needed)
}

fn check_imports(module: &Module) -> Result<(), LoadError> {
    for import in module.imports() {
        let kind = match import.ty() {
            ExternType::Func(_) => continue,
            ExternType::Memory(_) => "memory",
            ExternType::Table(_) => "table",
            ExternType::Global(_) => "global",
            ExternType::Tag(_) => "tag",
        };
        return Err(LoadError::ImportKind(
            format!("{}.{}", import.module(), import.name()),
            kind,
        ));
    }
    Ok(())
}

fn check_callbacks(module: &Module) -> Result<Vec<&'static str>, LoadError> {
    let mut found = Vec::new();
    for (name, arities, results) in CALLBACKS {
        let Some(export) = module.get_export(name) else {
            continue;
        };
        let is_right = export.func().is_some_and(|ty| {
            is_plain(ty) && arities.contains(&ty.params().len()) && ty.results().len() == results
        });
        if !is_right {
            let arity = arities
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(" or ");
            return Err(LoadError::ExportType {
                name: name.to_owned(),
                found: describe(&export),
                expected: format!("a function of {arity} i32 with {results} results"),
            });
        }
        found.push(name);
    }
    Ok(found)
}

/// The callbacks that are worth a call.
fn called(module: &Module, findings: &Findings) -> [Option<ModuleExport>; CALLBACKS.len()] {
    let mut quiet = findings.is_quiet.into_iter();
    CALLBACKS.map(|(name, ..)| {
        let is_quiet = quiet.next().unwrap_or(false);
        module.get_export_index(name).filter(|_| !is_quiet)
    })
}

fn check_allocator(module: &Module) -> Result<(), LoadError> {
    let has_allocator = ["proxy_on_memory_allocate", "malloc"].iter().any(|name| {
        module.get_export(name).is_some_and(|export| {
            export
                .func()
                .is_some_and(|ty| is_plain(ty) && ty.params().len() == 1 && ty.results().len() == 1)
        })
    });
    if has_allocator {
        return Ok(());
    }
    const RETURNS_DATA: [&str; 10] = [
        "proxy_get_configuration",
        "proxy_get_buffer_bytes",
        "proxy_get_header_map_pairs",
        "proxy_get_header_map_value",
        "proxy_get_property",
        "proxy_get_status",
        "proxy_get_shared_data",
        "proxy_dequeue_shared_queue",
        "proxy_call_foreign_function",
        "proxy_resolve_shared_queue_name",
    ];
    let wants_data = module
        .imports()
        .find(|import| import.module() == "env" && RETURNS_DATA.contains(&import.name()))
        .map(|import| import.name().to_owned());
    wants_data.map_or(Ok(()), |import| Err(LoadError::NoAllocator(import)))
}

fn is_plain(ty: &FuncType) -> bool {
    let is_i32 = |ty: ValType| matches!(ty, ValType::I32);
    ty.params().all(is_i32) && ty.results().all(is_i32)
}

/// A type in words, for refusals.
pub(crate) fn describe(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => ty.to_string(),
        ExternType::Memory(_) => "memory".to_owned(),
        ExternType::Table(_) => "table".to_owned(),
        ExternType::Global(_) => "global".to_owned(),
        ExternType::Tag(_) => "tag".to_owned(),
    }
}

#[cfg(test)]
mod tests;
