//! A PostgreSQL of the test's own, and settings that lead to it.

use super::{PostgresBackend, PostgresSettings};
use crate::backend::Migrator;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) struct Server(tidegate_test_postgres::Server);

impl Server {
    pub(super) fn start() -> Self {
        Self(tidegate_test_postgres::Server::start())
    }

    /// Prepared, not running; with settings such as `ssl=on`.
    pub(super) fn new(options: &[&str]) -> Self {
        Self(tidegate_test_postgres::Server::new(options))
    }

    pub(super) fn settings(&self) -> PostgresSettings {
        PostgresSettings {
            host: self.folder().display().to_string(),
            port: self.port(),
            database: tidegate_test_postgres::Server::DATABASE.to_owned(),
            user: tidegate_test_postgres::Server::USER.to_owned(),
            password: Some(tidegate_test_postgres::Server::PASSWORD.to_owned()),
            timeout: Duration::from_secs(4),
            ..PostgresSettings::default()
        }
    }

    /// Settings for a schema that nobody has used, with everything in it.
    pub(super) fn fresh(&self) -> PostgresSettings {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let settings = PostgresSettings {
            schema: Some(format!("Schema \"{}\"", NEXT.fetch_add(1, Ordering::Relaxed))),
            ..self.settings()
        };
        let mut migrator = Migrator::connect(settings.clone()).expect("a connection");
        assert!(!migrator.bootstrap().expect("a bootstrap").is_empty());
        settings
    }

    pub(super) fn backend(&self) -> PostgresBackend {
        PostgresBackend::open(self.fresh()).expect("a backend")
    }
}

impl Deref for Server {
    type Target = tidegate_test_postgres::Server;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
