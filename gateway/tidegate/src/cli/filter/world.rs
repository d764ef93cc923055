//! A host for one filter, without a gateway around it.

use super::FilterSource;
use crate::cli::fault::explain_io_error;
use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tidegate_plugin::services::Services;
use tidegate_wasm::testing::ScriptedOutbound;
use tidegate_wasm::{
    ArtefactCache, EngineSettings, FilterEngine, FilterHost, FilterKind, FilterMeta, FilterModule,
    FilterOptions, HostLimits, ModuleLimits, WasmFilter,
};

pub(super) struct World {
    pub(super) host: Arc<FilterHost>,
    pub(super) outbound: Arc<ScriptedOutbound>,
}

impl World {
    pub(super) fn new() -> Result<Self> {
        let outbound = Arc::new(ScriptedOutbound::default());
        let services = Services {
            outbound: Arc::clone(&outbound) as _,
            ..Services::detached()
        };
        let settings = EngineSettings {
            max_instances: 64,
            ..EngineSettings::default()
        };
        let engine = FilterEngine::new(settings)?;
        let host = FilterHost::new(engine, Arc::new(services), HostLimits::default())?;
        Ok(Self { host, outbound })
    }

    /// The module in a file, with the metadata beside it.
    pub(super) fn kind(&self, file: &Path) -> Result<FilterKind> {
        let wasm = read(file)?;
        // Large ones take seconds to compile.
        let cache = ArtefactCache::of_user();
        let module = FilterModule::load(self.host.engine(), cache.as_ref(), &wasm, ModuleLimits::default())
            .with_context(|| file.display().to_string())?;
        let beside = file.with_extension("meta.json");
        let meta = if beside.is_file() {
            FilterMeta::parse(&read(&beside)?).with_context(|| beside.display().to_string())?
        } else {
            FilterMeta::default()
        };
        let name = file.file_stem().map(|stem| stem.to_string_lossy());
        let name = name.as_deref().unwrap_or("filter");
        Ok(FilterKind::new(
            &self.host,
            name,
            module,
            meta,
            FilterOptions::default(),
        ))
    }
}

/// The filter with the configuration that was asked for.
pub(super) fn attach(kind: &FilterKind, source: &FilterSource) -> Result<Arc<WasmFilter>> {
    let config = match &source.config {
        Some(config) => configuration(config)?,
        None => Value::Null,
    };
    let options = kind.options().clone();
    let filter = if kind.meta().config_schema().is_some() {
        kind.attach(&config, options)
    } else {
        kind.attach_unchecked(&config, options)
    };
    filter.map_err(|refusal| anyhow!("the configuration is refused: {refusal}"))
}

/// JSON as it is typed, or the file of that name. What is neither is handed over as text, as filters without a schema
/// may want it.
fn configuration(text: &str) -> Result<Value> {
    let file = Path::new(text);
    let text = if file.is_file() {
        String::from_utf8(read(file)?).with_context(|| file.display().to_string())?
    } else {
        text.to_owned()
    };
    let is_json = text.trim_start().starts_with(['{', '[', '"']);
    match serde_json::from_str(&text) {
        Ok(value) => Ok(value),
        Err(error) if is_json => Err(anyhow!("the configuration is no JSON: {error}")),
        Err(_) => Ok(Value::String(text)),
    }
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    let what = format!("cannot read {}", file.display());
    fs::read(file).map_err(|error| anyhow!(explain_io_error(&what, &error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_json_or_a_file_or_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.json");
        fs::write(&file, "[1]").expect("written");
        assert_eq!(configuration(r#"{"a": 1}"#).expect("JSON")["a"], 1);
        assert_eq!(
            configuration(file.to_str().expect("UTF-8")).expect("a file")[0],
            1
        );
        assert_eq!(configuration("plain text").expect("text"), "plain text");
        assert!(configuration("{").is_err());
    }
}
