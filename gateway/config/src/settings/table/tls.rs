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

        /// Named set of TLS versions and ciphers: `modern` is TLS 1.3; `intermediate` and `old` are TLS 1.2 and 1.3 with
        /// all ciphers, of which none lacks forward secrecy; `fips` is the same with AES-GCM on NIST curves alone (the
        /// module in use is not a certified one); `custom` leaves it to `ssl_protocols` and `ssl_ciphers`.
        ssl_cipher_suite: CipherSuite = choice("intermediate", CipherSuite::WORDS);

        /// Versions of TLS that are offered, of those in `ssl_cipher_suite`: `TLSv1.2`, `TLSv1.3`. TLS 1.0 and 1.1
        /// may be listed, but are never offered.
        ssl_protocols: TlsVersions = text("TLSv1.2 TLSv1.3", "`TLSv1.2`, `TLSv1.3` or both, separated by spaces")
            .alias(&["nginx_http_ssl_protocols", "nginx_proxy_ssl_protocols"]);

        /// Ciphers for `ssl_cipher_suite = custom` in the notation of OpenSSL: names and selectors such as
        /// `ECDHE+AESGCM`, separated by colons. What Tidegate does not have is named in a warning; a list that leaves
        /// nothing for TLS 1.2 stops the start unless `ssl_protocols` is TLS 1.3 alone. Suites of TLS 1.3 are chosen by
        /// their full names, all of them when the list has none.
        ssl_ciphers: String = text("", "names of ciphers, separated by colons")
            .alias(&["nginx_http_ssl_ciphers", "nginx_proxy_ssl_ciphers"]);

        /// Whether the order of our ciphers decides over that of the client, for `ssl_cipher_suite = custom`. With
        /// `old` and `fips` ours decides, with `modern` and `intermediate` the client's.
        ssl_prefer_server_ciphers: bool = switch("on")
            .alias(&["nginx_http_ssl_prefer_server_ciphers", "nginx_proxy_ssl_prefer_server_ciphers"]);

        /// Whether clients may resume sessions with tickets.
        ssl_session_tickets: bool = switch("on")
            .alias(&["nginx_http_ssl_session_tickets", "nginx_proxy_ssl_session_tickets"]);

        /// Time in which a session can be resumed; with tickets at most 12 hours, after which their keys are gone.
        ssl_session_timeout: Duration = seconds("1d", 1, 604_800)
            .alias(&["nginx_http_ssl_session_timeout", "nginx_proxy_ssl_session_timeout"]);

        /// Memory for sessions that are resumed by id; a session takes about 256 bytes, as nginx counts.
        ssl_session_cache_size: usize = size("10m", 0, 1 << 30).limit();

        /// Diffie-Hellman parameters. Keys are agreed on by elliptic curves only, so there is no use for them.
        ssl_dhparam: Option<PathBuf> = path("").alias(&["nginx_http_ssl_dhparam"]).never();

        /// Certificates of `ssl` addresses of the Admin API. Without any, a self-signed one is made at the start.
        admin_ssl_cert: Vec<PemSource> = CERTIFICATE;

        /// Keys of `admin_ssl_cert`, in the same order.
        admin_ssl_cert_key: Vec<PemSource> = KEY;

        /// Certificates of `ssl` addresses of the status API. Without any, a self-signed one is made at the start.
        status_ssl_cert: Vec<PemSource> = CERTIFICATE;

        /// Keys of `status_ssl_cert`, in the same order.
        status_ssl_cert_key: Vec<PemSource> = KEY;

        /// Certificates of the manager UI.
        admin_gui_ssl_cert: Vec<PemSource> = CERTIFICATE.later();

        /// Keys of `admin_gui_ssl_cert`.
        admin_gui_ssl_cert_key: Vec<PemSource> = KEY.later();
    }
}
