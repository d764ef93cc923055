//! A filter as a kind of plugin.

use crate::abi::instance::{Callback, Instance, ModuleVm};
use crate::abi::linker::{self, ModuleCode};
use crate::background;
use crate::component::{self, ComponentCode, ComponentRun, ComponentVm};
use crate::generation::{Bound, Generation, Passage};
use crate::host::FilterHost;
use crate::meta::FilterMeta;
use crate::module::{Code, FilterModule, LoadError};
use crate::options::{FilterOptions, Resume};
use crate::pool::{Lease, Vm, WorkerPool};
use crate::run::Run;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use tidegate_model::schema::{self, RecordSchema};
use tidegate_plugin::{
    BuildCx, BuildError, Exchange, Filter, FilterFault, FilterNeeds, FilterRun, Kind, Phase, PhaseSet, Plugin,
};

/// A module under its name, to be attached with configurations.
pub struct FilterKind {
    name: &'static str,
    shared_name: Arc<str>,
    host: Arc<FilterHost>,
    module: FilterModule,
    meta: FilterMeta,
    options: FilterOptions,
    schema: OnceLock<&'static RecordSchema>,
}

impl FilterKind {
    /// `options` hold where the filter's metadata says nothing.
    #[must_use]
    pub fn new(
        host: &Arc<FilterHost>,
        name: &str,
        module: FilterModule,
        meta: FilterMeta,
        options: FilterOptions,
    ) -> Self {
        Self {
            name: interned(name),
            shared_name: name.into(),
            host: Arc::clone(host),
            options: meta.options.clone().unwrap_or(options),
            module,
            meta,
            schema: OnceLock::new(),
        }
    }

    /// The module.
    #[must_use]
    pub const fn module(&self) -> &FilterModule {
        &self.module
    }

    /// Its metadata.
    #[must_use]
    pub const fn meta(&self) -> &FilterMeta {
        &self.meta
    }

    /// Options of attachments that set none.
    #[must_use]
    pub const fn options(&self) -> &FilterOptions {
        &self.options
    }

    /// An instance with a configuration as Kong's chains give it: a string as it is, anything else as JSON. Starts one
    /// guest to try it; must not run on a worker.
    ///
    /// # Errors
    /// When the configuration breaks the schema, the module does not link, or the guest refuses it.
    pub fn attach(&self, config: &Value, options: FilterOptions) -> Result<Arc<WasmFilter>, BuildError> {
        if let Some((place, message)) = self.meta.check(config).into_iter().next() {
            return Err(fault(&place, message));
        }
        self.attach_unchecked(config, options)
    }

    /// As [`FilterKind::attach`], for a configuration of any type and no schema, as data planes take it.
    ///
    /// # Errors
    /// When the module does not link, or the guest refuses the configuration.
    pub fn attach_unchecked(
        &self,
        config: &Value,
        options: FilterOptions,
    ) -> Result<Arc<WasmFilter>, BuildError> {
        let configuration = match config {
            Value::Null => Bytes::new(),
            Value::String(text) => Bytes::copy_from_slice(text.as_bytes()),
            other => Bytes::from(other.to_string()),
        };
        let refuse = |error: LoadError| fault("", error.to_string());
        let generation = Generation::new(
            &self.host,
            &self.shared_name,
            self.module.initial_memory_bytes,
            configuration,
            options,
        )
        .map_err(refuse)?;
        let generation = Arc::new(generation);
        self.host.metrics.label_by(&self.shared_name, self.meta.labels());
        let pulse = self.host.engine.ticker.pulse();
        let front = match &self.module.code {
            Code::Module(core) => {
                let code = linker::link(&self.host.linker, core, &generation.options).map_err(refuse)?;
                if !code.unknown_imports.is_empty() {
                    tracing::warn!(
                        filter = self.name,
                        imports = code.unknown_imports.join(", "),
                        "a filter imports functions that nobody knows: calling them fails"
                    );
                }
                let generation = Arc::clone(&generation);
                let bound = Arc::new(Bound { generation, code });
                let canary = Instance::boot(&bound, pulse);
                canary
                    .map(|mut canary| canary.shut_down())
                    .map_err(|error| fault("", error.to_string()))?;
                Front::Module(bound)
            }
            Code::Component(component) => {
                let code = ComponentCode::link(&generation, component).map_err(refuse)?;
                let generation = Arc::clone(&generation);
                let bound = Arc::new(Bound { generation, code });
                ComponentVm::boot(&bound, pulse).map_err(|error| fault("", error.to_string()))?;
                Front::Component(bound)
            }
        };
        Ok(Arc::new(WasmFilter { generation, front }))
    }
}

