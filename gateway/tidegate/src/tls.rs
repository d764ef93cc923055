//! TLS of both sides: certificates for clients, trust and client certificates for upstreams.

use crate::certificates;
use anyhow::{Context, Result};
use hashbrown::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_config::settings::Settings;
use tidegate_config::settings::values::{CipherSuite, PemSource, TrustAnchor};
use tidegate_model::entities::{EntitySet, Upstream};
use tidegate_model::ids::{CaCertificateId, CertificateId};
use tidegate_net::tls::{
    CertificateInput, CertificatePair, CertificateStore, CipherPolicy, CipherSelection, ClientCertificate,
    ServerTls, ServerTlsSettings, SwappableCertificates, UpstreamTls, UpstreamTlsCache, UpstreamTlsOptions,
    check_certificate, check_pair, expiry, self_signed_pair,
};
use tidegate_proxy::worker::{UpstreamTlsFor, UpstreamTlsSource};

/// TLS state of the process; certificates are swapped on reload.
pub(crate) struct TlsState {
    default: CertificatePair,
    certificates: Arc<SwappableCertificates>,
    settings: ServerTlsSettings,
    /// One for all workers, so that a session that began at one is resumed at another: with HTTP/1.1 only, with HTTP/2.
    servers: [Arc<ServerTls>; 2],
    upstream: Arc<UpstreamTlsCache>,
    trust: Trust,
    client_certificate: Option<ClientCertificate>,
    /// What the certificates in service were made from.
    mark: AtomicU64,
}

/// Who may sign certificates of upstreams.
pub(crate) struct Trust {
    pub(crate) bundles: Vec<Arc<str>>,
    pub(crate) system: bool,
}

impl TlsState {
    /// Loads the configured certificates; makes a self-signed one when there is no default.
    pub(crate) fn new(settings: &Settings, entities: &EntitySet) -> Result<Self> {
        let tls = &settings.tls;
        let default = pair(&tls.ssl_cert, &tls.ssl_cert_key, "ssl_cert")?;
        let store = store(entities, default.clone())?;
        let certificates = Arc::new(SwappableCertificates::new(store));
        let base = server_settings(settings);
        let server = |http2| -> Result<Arc<ServerTls>> {
            let settings = ServerTlsSettings {
                http2,
                ..base.clone()
            };
            let server = ServerTls::build(&settings, Arc::clone(&certificates) as _);
            Ok(Arc::new(server.context("cannot set up TLS from clients")?))
        };
        let servers = [server(false)?, server(true)?];
        Ok(Self {
            default,
            certificates,
            settings: base,
            servers,
            upstream: Arc::default(),
            trust: trust(settings)?,
            client_certificate: global_client_certificate(settings)?,
            mark: AtomicU64::new(mark(entities)),
        })
    }

    /// Takes the certificates of a new configuration into service. Most edits leave them as they are.
    pub(crate) fn update(&self, entities: &EntitySet) -> Result<()> {
        let mark = mark(entities);
        if self.mark.load(Ordering::Relaxed) != mark {
            self.certificates.swap(store(entities, self.default.clone())?);
            self.mark.store(mark, Ordering::Relaxed);
        }
        Ok(())
    }

    /// TLS of a listener for traffic.
    pub(crate) fn server(&self, http2: bool) -> Arc<ServerTls> {
        let [without_http2, with_http2] = &self.servers;
        Arc::clone(if http2 { with_http2 } else { without_http2 })
    }

    /// TLS of a listener that is not for traffic: its certificate is fixed and knows no server names.
    pub(crate) fn fixed_server(
        &self,
        certificates: &[PemSource],
        keys: &[PemSource],
        setting: &str,
        http2: bool,
    ) -> Result<Arc<ServerTls>> {
        let settings = ServerTlsSettings {
            http2,
            ..self.settings.clone()
        };
        let store = CertificateStore::build(&[], &[], pair(certificates, keys, setting)?)?;
        let server = ServerTls::build(&settings, Arc::new(store)).context("cannot set up TLS")?;
        Ok(Arc::new(server))
    }

