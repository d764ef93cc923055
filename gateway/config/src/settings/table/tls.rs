//! TLS towards clients.

use crate::settings::group::settings_group;
use crate::settings::spec::{Secrecy, Spec, choice, list, path, seconds, size, switch, text};
use crate::settings::values::{CipherSuite, PemSource, TlsVersions};
use std::path::PathBuf;
use std::time::Duration;

const PEM: &str = "paths of PEM files, PEM texts or PEM in base64";
const CERTIFICATE: Spec = list("", PEM);
const KEY: Spec = Spec {
    secrecy: Secrecy::KeyMaterial,
    ..CERTIFICATE
};

settings_group! {
    /// TLS towards clients.
    Tls, "TLS from clients" {
        /// Certificates for clients whose server name no certificate entity has. Without any, a self-signed one is
        /// made at the start.
        ssl_cert: Vec<PemSource> = CERTIFICATE;

        /// Keys of `ssl_cert`, in the same order.
        ssl_cert_key: Vec<PemSource> = KEY;

        /// Named set of TLS versions: `modern` is TLS 1.3; `intermediate`, `old` and `fips` are TLS 1.2 and 1.3 with
        /// the same ciphers; `custom` leaves it to `ssl_protocols`.
        ssl_cipher_suite: CipherSuite = choice("intermediate", CipherSuite::WORDS);

        /// Versions of TLS that are offered, of those in `ssl_cipher_suite`: `TLSv1.2`, `TLSv1.3`. TLS 1.0 and 1.1
        /// may be listed, but are never offered.
        ssl_protocols: TlsVersions = text("TLSv1.2 TLSv1.3", "`TLSv1.2`, `TLSv1.3` or both, separated by spaces")
            .alias(&["nginx_http_ssl_protocols", "nginx_proxy_ssl_protocols"]);

        /// OpenSSL names of the ciphers for `ssl_cipher_suite = custom`, separated by colons.
        ssl_ciphers: String = text("", "names of ciphers, separated by colons").later();

        /// Whether the order of our ciphers decides over that of the client.
        ssl_prefer_server_ciphers: bool = switch("on").later();

        /// Whether clients may resume sessions with tickets.
        ssl_session_tickets: bool = switch("on")
            .alias(&["nginx_http_ssl_session_tickets", "nginx_proxy_ssl_session_tickets"]);

        /// Time in which a session can be resumed.
        ssl_session_timeout: Duration = seconds("1d", 1, 604_800)
            .alias(&["nginx_http_ssl_session_timeout", "nginx_proxy_ssl_session_timeout"])
            .later();

        /// Memory for sessions that are resumed by id; a session takes about 256 bytes, as nginx counts.
        ssl_session_cache_size: usize = size("10m", 0, 1 << 30);

        /// Diffie-Hellman parameters; only elliptic curves are offered.
        ssl_dhparam: Option<PathBuf> = path("").alias(&["nginx_http_ssl_dhparam"]).never();

        /// Certificates of the Admin API.
        admin_ssl_cert: Vec<PemSource> = CERTIFICATE.later();

        /// Keys of `admin_ssl_cert`.
        admin_ssl_cert_key: Vec<PemSource> = KEY.later();

        /// Certificates of the status API.
        status_ssl_cert: Vec<PemSource> = CERTIFICATE.later();

        /// Keys of `status_ssl_cert`.
        status_ssl_cert_key: Vec<PemSource> = KEY.later();

        /// Certificates of the manager UI.
        admin_gui_ssl_cert: Vec<PemSource> = CERTIFICATE.later();

        /// Keys of `admin_gui_ssl_cert`.
        admin_gui_ssl_cert_key: Vec<PemSource> = KEY.later();
    }
}
