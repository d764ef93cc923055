//! From a declarative file to a snapshot: load, resolve references, plan.

use crate::certificates;
use crate::entity_store;
use crate::filter_library::FilterLibrary;
use crate::live_entities::LiveEntities;
use anyhow::{Context, Result};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use tidegate_config::declarative::{
    self, Inspection, Limits, LoadOptions, PluginSchema, PluginSchemas, PluginScopes, Source,
};
use tidegate_config::settings::Settings;
use tidegate_config::vault::{Environment, Secrets, Warning, may_refer, resolve_references};
use tidegate_model::entities::EntitySet;
use tidegate_model::schema::{Context as ModelContext, RouterFlavor};
use tidegate_plan::{PlanFault, PlanInput, Snapshot, keep_times, plan};
use tidegate_plugin::services::Services;
use tidegate_plugin::{Kind, Registry};
use tidegate_router::Flavor;
use tidegate_wasm::AbsentFilters;

/// Knows how this process reads configurations.
pub struct Configuration {
    settings: Arc<Settings>,
    /// Without filters.
    plugins: Registry,
    services: Arc<Services>,
    library: Mutex<Option<Arc<FilterLibrary>>>,
    /// Plugins and filters as they were when a configuration was compiled last.
    latest: Mutex<Arc<Registry>>,
    /// References that led nowhere when the last configuration was compiled.
    told: Mutex<Vec<String>>,
}

/// A configuration that passed every check.
pub struct Compiled {
    /// Ready to serve.
    pub snapshot: Arc<Snapshot>,
    /// What it was made from, references resolved.
    pub entities: Arc<EntitySet>,
    /// The same with vault references as they are written.
    pub(crate) written: Arc<EntitySet>,
    /// MD5 of the text in hex, as Kong reports it; 32 zeros without a configuration.
    pub content_hash: String,
}

/// Whether the files of filters are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filters {
    /// They are: at the start, when somebody asks, when one of them changed.
    ReadAgain,
    /// An edit of an entity has nothing to do with them.
    AsTheyWere,
}

/// A declarative text with its name.
pub struct SourceText {
    /// Where it comes from; tells YAML from JSON by its ending.
    pub name: String,
    /// The text.
    pub bytes: Vec<u8>,
}

/// Hash that stands for no configuration.
pub const NO_CONFIGURATION: &str = "00000000000000000000000000000000";

impl Configuration {
    /// With the built-in plugins.
    ///
    /// # Errors
    /// When the setting `plugins` has a name that this build does not know.
    pub fn new(settings: Arc<Settings>, services: Arc<Services>) -> Result<Self> {
        let plugins = tidegate_plugins::registry();
        check_enabled_plugins(&settings, &plugins)?;
        Ok(Self {
            settings,
            plugins,
            services,
            library: Mutex::default(),
            latest: Mutex::default(),
            told: Mutex::default(),
        })
    }

    /// The filters, if the settings have them on and a configuration was compiled.
    #[must_use]
    pub fn library(&self) -> Option<Arc<FilterLibrary>> {
        self.library.lock().clone()
    }

    /// What plugins and filter chains may name: built-in plugins, and the filters as their files are now.
    fn registry(&self, at_start: bool) -> Result<Arc<Registry>> {
        let mut library = self.library.lock();
        if library.is_none() {
            *library = FilterLibrary::open(&self.settings, &self.services)?.map(Arc::new);
        }
        let mut registry = self.plugins.clone();
        if let Some(library) = &*library {
            library.add_to(&mut registry, at_start)?;
        }
        let registry = Arc::new(registry);
        *self.latest.lock() = Arc::clone(&registry);
        Ok(registry)
    }

    /// What plugins and filter chains may name, as of the last configuration that was compiled.
    pub(crate) fn latest_registry(&self) -> Arc<Registry> {
        Arc::clone(&self.latest.lock())
    }

    /// Why entities of a declarative configuration, references followed, could not be put to work.
    pub(crate) fn plan_faults(&self, entities: &EntitySet) -> Vec<Inspection> {
        let mut registry = Registry::clone(&self.latest_registry());
        if registry.absent_filter().is_some() {
            // What was let pass at the start is not let in now.
            registry.set_absent_filter(Arc::new(AbsentFilters::new(BTreeMap::new(), false)));
        }
        let (_, faults) = self.plan(entities, &registry, None);
        let found = faults.into_iter().filter_map(|fault| {
            Some(Inspection {
                collection: fault.collection,
                index: entities.position(fault.collection, fault.id)?,
                field: None,
                message: fault.message,
                is_fault: true,
            })
        });
        found.collect()
    }

