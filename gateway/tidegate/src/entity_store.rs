//! Opens the store that the settings name.

use anyhow::{Context, Result};
use tidegate_config::settings::Settings;
use tidegate_config::settings::values::Database;
use tidegate_store::{Backend, MemoryBackend, Options, RedbBackend, Store};

/// The store of the setting `database`.
///
/// # Errors
/// When it cannot be opened; the text says how to mend that.
pub(crate) fn open(settings: &Settings) -> Result<Store> {
    let backend: Box<dyn Backend> = match kind(settings) {
        Database::Embedded => Box::new(embedded(settings)?),
        Database::Postgres => anyhow::bail!("database: PostgreSQL is not supported yet"),
        Database::Off | Database::Auto => Box::new(MemoryBackend::default()),
    };
    Store::open(backend, Options::default()).context("cannot open the store")
}

/// Where entities live, with `auto` decided.
pub(crate) fn kind(settings: &Settings) -> Database {
    let configuration = &settings.configuration;
    match settings.store.database {
        Database::Auto
            if configuration.declarative_config.is_some()
                || configuration.declarative_config_string.is_some() =>
        {
            Database::Off
        }
        Database::Auto => Database::Embedded,
        named => named,
    }
}

fn embedded(settings: &Settings) -> Result<RedbBackend> {
    let path = settings
        .store
        .store_path
        .as_deref()
        .context("store_path: a path is needed")?;
    let path = settings.in_prefix(path);
    RedbBackend::open(&path).with_context(|| {
        format!(
            "cannot open the store {}; set `prefix` or `store_path` to where it may be written, or `database = off` to keep \
             nothing",
            path.display()
        )
    })
}