/// `/a/0` below the configuration.
fn fault(place: &str, message: String) -> BuildError {
    BuildError {
        path: format!("config{}", place.replace('/', ".")),
        message,
    }
}

/// Members of an attachment's options that say which module it is; who finds the modules has judged them.
const WHICH_MODULE: [&str; 2] = ["module", "sha256"];

/// Options with those of an attachment in their place.
pub(crate) fn overlaid(options: &FilterOptions, own: Option<&Value>) -> Result<FilterOptions, BuildError> {
    let refusal = |message: String| BuildError {
        path: "tidegate".to_owned(),
        message,
    };
    let own = match own {
        None | Some(Value::Null) => return Ok(options.clone()),
        Some(Value::Object(own)) => own,
        Some(_) => return Err(refusal("expected a record".to_owned())),
    };
    let mut merged = serde_json::to_value(options).map_err(|error| refusal(error.to_string()))?;
    if let Value::Object(merged) = &mut merged {
        let own = own
            .iter()
            .filter(|(name, _)| !WHICH_MODULE.contains(&name.as_str()));
        merged.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    }
    serde_json::from_value(merged).map_err(|error| refusal(error.to_string()))
}

/// Names live as long as the process: a filter that is loaded again has the same one.
fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    name
}

impl Kind for FilterKind {
    fn name(&self) -> &'static str {
        self.name
    }

    /// Kong runs filters after all plugins.
    fn priority(&self) -> i32 {
        0
    }

    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access, Phase::HeaderFilter, Phase::BodyFilter, Phase::Log])
    }

    /// The members that the JSON Schema names, of any type: the schema itself is applied when an instance is built.
    fn schema(&self) -> &'static RecordSchema {
        self.schema.get_or_init(|| {
            let properties = self
                .meta
                .config_schema()
                .and_then(|schema| schema.get("properties"));
            let names = properties
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|members| members.keys());
            let fields = names
                .map(|name| schema::any().referenceable().named(interned(name), ""))
                .collect();
            Box::leak(Box::new(RecordSchema {
                fields,
                ..RecordSchema::default()
            }))
        })
    }

    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let options = overlaid(&self.options, cx.entity.tidegate.as_ref())?;
        let config = match config {
            Value::Object(members) if members.is_empty() && self.takes_any_config() => Value::Null,
            // Members that were left out stand in a plugin's record as null.
            Value::Object(members) => {
                let set = members.iter().filter(|(_, value)| !value.is_null());
                Value::Object(set.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            other => other.clone(),
        };
        let filter = self.attach(&config, options)?;
        Ok(filter)
    }

    /// Without a schema it is a string, as in Kong.
    fn takes_any_config(&self) -> bool {
        self.meta.config_schema().is_none()
    }

    fn is_filter(&self) -> bool {
        true
    }

    /// Filters of Kong's chains expect to go on when their last call has ended, unless their metadata has options.
    fn build_for_chain(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let mut options = self.options.clone();
        if self.meta.options.is_none() {
            options.resume = Resume::Auto;
        }
        let options = overlaid(&options, cx.entity.tidegate.as_ref())?;
        let filter = self.attach(config, options)?;
        Ok(filter)
    }
}

/// A filter with a configuration, in service as long as a snapshot holds it.
pub struct WasmFilter {
    generation: Arc<Generation>,
    front: Front,
}