    /// The configuration that the settings name; empty when they name none.
    ///
    /// # Errors
    /// With every fault of the file, each with its place.
    pub fn compile(&self, previous: Option<&Snapshot>) -> Result<Compiled> {
        let registry = self.registry(previous.is_none())?;
        match self.source()? {
            Some(source) => self.compile_source(&source, &registry, previous),
            None => {
                let hash = NO_CONFIGURATION.to_owned();
                self.compile_entities(Arc::default(), hash, &registry, previous)
            }
        }
    }

    /// The configuration that the settings name, unless it is the text with this hash.
    ///
    /// # Errors
    /// With every fault of the file, each with its place.
    pub fn compile_unless(&self, content_hash: &str, previous: &Snapshot) -> Result<Option<Compiled>> {
        match self.source()? {
            Some(source) if declarative::content_hash(&source.bytes) == content_hash => Ok(None),
            Some(source) => self
                .compile_source(&source, &*self.registry(false)?, Some(previous))
                .map(Some),
            None => Ok(None),
        }
    }

    /// Whether the settings name a declarative text, and entities live there.
    #[must_use]
    pub fn has_source(&self) -> bool {
        entity_store::names_text(&self.settings) && entity_store::is_declarative(&self.settings)
    }

    /// The declarative text; `None` when the settings name none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn source(&self) -> Result<Option<SourceText>> {
        if !self.has_source() {
            return Ok(None);
        }
        let configuration = &self.settings.configuration;
        if let Some(path) = &configuration.declarative_config {
            return read_source(path).map(Some);
        }
        let text = configuration.declarative_config_string.as_ref();
        Ok(text.map(|text| SourceText {
            name: "declarative_config_string".to_owned(),
            bytes: text.expose().as_bytes().to_vec(),
        }))
    }

    fn compile_source(
        &self,
        source: &SourceText,
        registry: &Registry,
        previous: Option<&Snapshot>,
    ) -> Result<Compiled> {
        let schemas = RegistrySchemas::new(registry, &*self.settings);
        let environment = |name: &str| std::env::var(name).ok();
        let mut options = load_options(&self.settings, &schemas);
        let secrets = secrets(&self.settings, &environment);
        options.secrets = Some(secrets);
        let now_millis = self.services.clock.now_millis();
        #[allow(
            clippy::cast_precision_loss,
            reason = "milliseconds since the epoch fit a double exactly"
        )]
        let now = now_millis as f64 / 1_000.0;
        options.now = Some(now);
        let text = Source {
            name: &source.name,
            bytes: &source.bytes,
        };
        let loaded = declarative::load(&text, &options).map_err(|faults| anyhow::anyhow!("{faults}"))?;
        if !loaded.warnings.is_empty() {
            tracing::warn!("{}", loaded.warnings);
        }
        let mut written = loaded.entities;
        if let Some(previous) = previous {
            let loaded_at = i64::try_from(now_millis / 1_000).unwrap_or(i64::MAX);
            keep_times(&mut written, previous, loaded_at);
        }
        let written = Arc::new(written);
        let mut entities = Arc::clone(&written);
        if may_refer(&String::from_utf8_lossy(&source.bytes)) {
            // References that lead nowhere were among the warnings.
            drop(resolve_references(
                Arc::make_mut(&mut entities),
                &schemas,
                &secrets,
            ));
        }
        let compiled = self.compile_entities(entities, loaded.content_hash, registry, previous)?;
        Ok(Compiled { written, ..compiled })
    }

    fn compile_entities(
        &self,
        entities: Arc<EntitySet>,
        content_hash: String,
        registry: &Registry,
        previous: Option<&Snapshot>,
    ) -> Result<Compiled> {
        let (snapshot, faults) = self.plan(&entities, registry, previous);
        if !faults.is_empty() {
            anyhow::bail!(listed(&faults));
        }
        Ok(Compiled {
            snapshot: Arc::new(snapshot),
            written: Arc::clone(&entities),
            entities,
            content_hash,
        })
    }

    /// The entities of a store, which were checked when they were written. What cannot be put to work all the same serves
    /// nothing: no route, and no request where a plugin would have had its say. The log and the text say what and why.
    ///
    /// # Errors
    /// When the filters cannot be read at the start. Later, those that were read before serve on: an edit has to be live.
    pub(crate) fn compile_stored(
        &self,
        stored: &LiveEntities,
        filters: Filters,
        previous: Option<&Snapshot>,
    ) -> Result<(Compiled, Option<String>)> {
        let (registry, trouble) = match filters {
            Filters::AsTheyWere => (self.latest_registry(), None),
            Filters::ReadAgain => match self.registry(previous.is_none()) {
                Ok(registry) => (registry, None),
                Err(error) if previous.is_some() => (self.latest_registry(), Some(format!("{error:#}"))),
                Err(error) => return Err(error),
            },
        };
        let entities = self.resolved(stored, &registry);
        let (snapshot, faults) = self.plan(&entities, &registry, previous);
        let faults = (!faults.is_empty()).then(|| listed(&faults));
        let told: Vec<String> = trouble.into_iter().chain(faults).collect();
        let told = (!told.is_empty()).then(|| told.join("\n"));
        if let Some(text) = &told {
            tracing::error!("a part of the stored configuration is not in service:\n{text}");
        }
        let compiled = Compiled {
            snapshot: Arc::new(snapshot),
            written: Arc::clone(stored.entities()),
            entities,
            content_hash: stored.version().to_string(),
        };
        Ok((compiled, told))
    }

    /// The entities with their vault references followed; the same ones when there are none.
    fn resolved(&self, stored: &LiveEntities, registry: &Registry) -> Arc<EntitySet> {
        if !stored.has_references() {
            return Arc::clone(stored.entities());
        }
        let mut entities = EntitySet::clone(stored.entities());
        let environment = |name: &str| std::env::var(name).ok();
        let schemas = RegistrySchemas::new(registry, &*self.settings);
        let secrets = secrets(&self.settings, &environment);
        let missing = resolve_references(&mut entities, &schemas, &secrets);
        self.tell(missing);
        Arc::new(entities)
    }

    /// Each edit finds the same references that lead nowhere: they are worth a word when they are others.
    fn tell(&self, missing: Vec<Warning>) {
        let missing: Vec<String> = missing
            .into_iter()
            .map(|warning| format!("{} {}: {}", warning.collection, warning.id, warning.reason))
            .collect();
        let mut told = self.told.lock();
        for warning in missing.iter().filter(|warning| !told.contains(warning)) {
            tracing::warn!("a vault reference leads nowhere: {warning}");
        }
        *told = missing;
    }

    fn plan(
        &self,
        entities: &EntitySet,
        registry: &Registry,
        previous: Option<&Snapshot>,
    ) -> (Snapshot, Vec<PlanFault>) {
        plan(&PlanInput {
            entities,
            registry,
            services: &self.services,
            flavor: flavor(&self.settings),
            previous,
        })
    }
}

