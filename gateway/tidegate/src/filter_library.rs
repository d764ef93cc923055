//! The folder of Wasm filters: every module becomes a kind of plugin by the name of its file.

use anyhow::{Context, Result};
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
    AbsentFilters, ArtefactCache, EngineSettings, FilterEngine, FilterHost, FilterKind, FilterMeta,
    FilterModule, FilterOptions, HostLimits, ModuleDigest, ModuleLimits, digest,
};

/// Filters by name, with the host that runs them.
pub struct FilterLibrary {
    host: Arc<FilterHost>,
    cache: Option<ArtefactCache>,
    folder: Option<PathBuf>,
    allowed: Vec<String>,
    known: Mutex<Files>,
}

/// What the files were when they were looked at last.
#[derive(Default)]
struct Files {
    filters: BTreeMap<String, Known>,
    /// Those that could not be loaded at the start: the digest, and why not.
    broken: BTreeMap<String, (Option<ModuleDigest>, String)>,
}

/// A filter as it was loaded; it stays the same kind as long as its files do.
struct Known {
    digest: ModuleDigest,
    meta: Option<Vec<u8>>,
    kind: Arc<FilterKind>,
}

impl FilterLibrary {
    /// `None`: the settings have filters off.
    ///
    /// # Errors
    /// When the folder is none, or the engine cannot be set up.
    pub fn open(settings: &Settings, services: &Arc<Services>) -> Result<Option<Self>> {
        let filters = &settings.filters;
        if !filters.wasm {
            return Ok(None);
        }
        if let Some(folder) = filters
            .wasm_filters_path
            .as_deref()
            .filter(|folder| !folder.is_dir())
        {
            anyhow::bail!(
                "wasm_filters_path '{}' is not a valid directory",
                folder.display()
            );
        }
        let engine = FilterEngine::new(EngineSettings::default())?;
        let cache = ArtefactCache::open(settings.in_prefix(Path::new("filter_cache")));
        let cache = cache
            .inspect_err(|error| tracing::warn!(%error, "filters are compiled anew at each start"))
            .ok();
        Ok(Some(Self {
            host: FilterHost::new(engine, Arc::clone(services), HostLimits::default())?,
            cache,
            folder: filters.wasm_filters_path.clone(),
            allowed: filters.wasm_filters.clone(),
            known: Mutex::default(),
        }))
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Arc<FilterHost> {
        &self.host
    }

    /// Adds the filters of the folder to a registry. Compiles what is new: must not run on a worker. `at_start`: what
    /// cannot be loaded is left out, and decides nothing until it is attached.
    ///
    /// # Errors
    /// The first file that is no filter, or a filter with the name of a plugin.
    pub fn add_to(&self, registry: &mut Registry, at_start: bool) -> Result<()> {
        let mut known = self.known.lock();
        let mut found = Files::default();
        for (name, path) in self.files()? {
            anyhow::ensure!(
                registry.get(&name).is_none(),
                "duplicate plugin/wasm filter name: {name}"
            );
            match self.load(&name, &path, known.filters.get(&name)) {
                Ok(loaded) => {
                    registry.add(Arc::clone(&loaded.kind) as Arc<dyn Kind>);
                    found.filters.insert(name, loaded);
                }
                Err(error) => {
                    let digest = std::fs::read(&path).ok().map(|wasm| digest(&wasm));
                    let is_known = known.broken.get(&name).is_some_and(|(known, _)| *known == digest);
                    anyhow::ensure!(at_start || is_known, error);
                    let reason = format!("{error:#}");
                    tracing::error!(filter = name, reason, "a filter is left out");
                    found.broken.insert(name, (digest, reason));
                }
            }
        }
        for name in self.allowed.iter().filter(|name| !is_keyword(name)) {
            anyhow::ensure!(
                found.filters.contains_key(name) || found.broken.contains_key(name) || self.is_off(),
                "wasm_filters: there is no filter `{name}` in wasm_filters_path"
            );
        }
        let reasons = found.broken.iter();
        let reasons = reasons.map(|(name, (_, reason))| (name.clone(), reason.clone()));
        registry.set_absent_filter(Arc::new(AbsentFilters::new(reasons.collect(), at_start)));
        *known = found;
        Ok(())
    }

    /// Changes when a file of the folder does.
    #[must_use]
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let entries = self
            .folder
            .iter()
            .filter_map(|folder| folder.read_dir().ok())
            .flatten();
        let mut seen: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.path().metadata().ok()?;
                let changed = (metadata.mtime(), metadata.mtime_nsec());
                Some((entry.file_name(), metadata.len(), metadata.ino(), changed))
            })
            .collect();
        seen.sort();
        seen.hash(&mut hasher);
        hasher.finish()
    }

    fn is_off(&self) -> bool {
        self.allowed.iter().any(|name| name == "off")
    }

    /// Modules that may be attached, by name.
    fn files(&self) -> Result<BTreeMap<String, PathBuf>> {
        let Some(folder) = self.folder.as_deref().filter(|_| !self.is_off()) else {
            return Ok(BTreeMap::new());
        };
        let at = || format!("cannot read wasm_filters_path '{}'", folder.display());
        let mut files = BTreeMap::new();
        for entry in folder.read_dir().with_context(at)? {
            let path = entry.with_context(at)?.path();
            let is_module = path
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("wasm"));
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
                continue;
            };
            let is_allowed = self
                .allowed
                .iter()
                .any(|allowed| allowed == "user" || allowed == name);
            if is_module && is_allowed && path.is_file() {
                files.insert(name.to_owned(), path);
            }
        }
        Ok(files)
    }

    fn load(&self, name: &str, path: &Path, known: Option<&Known>) -> Result<Known> {
        let wasm =
            std::fs::read(path).with_context(|| format!("cannot read the filter {}", path.display()))?;
        let meta_path = path.with_extension("meta.json");
        let meta = match std::fs::read(&meta_path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", meta_path.display())),
        };
        let digest = digest(&wasm);
        if let Some(known) = known.filter(|known| known.digest == digest && known.meta == meta) {
            return Ok(Known {
                digest,
                meta,
                kind: Arc::clone(&known.kind),
            });
        }
        let parsed = meta.as_deref().map(FilterMeta::parse).transpose();
        let parsed = parsed.with_context(|| format!("failed to load metadata of filter '{name}'"))?;
        let module = FilterModule::load(
            self.host.engine(),
            self.cache.as_ref(),
            &wasm,
            ModuleLimits::default(),
        )
        .with_context(|| format!("cannot load the filter {}", path.display()))?;
        tracing::info!(filter = name, abi = module.abi.as_str(), origin = ?module.origin, "filter loaded");
        let kind = FilterKind::new(
            &self.host,
            name,
            module,
            parsed.unwrap_or_default(),
            FilterOptions::default(),
        );
        Ok(Known {
            digest,
            meta,
            kind: Arc::new(kind),
        })
    }
}

fn is_keyword(name: &str) -> bool {
    matches!(name, "bundled" | "user" | "off")
}
