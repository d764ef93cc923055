//! Declarative files in the format of Kong and decK (kong-core B): YAML or JSON to checked, typed entities.
//!
//! A file is read into a tree, its head is taken off, nested entities are flattened, ids are given, references are
//! linked, and every entity goes through the table of its collection. No step stops at a fault: all of them are
//! collected, and positions are looked up only when there is something to report.

mod assemble;
mod collections;
mod document;
mod dump;
pub mod fill;
mod flatten;
mod header;
mod identity;
mod inspection;
mod plugins;
mod references;
mod relations;
mod report;

pub use document::Limits;
pub use dump::{dump, to_yaml};
pub use fill::password_hash;
pub use inspection::{Inspection, Inspector};
pub use plugins::{
    LUA_FIELD, PluginSchema, PluginSchemas, PluginScopes, has_lua_fields, refused_protocols, schema_of_entry,
};

use crate::diagnostics::Diagnostics;
use crate::vault::{Secrets, Warning, may_refer, resolve_references};
use assemble::Assembler;
use document::Document;
use flatten::Drafts;
use md5::{Digest, Md5};
pub(crate) use report::show_path;
use report::{Fault, Report};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate_model::entities::EntitySet;
use tidegate_model::schema::Context;

/// A file to load.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// Its name, which also tells the format: `.json`, `.yaml`, `.yml`; with another ending both are tried.
    pub name: &'s str,
    /// Its content.
    pub bytes: &'s [u8],
}

/// What loading depends on besides the file.
#[derive(Clone)]
pub struct LoadOptions<'o> {
    /// The plugins of this build.
    pub plugins: &'o dyn PluginSchemas,
    /// How the gateway is set up.
    pub context: Context,
    /// Bounds on the file.
    pub limits: Limits,
    /// Creation time of entities that have none, in Unix seconds; the present when left out.
    pub now: Option<f64>,
    /// Where vault references look their secrets up. When given, references that lead nowhere become warnings.
    pub secrets: Option<Secrets<'o>>,
    /// A look at the finished entities by someone who knows more than the tables do.
    pub inspector: Option<&'o Inspector<'o>>,
}

impl<'o> LoadOptions<'o> {
    /// Default limits and setup.
    #[must_use]
    pub fn new(plugins: &'o dyn PluginSchemas) -> Self {
        Self {
            plugins,
            context: Context::default(),
            limits: Limits::default(),
            now: None,
            secrets: None,
            inspector: None,
        }
    }
}

/// A faultless file.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its entities; within a collection in the order of the file.
    pub entities: EntitySet,
    /// `1.1`, `2.1` or `3.0`.
    pub format_version: String,
    /// MD5 of the text in hex, as Kong shows it in `configuration_hash`.
    pub content_hash: String,
    /// What is not wrong but worth a look.
    pub warnings: Diagnostics,
    /// Tags that were added to every entity.
    pub select_tags: Vec<String>,
}

/// Reads and checks a file.
///
/// # Errors
/// Every fault of the file with its path and position. Only a text that is no YAML or JSON, or breaks a limit, stops
/// the search early.
pub fn load(source: &Source<'_>, options: &LoadOptions<'_>) -> Result<Loaded, Diagnostics> {
    let mut document = Document::parse(source.name, source.bytes, &options.limits)
        .map_err(|unreadable| report::syntax_diagnostics(source.name, source.bytes, &unreadable))?;
    let mut report = Report::new(options.limits.max_faults);
    let Value::Object(mut root) = document.take_value() else {
        let text = format!("{}: expected an object", report::PARSING_FAILED);
        report.fault(Fault::new(Vec::new(), text).reported_at(vec![report::key("error")]));
        return Err(report.into_diagnostics(source.name, &document));
    };
    let header = header::take(&mut root, &mut report);
    warn_of_templates(&document, &mut report);
    let mut drafts = flatten::flatten(root, &header, &mut report);
    let index = identity::assign(&mut drafts, &mut report);
    references::resolve(&mut drafts, &index, header.looks_up_entities, &mut report);
    let members = references::memberships(&drafts, &index, &mut report);
    let now = options.now.unwrap_or_else(present);
    let assembler = Assembler {
        document: &document,
        header: &header,
        options,
        report: &mut report,
        now,
    };
    let mut assembled = assembler.run(&mut drafts);
    relations::check(&drafts, &index, &assembled, &mut report);
    if report.has_faults() {
        return Err(report.into_diagnostics(source.name, &document));
    }
    assembled.entities.consumer_group_members = members;
    let (resolved, missing) = try_references(&document, &assembled.entities, options);
    warn_of_missing_secrets(&drafts, missing, &mut report);
    if let Some(inspector) = options.inspector {
        inspection::run(
            inspector,
            resolved.as_ref().unwrap_or(&assembled.entities),
            &drafts,
            &mut report,
        );
        if report.has_faults() {
            return Err(report.into_diagnostics(source.name, &document));
        }
    }
    Ok(Loaded {
        entities: assembled.entities,
        format_version: header.format_version,
        content_hash: content_hash(source.bytes),
        warnings: report.into_warnings(source.name, &document),
        select_tags: header.select_tags,
    })
}