fn listed(faults: &[PlanFault]) -> String {
    let mut text = format!("{} faults in the configuration:", faults.len());
    for fault in faults {
        let _ = write!(text, "\n  {fault}");
    }
    text
}

/// Reads a declarative file.
///
/// # Errors
/// When it cannot be read.
pub fn read_source(path: &Path) -> Result<SourceText> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the declarative file {}", path.display()))?;
    Ok(SourceText {
        name: path.display().to_string(),
        bytes,
    })
}

/// How files are read under these settings.
#[must_use]
pub fn load_options<'a>(settings: &Settings, schemas: &'a dyn PluginSchemas) -> LoadOptions<'a> {
    LoadOptions {
        context: model_context(settings),
        limits: declarative_limits(settings),
        inspector: Some(&certificates::inspect),
        ..LoadOptions::new(schemas)
    }
}

/// What the validity of entities depends on under these settings.
pub(crate) fn model_context(settings: &Settings) -> ModelContext {
    let configuration = &settings.configuration;
    ModelContext {
        router_flavor: configuration.router_flavor,
        vault_types: if configuration.vaults.has(ENV_VAULT) {
            &[ENV_VAULT]
        } else {
            &[]
        },
    }
}

/// Bounds on declarative documents under these settings.
pub(crate) fn declarative_limits(settings: &Settings) -> Limits {
    let configuration = &settings.configuration;
    Limits {
        max_bytes: configuration.declarative_max_size,
        max_depth: configuration.declarative_max_depth,
        max_nodes: configuration.declarative_max_nodes,
        max_alias_nodes: configuration.declarative_max_alias_nodes,
        max_faults: configuration.declarative_max_faults,
    }
}

const ENV_VAULT: &str = "env";

/// Where vault references lead under these settings.
#[must_use]
pub fn secrets<'e>(settings: &'e Settings, environment: &'e Environment<'e>) -> Secrets<'e> {
    Secrets {
        environment,
        env_prefix: &settings.process.vault_env_prefix,
        is_enabled: settings.configuration.vaults.has(ENV_VAULT),
    }
}