/// Its code, by front end.
enum Front {
    Module(Arc<Bound<ModuleCode>>),
    Component(Arc<Bound<ComponentCode>>),
}

impl WasmFilter {
    /// The filter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.generation.name
    }

    /// Its options.
    #[must_use]
    pub fn options(&self) -> &FilterOptions {
        &self.generation.options
    }

    /// Whether it failed so often that it is out of service.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        self.generation.circuit.is_tripped()
    }

    /// Instances on the calling worker.
    #[must_use]
    pub fn live_instances(&self) -> usize {
        match &self.front {
            Front::Module(bound) => WorkerPool::<ModuleVm>::of(bound).live(),
            Front::Component(bound) => WorkerPool::<ComponentVm>::of(bound).live(),
        }
    }

    /// An instance; `None`: the exchange goes on without the filter.
    fn lease<V: Vm>(&self, bound: &Arc<Bound<V::Code>>) -> Result<Option<Lease<V>>, Box<FilterFault>> {
        let lease = WorkerPool::<V>::of(bound).lease();
        lease.map(Some).or_else(|error| {
            let refusal = self.generation.without_instance(error);
            refusal.map_or(Ok(None), Err)
        })
    }
}

impl Drop for WasmFilter {
    fn drop(&mut self) {
        self.generation.retire();
    }
}

impl Plugin for WasmFilter {
    fn filter(self: Arc<Self>) -> Option<Arc<dyn Filter>> {
        Some(self)
    }
}

impl Filter for WasmFilter {
    fn needs(&self) -> FilterNeeds {
        if self.generation.options.background_only {
            return FilterNeeds::default();
        }
        match &self.front {
            Front::Module(bound) => {
                let has = |callback: Callback| {
                    bound.code.has(callback) && self.generation.options.grants(callback.name())
                };
                FilterNeeds {
                    request_body: has(Callback::RequestBody),
                    request_trailers: has(Callback::RequestTrailers),
                    response_body: has(Callback::ResponseBody),
                    response_trailers: has(Callback::ResponseTrailers),
                    end: has(Callback::Done) || has(Callback::Log) || has(Callback::Delete),
                }
            }
            Front::Component(bound) => bound.code.phases().needs(),
        }
    }

    fn prepare(&self) {
        if let Front::Module(bound) = &self.front {
            WorkerPool::<ModuleVm>::of(bound).prepare();
        }
    }

    fn start(&self, x: &mut Exchange) -> Result<Option<Box<dyn FilterRun>>, Box<FilterFault>> {
        if self.generation.options.background_only {
            return Ok(None);
        }
        if let Passage::Tripped(pause) = self.generation.circuit.ask() {
            let seconds = u32::try_from(pause.as_secs())
                .unwrap_or(u32::MAX)
                .saturating_add(1);
            let refusal = self.generation.refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                Some(seconds),
                "it is out of service",
            );
            return refusal.map_or(Ok(None), Err);
        }
        match &self.front {
            Front::Module(bound) => {
                let Some(lease) = self.lease(bound)? else {
                    return Ok(None);
                };
                match Run::start(lease, x) {
                    Ok(run) => Ok(Some(Box::new(run))),
                    Err(refusal) => refusal.map_or(Ok(None), Err),
                }
            }
            // It takes its instances when its callbacks run.
            Front::Component(bound) => Ok(Some(Box::new(ComponentRun::start(bound)))),
        }
    }

    fn background(self: Arc<Self>, worker: usize) -> Option<LocalBoxFuture<'static, ()>> {
        match &self.front {
            Front::Module(bound) => {
                let driven = background::drive(Arc::clone(bound), worker);
                // The filter is held for as long: it retires when it is dropped.
                Some(Box::pin(async move {
                    driven.await;
                    drop(self);
                }))
            }
            Front::Component(bound) => {
                let driven = component::background::drive(Arc::clone(bound), worker);
                Some(Box::pin(async move {
                    driven.await;
                    drop(self);
                }))
            }
        }
    }
}
