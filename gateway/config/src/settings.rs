//! Process settings: one table, read from a file, the environment and flags.
//!
//! Every setting is declared once, in a row of [`table`]: name, aliases, kind of value with its range, default and
//! text. The row makes the typed field of [`Settings`], the parser, the help, `tidegate.conf.default` and the page in
//! the manual, so none of them can disagree with another.
//!
//! Later wins: default, file, `KONG_X`, `TIDEGATE_X`, flag. An empty value counts as not given. The whole set is
//! read before anything is refused, so that one run names every fault.

mod choice;
mod environment;
mod fault;
mod file;
mod group;
mod limits_page;
mod manual;
mod merge;
mod spec;
pub mod table;
mod value;
pub mod values;

#[cfg(test)]
mod tests;

pub use fault::{Fault, SettingsError};
pub use limits_page::{FIXED, FixedLimit, Unit, limits};
pub use manual::{conf_default, help, markdown};
pub use merge::{Effective, Origin, Sources};
pub use spec::{Definition, Effect, Kind, Secrecy, Spec, TimeUnit};
pub use value::Value;

use std::path::{Path, PathBuf};
use table::{
    AdminApi, ClientAddress, ClientLimits, Configuration, Dns, Filters, Http2, Listeners, Logs, Process,
    Replies, Reserved, Store, Tls, Upstream,
};

/// The settings of one process, typed, with the origin of every value.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads, working directory, life of the process.
    pub process: Process,
    /// Where the declarative file is and how it is read.
    pub configuration: Configuration,
    /// Addresses to listen on.
    pub listeners: Listeners,
    /// Access logs and the process log.
    pub logs: Logs,
    /// How the client's address is found behind other proxies.
    pub client_address: ClientAddress,
    /// Headers the gateway adds and error bodies it writes.
    pub replies: Replies,
    /// Bounds on what clients may send and hold.
    pub limits: ClientLimits,
    /// Bounds and windows of HTTP/2 connections from clients.
    pub http2: Http2,
    /// Connections to upstreams.
    pub upstream: Upstream,
    /// TLS towards clients.
    pub tls: Tls,
    /// Name resolution.
    pub dns: Dns,
    /// Wasm filters.
    pub filters: Filters,
    /// Names that Kong has and this version accepts without effect.
    pub reserved: Reserved,
    /// Where entities live.
    pub store: Store,
    /// The Admin API.
    pub admin: AdminApi,
    effective: Vec<Effective>,
}

