//! From a declarative file to a snapshot: load, resolve references, plan.

use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use tidegate_config::declarative::{
    self, Limits, LoadOptions, PluginSchema, PluginSchemas, PluginScopes, Source,
};
use tidegate_config::settings::Settings;
use tidegate_config::vault::resolve_references;
use tidegate_model::entities::EntitySet;
use tidegate_model::schema::{Context as ModelContext, RouterFlavor};
use tidegate_plan::{PlanInput, Snapshot, plan};
use tidegate_plugin::Registry;
use tidegate_plugin::services::Services;
use tidegate_router::Flavor;

/// Knows how this process reads configurations.
pub struct Configuration {
    settings: Arc<Settings>,
    registry: Registry,
    services: Arc<Services>,
}

/// A configuration that passed every check.
pub struct Compiled {
    /// Ready to serve.
    pub snapshot: Arc<Snapshot>,
    /// What it was made from, references resolved.
    pub entities: Arc<EntitySet>,
    /// MD5 of the text in hex, as Kong reports it; 32 zeros without a configuration.
    pub content_hash: String,
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
    #[must_use]
    pub fn new(settings: Arc<Settings>, services: Arc<Services>) -> Self {
        Self {
            settings,
            registry: tidegate_plugins::registry(),
            services,
        }
    }

    /// The configuration that the settings name; empty when they name none.
    ///
    /// # Errors
    /// With every fault of the file, each with its place.
    pub fn compile(&self, previous: Option<&Snapshot>) -> Result<Compiled> {
        match self.source()? {
            Some(source) => self.compile_source(&source, previous),
            None => self.compile_entities(EntitySet::default(), NO_CONFIGURATION.to_owned(), previous),
        }
    }

    /// The declarative text; `None` when the settings name none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn source(&self) -> Result<Option<SourceText>> {
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

    fn compile_source(&self, source: &SourceText, previous: Option<&Snapshot>) -> Result<Compiled> {
        let schemas = RegistrySchemas(&self.registry);
        let environment = |name: &str| std::env::var(name).ok();
        let mut options = load_options(&self.settings, &schemas);
        options.environment = Some(&environment);
        let text = Source {
            name: &source.name,
            bytes: &source.bytes,
        };
        let loaded = declarative::load(&text, &options).map_err(|faults| anyhow::anyhow!("{faults}"))?;
        if !loaded.warnings.is_empty() {
            tracing::warn!("{}", loaded.warnings);
        }
        let mut entities = loaded.entities;
        // References that lead nowhere were among the warnings.
        drop(resolve_references(&mut entities, &schemas, &environment));
        self.compile_entities(entities, loaded.content_hash, previous)
    }

    fn compile_entities(
        &self,
        entities: EntitySet,
        content_hash: String,
        previous: Option<&Snapshot>,
    ) -> Result<Compiled> {
        let (snapshot, faults) = plan(&PlanInput {
            entities: &entities,
            registry: &self.registry,
            services: &self.services,
            flavor: flavor(&self.settings),
            previous,
        });
        if !faults.is_empty() {
            let mut text = format!("{} faults in the configuration:", faults.len());
            for fault in &faults {
                let _ = write!(text, "\n  {fault}");
            }
            anyhow::bail!(text);
        }
        Ok(Compiled {
            snapshot: Arc::new(snapshot),
            entities: Arc::new(entities),
            content_hash,
        })
    }
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
pub fn load_options<'a>(settings: &Settings, schemas: &'a RegistrySchemas<'a>) -> LoadOptions<'a> {
    let configuration = &settings.configuration;
    LoadOptions {
        context: ModelContext {
            router_flavor: configuration.router_flavor,
            ..ModelContext::default()
        },
        limits: Limits {
            max_bytes: configuration.declarative_max_size,
            max_depth: configuration.declarative_max_depth,
            max_nodes: configuration.declarative_max_nodes,
            max_alias_nodes: configuration.declarative_max_alias_nodes,
            max_faults: configuration.declarative_max_faults,
        },
        ..LoadOptions::new(schemas)
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

/// The registry's tables as the loader asks for them.
pub struct RegistrySchemas<'a>(pub &'a Registry);

impl PluginSchemas for RegistrySchemas<'_> {
    fn get(&self, name: &str) -> Option<PluginSchema> {
        let kind = self.0.get(name)?;
        let scopes = kind.scopes();
        Some(PluginSchema {
            config: kind.schema(),
            scopes: PluginScopes {
                service: scopes.service,
                route: scopes.route,
                consumer: scopes.consumer,
                consumer_group: scopes.consumer_group,
            },
            protocols: kind.protocols(),
            default_protocols: kind.default_protocols(),
        })
    }

    fn names(&self) -> Vec<&str> {
        self.0.kinds().map(|kind| kind.name()).collect()
    }
}