    /// How TLS to the upstreams of a configuration is set up.
    pub(crate) fn upstream_source(
        &self,
        settings: &Settings,
        entities: &EntitySet,
    ) -> Box<UpstreamTlsSource> {
        let certificates = client_certificates(entities);
        let authorities: HashMap<CaCertificateId, Arc<str>> = entities
            .ca_certificates
            .iter()
            .map(|entity| (entity.id, Arc::from(entity.cert.as_str())))
            .collect();
        // A Service is tied to its Upstream by name.
        let of_upstreams: HashMap<String, CertificateId> = entities
            .upstreams
            .iter()
            .filter_map(|upstream| Some((upstream.name.clone(), upstream.client_certificate.as_ref()?.id)))
            .collect();
        let global = self.client_certificate.clone();
        let (trusted, trusts_system) = (self.trust.bundles.clone(), self.trust.system);
        let (cache, verify) = (Arc::clone(&self.upstream), settings.upstream.upstream_tls_verify);
        let depth = u8::try_from(settings.upstream.upstream_tls_verify_depth).ok();
        Box::new(move |UpstreamTlsFor { service, http2 }: UpstreamTlsFor<'_>| {
            let named = service.and_then(|service| match &service.client_certificate {
                Some(reference) => Some(reference.id),
                None => of_upstreams.get(&service.host).copied(),
            });
            let own = named.and_then(|id| certificates.get(&id)).cloned();
            let wanted = service.and_then(|service| service.ca_certificates.as_deref());
            let wanted = wanted.unwrap_or_default();
            let options = UpstreamTlsOptions {
                verify: service.is_none_or(|service| service.tls_verify.unwrap_or(verify)),
                verify_depth: service.and_then(|service| service.tls_verify_depth).or(depth),
                ca_certificates: if wanted.is_empty() {
                    trusted.clone()
                } else {
                    wanted
                        .iter()
                        .filter_map(|id| authorities.get(id))
                        .cloned()
                        .collect()
                },
                trusts_system: wanted.is_empty() && trusts_system,
                // Ours is shown to those whom the configuration names.
                client_certificate: own.or_else(|| service.and_then(|_| global.clone())),
                http2,
            };
            cache.get_or_build(&options).map_err(|error| error.to_string())
        })
    }

    /// How TLS of health checks is set up: the Upstream says whether certificates are verified and which one is shown.
    pub(crate) fn probe_source(&self, settings: &Settings, entities: &EntitySet) -> Box<ProbeTlsSource> {
        let certificates = client_certificates(entities);
        let global = self.client_certificate.clone();
        let (trusted, trusts_system) = (self.trust.bundles.clone(), self.trust.system);
        let cache = Arc::clone(&self.upstream);
        let depth = u8::try_from(settings.upstream.upstream_tls_verify_depth).ok();
        Box::new(move |upstream: &Upstream, http2| {
            let own = upstream.client_certificate.as_ref();
            let own = own.and_then(|reference| certificates.get(&reference.id)).cloned();
            let options = UpstreamTlsOptions {
                verify: upstream.healthchecks.active.https_verify_certificate,
                verify_depth: depth,
                ca_certificates: trusted.clone(),
                trusts_system,
                client_certificate: own.or_else(|| global.clone()),
                http2,
            };
            cache.get_or_build(&options).map_err(|error| error.to_string())
        })
    }
}

/// Makes the TLS set-up for health checks of an Upstream, with HTTP/2 or without; the text says why it cannot.
pub(crate) type ProbeTlsSource = dyn Fn(&Upstream, bool) -> Result<Arc<UpstreamTls>, String> + Send + Sync;

fn client_certificates(entities: &EntitySet) -> HashMap<CertificateId, ClientCertificate> {
    let pairs = entities.certificates.iter().map(|entity| {
        let pair = ClientCertificate {
            cert: Arc::from(entity.cert.as_str()),
            key: Arc::from(entity.key.as_str()),
        };
        (entity.id, pair)
    });
    pairs.collect()
}

fn server_settings(settings: &Settings) -> ServerTlsSettings {
    let tls = &settings.tls;
    if tls.ssl_cipher_suite != CipherSuite::Custom && !tls.ssl_ciphers.is_empty() {
        tracing::warn!("`ssl_ciphers` has an effect only with `ssl_cipher_suite = custom`");
    }
    // `ssl_protocols` narrows every suite: a listener that is told TLSv1.3 alone speaks nothing else.
    ServerTlsSettings {
        tls12: tls.ssl_cipher_suite != CipherSuite::Modern && tls.ssl_protocols.tls12,
        tls13: tls.ssl_protocols.tls13,
        ciphers: match tls.ssl_cipher_suite {
            CipherSuite::Fips => CipherPolicy::Fips,
            CipherSuite::Custom if !tls.ssl_ciphers.is_empty() => listed_ciphers(&tls.ssl_ciphers),
            _ => CipherPolicy::All,
        },
        prefer_server_ciphers: match tls.ssl_cipher_suite {
            CipherSuite::Custom => tls.ssl_prefer_server_ciphers,
            CipherSuite::Old | CipherSuite::Fips => true,
            CipherSuite::Modern | CipherSuite::Intermediate => false,
        },
        session_tickets: tls.ssl_session_tickets,
        session_timeout: tls.ssl_session_timeout,
        session_cache_size: tls.ssl_session_cache_size / BYTES_PER_SESSION,
        http2: false,
    }
}

fn listed_ciphers(list: &str) -> CipherPolicy {
    let selection = CipherSelection::parse(list);
    if !selection.unknown.is_empty() {
        let names = selection.unknown.join(", ");
        tracing::warn!("ssl_ciphers: not available and left out: {names}");
    }
    CipherPolicy::Listed(selection)
}

/// Memory that nginx reckons for a session.
const BYTES_PER_SESSION: usize = 256;