/// Refuses names in the setting `plugins` that this build does not have.
///
/// # Errors
/// The first such name.
pub fn check_enabled_plugins(settings: &Settings, registry: &Registry) -> Result<()> {
    let enabled = &settings.configuration.plugins;
    match enabled.names.iter().find(|name| registry.get(name).is_none()) {
        Some(name) => anyhow::bail!("plugins: there is no plugin `{name}` in this build"),
        None => Ok(()),
    }
}

/// The router flavour of the settings.
#[must_use]
pub fn flavor(settings: &Settings) -> Flavor {
    match settings.configuration.router_flavor {
        RouterFlavor::TraditionalCompatible => Flavor::TraditionalCompatible,
        RouterFlavor::Traditional => Flavor::Traditional,
        RouterFlavor::Expressions => Flavor::Expressions,
    }
}

/// The registry's tables as the loader asks for them; kinds that are not enabled do not exist for it. Borrowed or shared.
pub struct RegistrySchemas<R, S> {
    registry: R,
    settings: S,
}

impl<R, S> RegistrySchemas<R, S>
where
    R: Deref<Target = Registry>,
    S: Deref<Target = Settings>,
{
    /// The kinds that the settings enable.
    #[must_use]
    pub fn new(registry: R, settings: S) -> Self {
        Self { registry, settings }
    }

    /// Filters have a setting of their own, which decides what is in the registry.
    fn is_enabled(&self, kind: &Arc<dyn Kind>) -> bool {
        kind.is_filter() || self.settings.configuration.plugins.has(kind.name())
    }
}

impl<R, S> PluginSchemas for RegistrySchemas<R, S>
where
    R: Deref<Target = Registry> + Sync,
    S: Deref<Target = Settings> + Sync,
{
    fn get(&self, name: &str) -> Option<PluginSchema> {
        let kind = self.registry.get(name).filter(|kind| self.is_enabled(kind))?;
        Some(schema_of(kind))
    }

    fn absent_filter(&self) -> Option<PluginSchema> {
        self.registry.absent_filter().map(schema_of)
    }

    fn names(&self) -> Vec<&str> {
        let kinds = self.registry.kinds().filter(|kind| self.is_enabled(kind));
        kinds.map(|kind| kind.name()).collect()
    }
}

fn schema_of(kind: &Arc<dyn Kind>) -> PluginSchema {
    let scopes = kind.scopes();
    PluginSchema {
        config: kind.schema(),
        takes_any_config: kind.takes_any_config(),
        scopes: PluginScopes {
            service: scopes.service,
            route: scopes.route,
            consumer: scopes.consumer,
            consumer_group: scopes.consumer_group,
        },
        protocols: kind.protocols(),
        default_protocols: kind.default_protocols(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_plugin::exchange::RouteIndex;

    const FILE: &str =
        "_format_version: '3.0'\nroutes:\n- {name: a, paths: [/a]}\n- {name: b, paths: [/b]}\n";

    fn configuration(text: &str) -> Configuration {
        let settings = Settings::with(&[("declarative_config_string", text)]).unwrap();
        Configuration::new(Arc::new(settings), Arc::new(Services::detached())).unwrap()
    }

    #[test]
    fn a_text_that_is_in_service_is_not_compiled_again() {
        let first = configuration(FILE).compile(None).unwrap();
        let again = configuration(FILE).compile_unless(&first.content_hash, &first.snapshot);
        assert!(again.unwrap().is_none());
        let other =
            configuration(&FILE.replace("/b", "/c")).compile_unless(&first.content_hash, &first.snapshot);
        assert_eq!(other.unwrap().map(|compiled| compiled.snapshot.version), Some(2));
    }

    #[test]
    fn routes_that_a_new_text_leaves_alone_are_shared_and_keep_their_times() {
        let first = configuration(FILE).compile(None).unwrap();
        // Without times the second text is stamped anew, which must not make its routes different ones.
        let second = configuration(&FILE.replace("/b", "/c"))
            .compile(Some(&first.snapshot))
            .unwrap();
        let route = |compiled: &Compiled, index| {
            Arc::clone(compiled.snapshot.planned_route(RouteIndex(index)).unwrap())
        };
        assert_eq!(
            route(&second, 1).route.created_at,
            route(&first, 1).route.created_at
        );
        let third = configuration(&FILE.replace("/b", "/d"))
            .compile(Some(&second.snapshot))
            .unwrap();
        assert!(Arc::ptr_eq(&route(&second, 0), &route(&third, 0)));
        assert!(!Arc::ptr_eq(&route(&second, 1), &route(&third, 1)));
    }
}
