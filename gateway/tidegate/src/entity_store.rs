//! Opens the store that the settings name.

use crate::tls::trust;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;
use tidegate_config::settings::Settings;
use tidegate_config::settings::values::Database;
use tidegate_net::tls::{UpstreamTls, UpstreamTlsOptions};
use tidegate_store::{
    Backend, MemoryBackend, Options, PostgresBackend, PostgresSettings, PostgresTls, RedbBackend, Store,
};

/// The store of the setting `database`.
///
/// # Errors
/// When it cannot be opened; the text says how to mend that.
pub(crate) fn open(settings: &Settings) -> Result<Store> {
    let kind = kind(settings);
    if kind != Database::Off && names_text(settings) {
        let database = kind.as_str();
        tracing::warn!(
            database,
            "the declarative configuration is not read: entities live in the database"
        );
    }
    let backend: Box<dyn Backend> = match kind {
        Database::Embedded => Box::new(embedded(settings)?),
        Database::Postgres => Box::new(PostgresBackend::open(postgres_settings(settings)?)?),
        Database::Off | Database::Auto => Box::new(MemoryBackend::default()),
    };
    Store::open(backend, Options::default()).context("cannot open the store")
}

/// Where entities live, with `auto` decided.
pub(crate) fn kind(settings: &Settings) -> Database {
    match settings.store.database {
        Database::Auto if names_text(settings) => Database::Off,
        Database::Auto => Database::Embedded,
        named => named,
    }
}

/// Whether entities come all at once, from a declarative text.
pub(crate) fn is_declarative(settings: &Settings) -> bool {
    kind(settings) == Database::Off
}

/// Whether the settings name a declarative text.
pub(crate) fn names_text(settings: &Settings) -> bool {
    let configuration = &settings.configuration;
    configuration.declarative_config.is_some() || configuration.declarative_config_string.is_some()
}

/// How PostgreSQL is reached.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn postgres_settings(settings: &Settings) -> Result<PostgresSettings> {
    let store = &settings.store;
    let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(PostgresSettings {
        host: store.pg_host.clone(),
        port: u16::try_from(store.pg_port).context("pg_port: there is no such port")?,
        database: store.pg_database.clone(),
        user: store.pg_user.clone(),
        password: store
            .pg_password
            .as_ref()
            .map(|password| password.expose().to_owned()),
        schema: named(&store.pg_schema),
        timeout: store.pg_timeout,
        poll_interval: store.db_update_frequency.max(Duration::from_millis(100)),
        tls: store.pg_ssl.then(|| postgres_tls(settings)).transpose()?,
    })
}

fn postgres_tls(settings: &Settings) -> Result<PostgresTls> {
    let trust = trust(settings)?;
    let tls = UpstreamTls::build(&UpstreamTlsOptions {
        verify: settings.store.pg_ssl_verify,
        verify_depth: None,
        ca_certificates: trust.bundles,
        trusts_system: trust.system,
        client_certificate: None,
        http2: false,
    });
    Ok(PostgresTls {
        client: Arc::clone(tls.context("pg_ssl")?.config()),
        is_required: true,
    })
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