/// The pair of a setting and the setting of its keys; self-signed when they are empty.
fn pair(certificates: &[PemSource], keys: &[PemSource], setting: &str) -> Result<CertificatePair> {
    let key_setting = format!("{setting}_key");
    let mut pairs = certificates.iter().zip(keys).map(|(cert, key)| -> Result<_> {
        let pair = (read_pem(cert, setting)?, read_pem(key, &key_setting)?);
        warn_if_expired(&pair.0, setting);
        Ok(pair)
    });
    let Some((cert, key)) = pairs.next().transpose()? else {
        return self_signed_pair().context("cannot make a self-signed certificate");
    };
    let alternative: Option<(String, String)> = pairs.next().transpose()?;
    let input = CertificateInput {
        cert: &cert,
        key: &key,
        alternative: alternative
            .as_ref()
            .map(|(cert, key)| (cert.as_str(), key.as_str())),
    };
    CertificatePair::load(&input).with_context(|| format!("{setting} and {key_setting}"))
}

fn warn_if_expired(cert: &str, setting: &str) {
    if expiry(cert).is_ok_and(|end| end < unix_seconds()) {
        tracing::warn!("{setting}: the certificate has expired; clients that check it will refuse it");
    }
}

/// Tells sets of certificates apart.
fn mark(entities: &EntitySet) -> u64 {
    let mut hasher = DefaultHasher::new();
    for entity in &entities.certificates {
        (
            entity.id,
            &entity.cert,
            &entity.key,
            &entity.cert_alt,
            &entity.key_alt,
        )
            .hash(&mut hasher);
    }
    for sni in &entities.snis {
        (&sni.name, sni.certificate.id).hash(&mut hasher);
    }
    hasher.finish()
}

/// A certificate whose text is empty comes from a vault that does not have it, which was warned of: its names get the
/// default certificate. So do those of one that cannot be used, which a vault may have brought as well.
fn store(entities: &EntitySet, default: CertificatePair) -> Result<CertificateStore> {
    let present: Vec<_> = entities
        .certificates
        .iter()
        .filter(|entity| !entity.cert.is_empty() && !entity.key.is_empty())
        .filter(|entity| {
            let fault = certificates::pair_fault(entity);
            if let Some((_, reason)) = &fault {
                tracing::error!(certificate = %entity.id, reason, "a certificate cannot be used and is left out");
            }
            fault.is_none()
        })
        .collect();
    let inputs: Vec<CertificateInput<'_>> = present
        .iter()
        .map(|entity| CertificateInput {
            cert: &entity.cert,
            key: &entity.key,
            alternative: entity
                .cert_alt
                .as_deref()
                .zip(entity.key_alt.as_deref())
                .filter(|(cert, key)| !cert.is_empty() && !key.is_empty()),
        })
        .collect();
    let places: HashMap<CertificateId, usize> = present
        .iter()
        .enumerate()
        .map(|(place, entity)| (entity.id, place))
        .collect();
    let snis: Vec<(&str, usize)> = entities
        .snis
        .iter()
        .filter_map(|sni| {
            places
                .get(&sni.certificate.id)
                .map(|place| (sni.name.as_str(), *place))
        })
        .collect();
    CertificateStore::build(&inputs, &snis, default).context("certificates")
}

fn global_client_certificate(settings: &Settings) -> Result<Option<ClientCertificate>> {
    let upstream = &settings.upstream;
    let sources = upstream
        .client_ssl_cert
        .as_ref()
        .zip(upstream.client_ssl_cert_key.as_ref());
    let Some((cert, key)) = sources.filter(|_| upstream.client_ssl) else {
        return Ok(None);
    };
    let (cert, key) = (
        read_pem(cert, "client_ssl_cert")?,
        read_pem(key, "client_ssl_cert_key")?,
    );
    check_pair(&cert, &key, None).context("client_ssl_cert and client_ssl_cert_key")?;
    warn_if_expired(&cert, "client_ssl_cert");
    Ok(Some(ClientCertificate {
        cert: Arc::from(cert),
        key: Arc::from(key),
    }))
}

/// The system's trust store, bundles, or both.
pub(crate) fn trust(settings: &Settings) -> Result<Trust> {
    let mut trust = Trust {
        bundles: Vec::new(),
        system: false,
    };
    for anchor in &settings.upstream.trusted_certificates {
        match anchor {
            TrustAnchor::System => trust.system = true,
            TrustAnchor::Pem(source) => {
                let text = read_pem(source, "trusted_certificates")?;
                check_certificate(&text).context("trusted_certificates")?;
                trust.bundles.push(Arc::from(text));
            }
        }
    }
    Ok(trust)
}

fn read_pem(source: &PemSource, setting: &str) -> Result<String> {
    match source {
        PemSource::Inline(text) => Ok(text.clone()),
        PemSource::File(path) => std::fs::read_to_string(path)
            .with_context(|| format!("{setting}: cannot read {}", path.display())),
    }
}

/// The present in Unix seconds.
pub(crate) fn unix_seconds() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}
