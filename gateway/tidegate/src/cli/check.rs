//! `tidegate check FILE`: every fault of a declarative file, without serving it.

use super::arguments::{CheckArguments, Format, SettingsArguments};
use super::fault::explain_io_error;
use super::{Outcome, Surroundings};
use crate::configuration::{RegistrySchemas, check_enabled_plugins, flavor, load_options, secrets};
use crate::filter_library::FilterLibrary;
use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use tidegate_config::declarative::{Loaded, Source, load};
use tidegate_config::diagnostics::Diagnostics;
use tidegate_config::settings::Settings;
use tidegate_config::vault::resolve_references;
use tidegate_model::entities::EntitySet;
use tidegate_plan::{PlanFault, PlanInput, plan};
use tidegate_plugin::Registry;
use tidegate_plugin::services::Services;

/// What a check found.
struct Finding {
    name: String,
    result: Result<Loaded, Diagnostics>,
    /// What only shows when a faultless file is put to work: a template or a regex that does not compile.
    plan_faults: Vec<PlanFault>,
}

pub(super) fn run(arguments: &CheckArguments, surroundings: &mut Surroundings<'_>) -> Result<Outcome> {
    let sources = SettingsArguments {
        conf: arguments.conf.clone(),
        declarative_config: None,
        set: arguments.set.clone(),
    };
    let settings = sources.load(surroundings)?;
    let mut registry = tidegate_plugins::registry();
    check_enabled_plugins(&settings, &registry)?;
    if let Some(library) = FilterLibrary::open(&settings, &Arc::new(Services::detached()))? {
        library.add_to(&mut registry, false)?;
    }
    let (name, bytes) = read(&arguments.file)?;
    let finding = check(name, &bytes, &settings, &registry);
    let text = match arguments.format {
        Format::Text => finding.as_text(),
        Format::Json => format!("{:#}\n", finding.as_json()),
    };
    surroundings.stdout.write_all(text.as_bytes())?;
    Ok(if finding.has_faults() {
        Outcome::FoundFaults
    } else {
        Outcome::Done
    })
}

fn check(name: String, bytes: &[u8], settings: &Settings, registry: &Registry) -> Finding {
    let schemas = RegistrySchemas::new(registry, settings);
    let environment = |name: &str| std::env::var(name).ok();
    let mut options = load_options(settings, &schemas);
    options.secrets = Some(secrets(settings, &environment));
    let result = load(&Source { name: &name, bytes }, &options);
    let plan_faults = match &result {
        Ok(loaded) => plan_faults(&loaded.entities, registry, settings),
        Err(_) => Vec::new(),
    };
    Finding {
        name,
        result,
        plan_faults,
    }
}

/// Builds what the file describes, to find what only then shows. A plugin or filter chain whose secret is not set here is
/// left out: its value is unknown, and the missing secret is a warning already.
fn plan_faults(entities: &EntitySet, registry: &Registry, settings: &Settings) -> Vec<PlanFault> {
    let services = Arc::new(Services::detached());
    let mut entities = entities.clone();
    let environment = |name: &str| std::env::var(name).ok();
    let missing = resolve_references(
        &mut entities,
        &RegistrySchemas::new(registry, settings),
        &secrets(settings, &environment),
    );
    let is_known = |collection: &str, index: usize| {
        let mut missing = missing.iter();
        !missing.any(|warning| warning.collection == collection && warning.index == index)
    };
    let mut places = 0..;
    entities
        .plugins
        .retain(|_| places.next().is_some_and(|index| is_known("plugins", index)));
    let mut places = 0..;
    entities.filter_chains.retain(|_| {
        places
            .next()
            .is_some_and(|index| is_known("filter_chains", index))
    });
    let (_, faults) = plan(&PlanInput {
        entities: &entities,
        registry,
        services: &services,
        flavor: flavor(settings),
        previous: None,
    });
    faults
}

fn read(path: &Path) -> Result<(String, Vec<u8>)> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        return Ok(("standard input".to_owned(), bytes));
    }
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| anyhow!(explain_io_error(&format!("cannot read {name}"), &error)))?;
    Ok((name, bytes))
}

impl Finding {
    fn has_faults(&self) -> bool {
        self.result.is_err() || !self.plan_faults.is_empty()
    }

    fn as_text(&self) -> String {
        let name = &self.name;
        let loaded = match &self.result {
            Ok(loaded) => loaded,
            Err(faults) => return format!("{faults}{name}: {}\n", counted(faults.count(), "fault")),
        };
        let mut text = loaded.warnings.to_string();
        for fault in &self.plan_faults {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{name}: {fault}");
        }
        let summary = if self.plan_faults.is_empty() {
            summary(&loaded.entities)
        } else {
            counted(self.plan_faults.len(), "fault")
        };
        let warnings = match loaded.warnings.count() {
            0 => String::new(),
            count => format!("{}, ", counted(count, "warning")),
        };
        let _ = writeln!(text, "{name}: {warnings}{summary}");
        text
    }

    /// The shape of [`Diagnostics::to_json`], with `warnings` in the shape of `faults`. Faults of the plan have the
    /// collection and id of their entity for a path, and no position.
    fn as_json(&self) -> Value {
        match &self.result {
            Ok(loaded) => {
                let plan_faults: Vec<Value> = self
                    .plan_faults
                    .iter()
                    .map(|fault| json!({ "path": format!("{}[{}]", fault.collection, fault.id), "message": fault.message }))
                    .collect();
                let warnings = loaded.warnings.to_json();
                json!({ "file": self.name, "faults": plan_faults, "omitted": 0, "warnings": warnings.get("faults") })
            }
            Err(faults) => {
                let mut report = faults.to_json();
                if let Some(members) = report.as_object_mut() {
                    members.insert("warnings".to_owned(), json!([]));
                }
                report
            }
        }
    }
}

/// `1 fault`, `2 faults`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn summary(entities: &EntitySet) -> String {
    let counts = [
        (entities.services.len(), "service"),
        (entities.routes.len(), "route"),
        (entities.plugins.len(), "plugin"),
        (entities.consumers.len(), "consumer"),
        (entities.upstreams.len(), "upstream"),
        (entities.certificates.len(), "certificate"),
    ];
    let parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(*count, what))
        .collect();
    if parts.is_empty() {
        "no faults, no entities".to_owned()
    } else {
        format!("no faults; {}", parts.join(", "))
    }
}
