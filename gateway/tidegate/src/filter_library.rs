//! The folder of Wasm filters: every module becomes a kind of plugin by the name of its file.

mod loader;
mod located;

use anyhow::Result;
use loader::{Known, Loader};
use located::{Kept, Locator};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_config::settings::Settings;
use tidegate_plugin::services::Services;
use tidegate_plugin::{Kind, Registry};
use tidegate_wasm::{
    AbsentFilters, ArtefactCache, EngineSettings, FilterEngine, FilterHost, HostLimits, ModuleDigest, digest,
};

/// Filters by name, with the host that runs them.
pub struct FilterLibrary {
    loader: Arc<Loader>,
    known: Mutex<Files>,
    kept: Arc<Mutex<Kept>>,
}

/// What the files were when they were looked at last.
#[derive(Default)]
struct Files {
    filters: BTreeMap<String, Known>,
    /// Those that could not be loaded at the start: the digest, and why not.
    broken: BTreeMap<String, (Option<ModuleDigest>, String)>,
}

impl FilterLibrary {
    /// `None`: the settings have filters off.
    ///
    /// # Errors
    /// When a folder is none, or the engine cannot be set up.
    pub fn open(settings: &Settings, services: &Arc<Services>) -> Result<Option<Self>> {
        let filters = &settings.filters;
        if !filters.wasm {
            return Ok(None);
        }
        let folders = filters
            .wasm_filters_path
            .iter()
            .map(|folder| ("wasm_filters_path", folder));
        let more = filters
            .wasm_module_folders
            .iter()
            .map(|folder| ("wasm_module_folders", folder));
        for (setting, folder) in folders.chain(more) {
            anyhow::ensure!(
                folder.is_dir(),
                "{setting} '{}' is not a valid directory",
                folder.display()
            );
        }
        let engine = FilterEngine::new(EngineSettings::default())?;
        let cache = ArtefactCache::open(settings.in_prefix(Path::new("filter_cache")));
        let cache = cache
            .inspect_err(|error| tracing::warn!(%error, "filters are compiled anew at each start"))
            .ok();
        let loader = Loader {
            host: FilterHost::new(engine, Arc::clone(services), HostLimits::default())?,
            cache,
            folder: filters.wasm_filters_path.clone(),
            more_folders: filters.wasm_module_folders.clone(),
            allowed: filters.wasm_filters.clone(),
        };
        Ok(Some(Self {
            loader: Arc::new(loader),
            known: Mutex::default(),
            kept: Arc::default(),
        }))
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Arc<FilterHost> {
        &self.loader.host
    }

    /// Adds the filters of the folder to a registry, and what finds others by their modules. Compiles what is new: must
    /// not run on a worker. `at_start`: what cannot be loaded is left out, and decides nothing until it is attached.
    ///
    /// # Errors
    /// The first file that is no filter, or a filter with the name of a plugin.
    pub fn add_to(&self, registry: &mut Registry, at_start: bool) -> Result<()> {
        let mut known = self.known.lock();
        let mut found = Files::default();
        let mut installed = BTreeMap::new();
        for (name, path) in self.loader.files()? {
            anyhow::ensure!(
                registry.get(&name).is_none(),
                "duplicate plugin/wasm filter name: {name}"
            );
            let digest = match self.loader.load(&name, &path, known.filters.get(&name)) {
                Ok(loaded) => {
                    let digest = loaded.digest;
                    registry.add(Arc::clone(&loaded.kind) as Arc<dyn Kind>);
                    found.filters.insert(name.clone(), loaded);
                    Some(digest)
                }
                Err(error) => {
                    let digest = std::fs::read(&path).ok().map(|wasm| digest(&wasm));
                    let is_known = known.broken.get(&name).is_some_and(|(known, _)| *known == digest);
                    anyhow::ensure!(at_start || is_known, error);
                    let reason = format!("{error:#}");
                    tracing::error!(filter = name, reason, "a filter is left out");
                    found.broken.insert(name.clone(), (digest, reason));
                    digest
                }
            };
            installed.insert(name, (path, digest));
        }
        for name in self.loader.names() {
            anyhow::ensure!(
                installed.contains_key(name) || self.loader.is_off(),
                "wasm_filters: there is no filter `{name}` in wasm_filters_path"
            );
        }
        let reasons = found.broken.iter();
        let reasons = reasons.map(|(name, (_, reason))| (name.clone(), reason.clone()));
        registry.set_absent_filter(Arc::new(AbsentFilters::new(reasons.collect(), at_start)));
        let locator = Locator::new(&self.loader, &self.kept, installed, at_start);
        registry.set_filter_source(Arc::new(locator));
        *known = found;
        Ok(())
    }

    /// Changes when a file of the folder does, or another one that the configuration names.
    #[must_use]
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let folder = self.loader.folder.iter();
        let entries = folder.filter_map(|folder| folder.read_dir().ok()).flatten();
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        for path in &self.kept.lock().named {
            paths.extend([path.clone(), path.with_extension("meta.json")]);
        }
        paths.sort();
        paths.dedup();
        for path in paths {
            let Ok(metadata) = path.metadata() else {
                continue;
            };
            let changed = (metadata.mtime(), metadata.mtime_nsec());
            (path, metadata.len(), metadata.ino(), changed).hash(&mut hasher);
        }
        hasher.finish()
    }
}
