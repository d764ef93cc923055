//! Takes a component for a filter, or says why it is none, and binds it to the host functions.

use super::bindings::{World, exports};
use super::phases::{Phase, Phases};
use super::state::State;
use super::wasi;
use crate::engine::Weight;
use crate::generation::Generation;
use crate::module::LoadError;
use crate::options::Isolation;
use std::sync::Arc;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};

/// Host functions that do not depend on the component.
pub(crate) type BaseLinker = Linker<State>;

/// A component that is a filter.
pub(crate) struct FilterComponent {
    component: Component,
    pub(crate) weight: Weight,
    pub(crate) phases: Phases,
}

/// A component that is bound to the host functions.
pub(crate) struct ComponentCode {
    pre: InstancePre<State>,
    phases: Phases,
    weight: Weight,
}

/// Functions of an instance.
pub(super) struct Exports {
    pub(super) request: Option<exports::request_filter::Guest>,
    pub(super) request_body: Option<exports::request_body_filter::Guest>,
    pub(super) response: Option<exports::response_filter::Guest>,
    pub(super) response_body: Option<exports::response_body_filter::Guest>,
    pub(super) log: Option<exports::log_filter::Guest>,
    pub(super) background: Option<exports::background::Guest>,
}

/// Of a memory.
const PAGE_BYTES: u64 = 64 << 10;
const PACKAGE: &str = "tidegate:filter/";
/// Interfaces of the package that are offered.
const INTERFACES: [&str; 7] = [
    "types", "exchange", "logging", "metrics", "kv", "outbound", "secrets",
];

/// The functions that every component may import.
pub(crate) fn base(engine: &Engine) -> wasmtime::Result<BaseLinker> {
    let mut linker = Linker::new(engine);
    World::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// The interface of a name in this package, whatever its version is.
fn interface(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(PACKAGE)?;
    let (interface, version) = rest.split_once('@')?;
    (version == "0.1.0" || version.starts_with("0.1.")).then_some(interface)
}

fn is_known(import: &str) -> bool {
    interface(import).is_some_and(|interface| INTERFACES.contains(&interface)) || wasi::knows(import)
}

impl FilterComponent {
    pub(crate) fn check(component: Component, weight: Weight) -> Result<Self, LoadError> {
        let engine = component.engine().clone();
        let ty = component.component_type();
        let unknown: Vec<_> = ty
            .imports(&engine)
            .map(|(name, _)| name)
            .filter(|name| !is_known(name))
            .map(|name| format!("`{name}`"))
            .collect();
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown.join(", ")));
        }
        let exported: Vec<_> = ty
            .exports(&engine)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentInstance(_)))
            .filter_map(|(name, _)| interface(name))
            .collect();
        if !exported.contains(&"lifecycle") {
            return Err(LoadError::NoLifecycle);
        }
        let phases = Phases::of(|interface| exported.contains(&interface));
        if phases.is_empty() {
            return Err(LoadError::NoPhase);
        }
        let filter = Self {
            phases,
            component,
            weight,
        };
        // Types are checked here, so that a component of another world is refused when it is loaded.
        let linker = base(&engine).map_err(|error| LoadError::Start(format!("{error:#}")))?;
        filter.bind(&linker)?;
        Ok(filter)
    }

    /// Names of its imports.
    pub(crate) fn imports(&self) -> impl Iterator<Item = String> {
        let ty = self.component.component_type();
        let names: Vec<_> = ty
            .imports(self.component.engine())
            .map(|(name, _)| name.to_owned())
            .collect();
        names.into_iter()
    }

    /// Names of its exports.
    pub(crate) fn exports(&self) -> impl Iterator<Item = String> {
        let ty = self.component.component_type();
        let names: Vec<_> = ty
            .exports(self.component.engine())
            .map(|(name, _)| name.to_owned())
            .collect();
        names.into_iter()
    }

    /// Bytes of memory that an instance has at its start.
    pub(crate) fn initial_memory_bytes(&self) -> u64 {
        let resources = self.component.resources_required();
        let pages = resources.and_then(|resources| resources.max_initial_memory_size);
        pages.unwrap_or(0).saturating_mul(PAGE_BYTES)
    }

    fn bind(&self, base: &BaseLinker) -> Result<InstancePre<State>, LoadError> {
        let world = |error: wasmtime::Error| LoadError::World(format!("{error:#}"));
        let mut linker = base.clone();
        wasi::define(&mut linker, &self.component).map_err(world)?;
        let pre = linker.instantiate_pre(&self.component).map_err(world)?;
        exports::lifecycle::GuestIndices::new(&pre).map_err(world)?;
        Ok(pre)
    }
}

impl ComponentCode {
    pub(crate) fn link(generation: &Arc<Generation>, filter: &FilterComponent) -> Result<Self, LoadError> {
        if generation.options.isolation == Isolation::Shared {
            return Err(LoadError::Start(
                "isolation `shared` is for proxy-wasm modules; a component serves one callback at a time"
                    .to_owned(),
            ));
        }
        let linker = generation.host.component_linker(filter.weight);
        Ok(Self {
            pre: filter.bind(linker.map_err(|error| LoadError::Start(error.to_string()))?)?,
            phases: filter.phases,
            weight: filter.weight,
        })
    }

    pub(crate) const fn phases(&self) -> Phases {
        self.phases
    }

    pub(super) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    pub(super) const fn weight(&self) -> Weight {
        self.weight
    }

    /// Instantiates and configures; the inner error is the guest's own refusal.
    pub(super) async fn boot(
        &self,
        store: &mut Store<State>,
        configuration: &str,
    ) -> wasmtime::Result<Result<Exports, String>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let lifecycle = exports::lifecycle::GuestIndices::new(&self.pre)?.load(&mut *store, &instance)?;
        if let Err(refusal) = lifecycle.call_configure(&mut *store, configuration).await? {
            return Ok(Err(refusal));
        }
        self.exports(store, &instance).map(Ok)
    }

    fn exports(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Exports> {
        macro_rules! find {
            ($phase:ident, $interface:ident) => {
                if self.phases.has(Phase::$phase) {
                    let indices = exports::$interface::GuestIndices::new(&self.pre)?;
                    Some(indices.load(&mut *store, instance)?)
                } else {
                    None
                }
            };
        }
        Ok(Exports {
            request: find!(Request, request_filter),
            request_body: find!(RequestBody, request_body_filter),
            response: find!(Response, response_filter),
            response_body: find!(ResponseBody, response_body_filter),
            log: find!(Log, log_filter),
            background: find!(Tick, background),
        })
    }
}
