//! Filters whose attachment says which module it is: `tidegate: {module: FILE, sha256: DIGEST}`.
//!
//! The module is a file, or `sha256:DIGEST` for the one of the folder that has the digest. With `sha256` beside it, or
//! beside an installed filter's name, other bytes than these are never run. A module that is not there, is broken or is
//! another one counts as a filter that is not there; one that may not be named at all is a fault of the configuration.

use super::loader::{Known, Loader};
use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_model::entities;
use tidegate_plugin::{BuildError, FilterSource, Kind};
use tidegate_wasm::{AbsentFilters, ModuleDigest};

/// Name of the attachment, and file.
type Place = (String, PathBuf);

/// What was found for earlier configurations.
#[derive(Default)]
pub(super) struct Kept {
    modules: BTreeMap<Place, Known>,
    /// Files that the last configuration named, there or not.
    pub(super) named: BTreeSet<PathBuf>,
}

/// Finds modules for one configuration.
pub(super) struct Locator {
    loader: Arc<Loader>,
    kept: Arc<Mutex<Kept>>,
    /// The installed filters: file and digest by name.
    installed: BTreeMap<String, (PathBuf, Option<ModuleDigest>)>,
    at_start: bool,
    found: Mutex<HashMap<Wish, Located>>,
    named: Mutex<BTreeSet<PathBuf>>,
}

/// Name of the attachment, and what its options say of the module.
type Wish = (String, String);
type Located = Result<Arc<dyn Kind>, BuildError>;

const MODULE: &str = "module";
const SHA256: &str = "sha256";
const MODULE_PATH: &str = "tidegate.module";
const SHA256_PATH: &str = "tidegate.sha256";

impl FilterSource for Locator {
    fn find(&self, entity: &entities::Plugin) -> Option<Located> {
        let options = entity.tidegate.as_ref()?.as_object()?;
        if !options.contains_key(MODULE) && !options.contains_key(SHA256) {
            return None;
        }
        let wish = format!("{:?} {:?}", options.get(MODULE), options.get(SHA256));
        let mut found = self.found.lock();
        let known = found.entry((entity.name.clone(), wish));
        Some(
            known
                .or_insert_with(|| self.locate(&entity.name, options))
                .clone(),
        )
    }
}

impl Locator {
    pub(super) fn new(
        loader: &Arc<Loader>,
        kept: &Arc<Mutex<Kept>>,
        installed: BTreeMap<String, (PathBuf, Option<ModuleDigest>)>,
        at_start: bool,
    ) -> Self {
        Self {
            loader: Arc::clone(loader),
            kept: Arc::clone(kept),
            installed,
            at_start,
            found: Mutex::default(),
            named: Mutex::default(),
        }
    }

    fn locate(&self, name: &str, options: &Map<String, Value>) -> Located {
        let refuse = |path: &str, message: String| BuildError {
            path: path.to_owned(),
            message,
        };
        let module = text(options, MODULE).map_err(|message| refuse(MODULE_PATH, message))?;
        let pin = text(options, SHA256)
            .and_then(|pin| pin.map(parse_digest).transpose())
            .map_err(|message| refuse(SHA256_PATH, message))?;
        let field = if module.is_some() {
            MODULE_PATH
        } else {
            SHA256_PATH
        };
        let by_digest = module.and_then(|module| module.strip_prefix("sha256:"));
        let by_digest = by_digest
            .map(parse_digest)
            .transpose()
            .map_err(|message| refuse(MODULE_PATH, message))?;
        if let (Some(module), Some(pin)) = (by_digest, pin)
            && module != pin
        {
            return Err(refuse(SHA256_PATH, "is not the digest of `module`".to_owned()));
        }
        let path = match (module, by_digest) {
            (_, Some(digest)) => self.with_digest(&digest),
            (Some(file), None) => Ok(self
                .loader
                .place(file)
                .map_err(|error| refuse(MODULE_PATH, format!("{error:#}")))?),
            (None, None) => match self.installed.get(name) {
                Some((path, _)) => Ok(path.clone()),
                None => Err(anyhow::anyhow!("no such filter '{name}'")),
            },
        };
        let loaded = path.and_then(|path| self.load(name, &path, by_digest.or(pin)));
        Ok(loaded.unwrap_or_else(|error| {
            let reason = format!("{error:#}");
            Arc::new(AbsentFilters::of_module(name, field, reason, self.at_start))
        }))
    }

    /// The installed module with a digest.
    fn with_digest(&self, digest: &ModuleDigest) -> Result<PathBuf> {
        let mut installed = self.installed.values();
        let found = installed.find(|(_, known)| known.as_ref() == Some(digest));
        let (path, _) = found.context("no module in wasm_filters_path has this digest")?;
        Ok(path.clone())
    }

    fn load(&self, name: &str, path: &Path, pin: Option<ModuleDigest>) -> Result<Arc<dyn Kind>> {
        let mut kept = self.kept.lock();
        let mut named = self.named.lock();
        named.insert(path.to_path_buf());
        kept.named.clone_from(&named);
        let place = (name.to_owned(), path.to_path_buf());
        let loaded = self.loader.load(name, path, kept.modules.get(&place))?;
        if let Some(pin) = pin.filter(|pin| *pin != loaded.digest) {
            anyhow::bail!(
                "{} has the digest {}, not {}",
                path.display(),
                hex::encode(loaded.digest),
                hex::encode(pin)
            );
        }
        let kind = Arc::clone(&loaded.kind);
        // Those that no snapshot holds any more.
        kept.modules.retain(|_, known| Arc::strong_count(&known.kind) > 1);
        kept.modules.insert(place, loaded);
        Ok(kind)
    }
}

fn text<'o>(options: &'o Map<String, Value>, name: &str) -> Result<Option<&'o str>, String> {
    match options.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("expected a string".to_owned()),
    }
}

fn parse_digest(text: &str) -> Result<ModuleDigest, String> {
    let mut digest = ModuleDigest::default();
    hex::decode_to_slice(text, &mut digest)
        .map(|()| digest)
        .map_err(|_| "expected a SHA-256 digest: 64 hexadecimal digits".to_owned())
}