/// Reads text as a tree, whatever it says: for those who check against another gateway's tables than ours. Unquoted
/// `yes`, `off` and the like are booleans, as tools that write for YAML 1.1 mean them.
///
/// # Errors
/// Why it is no YAML or JSON, or breaks a limit, with the place.
pub fn parse(source: &Source<'_>, limits: &Limits) -> Result<Value, Diagnostics> {
    let mut document = Document::parse(source.name, source.bytes, limits)
        .map_err(|unreadable| report::syntax_diagnostics(source.name, source.bytes, &unreadable))?;
    let mut value = document.take_value();
    if document.has_legacy_booleans() {
        document.mend_booleans(&mut value);
    }
    Ok(value)
}

/// MD5 of a configuration's text in hex. 32 zeros stand for no configuration.
#[must_use]
pub fn content_hash(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// decK's own variables are filled in by decK; here they would be plain text.
fn warn_of_templates(document: &Document<'_>, report: &mut Report) {
    if document.text().contains("${{") {
        let warning = Fault::new(
            Vec::new(),
            "the file holds `${{ ... }}`, which is taken as plain text",
        );
        report.warn(warning.hint("decK fills such variables in: `deck file render --populate-env-vars`"));
    }
}

/// Follows the references on a copy: the entities keep them as they are written. `None`: there are none, or nowhere
/// to look.
fn try_references(
    document: &Document<'_>,
    entities: &EntitySet,
    options: &LoadOptions<'_>,
) -> (Option<EntitySet>, Vec<Warning>) {
    let Some(secrets) = options.secrets.filter(|_| may_refer(document.text())) else {
        return (None, Vec::new());
    };
    let mut resolved = entities.clone();
    let missing = resolve_references(&mut resolved, options.plugins, &secrets);
    (Some(resolved), missing)
}

fn warn_of_missing_secrets(drafts: &Drafts, missing: Vec<Warning>, report: &mut Report) {
    for warning in missing {
        if let Some(at) = drafts.find(warning.collection, warning.index) {
            let mut path = drafts.path(at);
            path.extend(warning.path);
            report.warn(Fault::new(path, warning.reason));
        }
    }
}

fn present() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// Loads arbitrary bytes as YAML, as JSON and undecided: for fuzzing. Whatever the input, this must return soon and
/// not panic; what loads must survive a dump.
pub fn fuzz(bytes: &[u8]) {
    struct NoPlugins;
    impl PluginSchemas for NoPlugins {
        fn get(&self, _: &str) -> Option<PluginSchema> {
            None
        }
        fn names(&self) -> Vec<&str> {
            Vec::new()
        }
    }
    let options = LoadOptions {
        now: Some(1.0),
        ..LoadOptions::new(&NoPlugins)
    };
    for name in ["fuzz.yaml", "fuzz.json", "fuzz"] {
        match load(&Source { name, bytes }, &options) {
            Ok(loaded) => {
                let text = dump(&loaded.entities);
                let again = load(
                    &Source {
                        name: "dump.yaml",
                        bytes: text.as_bytes(),
                    },
                    &options,
                );
                debug_assert!(
                    again.is_ok_and(|again| again.entities == loaded.entities),
                    "dump of {text}"
                );
            }
            Err(diagnostics) => {
                let shown = format!("{diagnostics}{}", diagnostics.to_json());
                debug_assert!(!shown.is_empty());
                let _ = diagnostics.to_kong_fields(true).to_body(true);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
