//! Loads modules of filters from files, and knows which files may be loaded.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tidegate_wasm::{
    ArtefactCache, FilterHost, FilterKind, FilterMeta, FilterModule, FilterOptions, ModuleDigest,
    ModuleLimits, digest,
};

/// What modules are loaded with, and from where.
pub(super) struct Loader {
    pub(super) host: Arc<FilterHost>,
    pub(super) cache: Option<ArtefactCache>,
    /// The setting `wasm_filters_path`.
    pub(super) folder: Option<PathBuf>,
    /// The setting `wasm_module_folders`.
    pub(super) more_folders: Vec<PathBuf>,
    /// The setting `wasm_filters`.
    pub(super) allowed: Vec<String>,
}

/// A filter as it was loaded; it stays the same kind as long as its files do.
pub(super) struct Known {
    pub(super) digest: ModuleDigest,
    meta: Option<Vec<u8>>,
    pub(super) kind: Arc<FilterKind>,
}

impl Loader {
    /// The settings allow no filter at all.
    pub(super) fn is_off(&self) -> bool {
        self.allowed.iter().any(|name| name == "off")
    }

    /// Names in the setting that are no keywords.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        let is_keyword = |name: &str| matches!(name, "bundled" | "user" | "off");
        self.allowed.iter().filter(move |name| !is_keyword(name))
    }

    fn is_allowed(&self, path: &Path) -> bool {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        !self.is_off()
            && stem.is_some_and(|stem| {
                let mut allowed = self.allowed.iter();
                allowed.any(|allowed| allowed == "user" || allowed == stem)
            })
    }

    /// Modules of the folder that may be attached, by name.
    pub(super) fn files(&self) -> Result<BTreeMap<String, PathBuf>> {
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
            if is_module && self.is_allowed(&path) && path.is_file() {
                files.insert(name.to_owned(), path);
            }
        }
        Ok(files)
    }

    /// The file that an attachment names: relative to the folder of filters, or absolute in a folder of the settings.
    ///
    /// # Errors
    /// When it may not be loaded from there, wherever links lead.
    pub(super) fn place(&self, named: &str) -> Result<PathBuf> {
        let named = Path::new(named);
        let folders = || self.folder.iter().chain(&self.more_folders);
        let refuse = || {
            format!(
                "'{}' is not in a folder that modules may be loaded from: wasm_filters_path, and those of \
                 wasm_module_folders",
                named.display()
            )
        };
        let mut parts = named.components();
        anyhow::ensure!(parts.all(|part| part != Component::ParentDir), refuse());
        let path = match &self.folder {
            Some(folder) => folder.join(named),
            None => named.to_path_buf(),
        };
        anyhow::ensure!(folders().any(|folder| path.starts_with(folder)), refuse());
        anyhow::ensure!(
            self.is_allowed(&path),
            "the setting wasm_filters does not allow '{}'",
            named.display()
        );
        // A file that is not there leads nowhere.
        if let Ok(whole) = path.canonicalize() {
            let is_inside = folders()
                .filter_map(|folder| folder.canonicalize().ok())
                .any(|folder| whole.starts_with(folder));
            anyhow::ensure!(is_inside, refuse());
        }
        Ok(path)
    }

    /// Loads a filter, unless it is the one that is known.
    pub(super) fn load(&self, name: &str, path: &Path, known: Option<&Known>) -> Result<Known> {
        let wasm =
            std::fs::read(path).with_context(|| format!("cannot read the filter {}", path.display()))?;
        let meta_path = path.with_extension("meta.json");
        let meta = match std::fs::read(&meta_path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
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