/// Settings that were read, and what the reader should be told although nothing is wrong enough to stop.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// One line each: unknown `KONG_` variables, values without effect, values given twice.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads all sources.
    ///
    /// # Errors
    /// Every fault found: unknown names, values that do not fit, settings that contradict each other.
    pub fn load(sources: &Sources) -> Result<Loaded, SettingsError> {
        let mut merged = merge::merge(sources);
        let settings = Self::read(&mut merged);
        let faults = std::mem::take(&mut merged.faults);
        match settings {
            Some(settings) if faults.is_empty() => Ok(Loaded {
                settings,
                warnings: merged.warnings,
            }),
            _ => Err(SettingsError { faults }),
        }
    }

    /// The defaults with some values replaced, as if given by flags; what embedders and tests start from.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn with(values: &[(&str, &str)]) -> Result<Self, SettingsError> {
        let flags = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self::load(&Sources {
            flags,
            ..Sources::default()
        })
        .map(|loaded| loaded.settings)
    }

    /// All definitions, in the order of the manual.
    pub fn definitions() -> impl Iterator<Item = &'static Definition> {
        table::GROUPS.iter().flat_map(|group| group.definitions.iter())
    }

    /// Every setting with the text it was given as and where that came from, in the order of the manual.
    #[must_use]
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// Where the value of the setting `name` came from; `None` when there is no such setting.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.effective
            .iter()
            .find(|entry| entry.definition.name == name)
            .map(|entry| &entry.origin)
    }

    /// `path` as seen from the working directory `prefix`; absolute paths stay as they are.
    #[must_use]
    pub fn in_prefix(&self, path: &Path) -> PathBuf {
        self.process.prefix.join(path)
    }

    /// The file that a log goes to, as the log writer names it; none when the log is off.
    #[must_use]
    pub fn log_path(&self, target: &values::LogTarget) -> Option<String> {
        match target {
            values::LogTarget::Off => None,
            values::LogTarget::Stdout => Some("/dev/stdout".to_owned()),
            values::LogTarget::Stderr => Some("/dev/stderr".to_owned()),
            values::LogTarget::File(path) => Some(self.in_prefix(path).display().to_string()),
        }
    }

    /// The file that holds the process id while the gateway runs.
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.in_prefix(Path::new("pids/tidegate.pid"))
    }

    fn read(merged: &mut merge::Merged) -> Option<Self> {
        // All groups are read before the first `?`, so that faults of every group are collected.
        let process = Process::read(merged);
        let configuration = Configuration::read(merged);
        let listeners = Listeners::read(merged);
        let logs = Logs::read(merged);
        let client_address = ClientAddress::read(merged);
        let replies = Replies::read(merged);
        let limits = ClientLimits::read(merged);
        let http2 = Http2::read(merged);
        let upstream = Upstream::read(merged);
        let tls = Tls::read(merged);
        let dns = Dns::read(merged);
        let filters = Filters::read(merged);
        let reserved = Reserved::read(merged);
        let store = Store::read(merged);
        let admin = AdminApi::read(merged);
        let settings = Self {
            process: process?,
            configuration: configuration?,
            listeners: listeners?,
            logs: logs?,
            client_address: client_address?,
            replies: replies?,
            limits: limits?,
            http2: http2?,
            upstream: upstream?,
            tls: tls?,
            dns: dns?,
            filters: filters?,
            reserved: reserved?,
            store: store?,
            admin: admin?,
            effective: merged.effective.clone(),
        };
        settings.check(&mut merged.faults);
        Some(settings)
    }

    /// Rules that concern more than one setting.
    fn check(&self, faults: &mut Vec<Fault>) {
        let mut refuse = |name: &str, message: String| {
            let origin = self.origin(name).cloned().unwrap_or(Origin::Default);
            faults.push(Fault {
                setting: name.to_owned(),
                origin,
                message,
                hint: None,
            });
        };
        let tls = &self.tls;
        for (cert, key, certificates, keys) in [
            ("ssl_cert", "ssl_cert_key", &tls.ssl_cert, &tls.ssl_cert_key),
            (
                "admin_ssl_cert",
                "admin_ssl_cert_key",
                &tls.admin_ssl_cert,
                &tls.admin_ssl_cert_key,
            ),
            (
                "status_ssl_cert",
                "status_ssl_cert_key",
                &tls.status_ssl_cert,
                &tls.status_ssl_cert_key,
            ),
        ] {
            let (certificates, keys) = (certificates.len(), keys.len());
            if certificates != keys {
                refuse(
                    key,
                    format!("{keys} keys for {certificates} certificates in `{cert}`"),
                );
            } else if certificates > 2 {
                refuse(
                    cert,
                    "takes at most two certificates, one for each type of key".to_owned(),
                );
            }
        }
        for (name, order) in [
            ("dns_order", &self.dns.dns_order),
            ("resolver_family", &self.dns.resolver_family),
        ] {
            if !order.iter().any(|kind| kind.leads_to_addresses()) {
                refuse(name, "needs at least one of `SRV`, `A` and `AAAA`".to_owned());
            }
        }
        if let Some(name) = self.configuration.vaults.names.iter().find(|name| *name != "env") {
            refuse(
                "vaults",
                format!("there is no vault of type `{name}` in this build; there is `env`"),
            );
        }
        let upstream = &self.upstream;
        if upstream.client_ssl
            && (upstream.client_ssl_cert.is_none() || upstream.client_ssl_cert_key.is_none())
        {
            refuse(
                "client_ssl",
                "needs `client_ssl_cert` and `client_ssl_cert_key`".to_owned(),
            );
        }
        let limits = &self.limits;
        for (name, size) in [
            ("client_max_request_line", limits.client_max_request_line),
            ("client_max_header_line", limits.client_max_header_line),
        ] {
            if size > limits.client_max_header_bytes {
                refuse(
                    name,
                    format!(
                        "{size} bytes is more than `client_max_header_bytes` ({})",
                        limits.client_max_header_bytes
                    ),
                );
            }
        }
    }
}
