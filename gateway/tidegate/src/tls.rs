//! TLS of both sides: certificates for clients, trust and client certificates for upstreams.

use anyhow::{Context, Result};
use hashbrown::HashMap;
use std::sync::Arc;
use tidegate_config::settings::Settings;
use tidegate_config::settings::values::{CipherSuite, PemSource, TrustAnchor};
use tidegate_model::entities::{EntitySet, Service};
use tidegate_model::ids::{CaCertificateId, CertificateId};
use tidegate_net::tls::{
    CertificateInput, CertificatePair, CertificateStore, ClientCertificate, ServerTls, ServerTlsSettings,
    SwappableCertificates, UpstreamTlsCache, UpstreamTlsOptions, self_signed_pair,
};
use tidegate_proxy::worker::UpstreamTlsSource;

/// TLS state of the process; certificates are swapped on reload.
pub(crate) struct TlsState {
    default: CertificatePair,
    certificates: Arc<SwappableCertificates>,
    settings: ServerTlsSettings,
    upstream: Arc<UpstreamTlsCache>,
}

impl TlsState {
    /// Loads the configured certificates; makes a self-signed one when there is no default.
    pub(crate) fn new(settings: &Settings, entities: &EntitySet) -> Result<Self> {
        let default = default_pair(settings)?;
        let store = store(entities, default.clone())?;
        Ok(Self {
            default,
            certificates: Arc::new(SwappableCertificates::new(store)),
            settings: server_settings(settings),
            upstream: Arc::default(),
        })
    }

    /// Takes the certificates of a new configuration into service.
    pub(crate) fn update(&self, entities: &EntitySet) -> Result<()> {
        self.certificates.swap(store(entities, self.default.clone())?);
        Ok(())
    }

    /// TLS of a listener.
    pub(crate) fn server(&self, http2: bool) -> Result<Arc<ServerTls>> {
        let settings = ServerTlsSettings {
            http2,
            ..self.settings.clone()
        };
        let server =
            ServerTls::build(&settings, Arc::clone(&self.certificates) as _).context("cannot set up TLS")?;
        Ok(Arc::new(server))
    }

    /// How TLS to the upstreams of a configuration is set up.
    pub(crate) fn upstream_source(
        &self,
        settings: &Settings,
        entities: &EntitySet,
    ) -> Box<UpstreamTlsSource> {
        let certificates: HashMap<CertificateId, ClientCertificate> = entities
            .certificates
            .iter()
            .map(|entity| {
                let pair = ClientCertificate {
                    cert: Arc::from(entity.cert.as_str()),
                    key: Arc::from(entity.key.as_str()),
                };
                (entity.id, pair)
            })
            .collect();
        let authorities: HashMap<CaCertificateId, Arc<str>> = entities
            .ca_certificates
            .iter()
            .map(|entity| (entity.id, Arc::from(entity.cert.as_str())))
            .collect();
        let global = global_client_certificate(settings);
        let trusted = trusted_certificates(settings);
        let (cache, verify) = (Arc::clone(&self.upstream), settings.upstream.upstream_tls_verify);
        Box::new(move |service: &Service| {
            let own = service
                .client_certificate
                .and_then(|reference| certificates.get(&reference.id))
                .cloned();
            let wanted = service.ca_certificates.as_deref().unwrap_or_default();
            let options = UpstreamTlsOptions {
                verify: service.tls_verify.unwrap_or(verify),
                verify_depth: service.tls_verify_depth,
                ca_certificates: if wanted.is_empty() {
                    trusted.clone()
                } else {
                    wanted
                        .iter()
                        .filter_map(|id| authorities.get(id))
                        .cloned()
                        .collect()
                },
                client_certificate: own.or_else(|| global.clone()),
                http2: service.protocol.is_grpc(),
            };
            cache.get_or_build(&options).map_err(|error| error.to_string())
        })
    }
}

fn server_settings(settings: &Settings) -> ServerTlsSettings {
    let tls = &settings.tls;
    let (tls12, tls13) = match tls.ssl_cipher_suite {
        CipherSuite::Modern => (false, true),
        CipherSuite::Custom => (tls.ssl_protocols.tls12, tls.ssl_protocols.tls13),
        _ => (true, true),
    };
    // `ssl_protocols` narrows every suite: a listener that is told TLSv1.3 alone speaks nothing else.
    ServerTlsSettings {
        tls12: tls12 && tls.ssl_protocols.tls12,
        tls13: tls13 && tls.ssl_protocols.tls13,
        session_tickets: tls.ssl_session_tickets,
        session_cache_size: tls.ssl_session_cache_size / BYTES_PER_SESSION,
        http2: false,
    }
}

/// Memory that nginx reckons for a session.
const BYTES_PER_SESSION: usize = 256;

fn default_pair(settings: &Settings) -> Result<CertificatePair> {
    let mut pairs = settings.tls.ssl_cert.iter().zip(&settings.tls.ssl_cert_key);
    let Some((cert, key)) = pairs.next() else {
        return self_signed_pair().context("cannot make a self-signed certificate");
    };
    let (cert, key) = (read_pem(cert, "ssl_cert")?, read_pem(key, "ssl_cert_key")?);
    let alternative = match pairs.next() {
        Some((cert, key)) => Some((read_pem(cert, "ssl_cert")?, read_pem(key, "ssl_cert_key")?)),
        None => None,
    };
    let input = CertificateInput {
        cert: &cert,
        key: &key,
        alternative: alternative
            .as_ref()
            .map(|(cert, key)| (cert.as_str(), key.as_str())),
    };
    CertificatePair::load(&input).context("ssl_cert and ssl_cert_key")
}

fn store(entities: &EntitySet, default: CertificatePair) -> Result<CertificateStore> {
    let inputs: Vec<CertificateInput<'_>> = entities
        .certificates
        .iter()
        .map(|entity| CertificateInput {
            cert: &entity.cert,
            key: &entity.key,
            alternative: entity.cert_alt.as_deref().zip(entity.key_alt.as_deref()),
        })
        .collect();
    let places: HashMap<CertificateId, usize> = entities
        .certificates
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

fn global_client_certificate(settings: &Settings) -> Option<ClientCertificate> {
    let upstream = &settings.upstream;
    if !upstream.client_ssl {
        return None;
    }
    let (cert, key) = upstream
        .client_ssl_cert
        .as_ref()
        .zip(upstream.client_ssl_cert_key.as_ref())?;
    let pair =
        read_pem(cert, "client_ssl_cert").and_then(|cert| Ok((cert, read_pem(key, "client_ssl_cert_key")?)));
    match pair {
        Ok((cert, key)) => Some(ClientCertificate {
            cert: Arc::from(cert),
            key: Arc::from(key),
        }),
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "no client certificate is shown to upstreams"
            );
            None
        }
    }
}

/// Bundles that replace the system's trust store; none when the system's is among the wanted.
fn trusted_certificates(settings: &Settings) -> Vec<Arc<str>> {
    let mut bundles = Vec::new();
    for anchor in &settings.upstream.trusted_certificates {
        match anchor {
            TrustAnchor::System => return Vec::new(),
            TrustAnchor::Pem(source) => match read_pem(source, "trusted_certificates") {
                Ok(text) => bundles.push(Arc::from(text)),
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "a bundle of trusted certificates is left out"
                ),
            },
        }
    }
    bundles
}

fn read_pem(source: &PemSource, setting: &str) -> Result<String> {
    match source {
        PemSource::Inline(text) => Ok(text.clone()),
        PemSource::File(path) => std::fs::read_to_string(path)
            .with_context(|| format!("{setting}: cannot read {}", path.display())),
    }
}
