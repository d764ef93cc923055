//! Connections to upstreams and name resolution.

use crate::settings::group::settings_group;
use crate::settings::spec::{count, list, path, seconds, size, switch};
use crate::settings::values::{PemSource, TrustAnchor};
use std::path::PathBuf;
use std::time::Duration;

const YEAR: u64 = 31_536_000;

settings_group! {
    /// Connections to upstreams.
    Upstream, "Upstreams" {
        /// Idle connections to each upstream that a worker keeps.
        upstream_keepalive_pool_size: usize = count("512", 1, 1_048_576).zero("no reuse of connections");

        /// Requests on one connection, after which it is closed.
        upstream_keepalive_max_requests: u32 = count("10000", 1, 1_000_000_000).zero("no limit");

        /// Time that a connection is kept without a request.
        upstream_keepalive_idle_timeout: Duration = seconds("60", 1, YEAR).zero("no limit");

        /// Largest head of a response. A larger one is answered with 502.
        upstream_max_header_bytes: usize = size("256k", 8_192, 4 << 20);

        /// Header lines of a response. More is answered with 502.
        upstream_max_header_count: usize = count("1000", 8, 10_000);

        /// Whether certificates of upstreams are verified when the service does not say.
        upstream_tls_verify: bool = switch("off")
            .alias(&["tls_verify", "nginx_http_proxy_ssl_verify", "nginx_proxy_proxy_ssl_verify"]);

        /// Certificates that may sign those of upstreams and other servers the gateway calls: `system`, or PEM
        /// bundles as paths, text or base64.
        trusted_certificates: Vec<TrustAnchor> = list("system", "`system` or PEM bundles")
            .alias(&["lua_ssl_trusted_certificate"]);

        /// Whether a certificate of our own is shown to upstreams that ask for one when the service has none.
        client_ssl: bool = switch("off");

        /// That certificate, as the path of a PEM file, PEM text or PEM in base64.
        client_ssl_cert: Option<PemSource> = path("");

        /// Its key, in the same forms.
        client_ssl_cert_key: Option<PemSource> = path("").key_material();
    }
}

settings_group! {
    /// Name resolution.
    Dns, "Name resolution" {
        /// Name servers, `address[:port]`. Without any, those of the operating system are asked.
        dns_resolver: Vec<String> = list("", "addresses of name servers").later();

        /// File of fixed names.
        dns_hostsfile: PathBuf = path("/etc/hosts").later();

        /// Order in which record types are asked for; `LAST` is the one that answered before.
        dns_order: Vec<String> = list("LAST,SRV,A,CNAME", "record types").later();

        /// Time that answers are kept instead of the one they state.
        dns_valid_ttl: Option<Duration> = seconds("", 0, YEAR).later();

        /// Time that an expired answer serves on while a new one is fetched.
        dns_stale_ttl: Duration = seconds("3600", 0, YEAR).later();

        /// Time that the absence of a name is remembered.
        dns_not_found_ttl: Duration = seconds("30", 0, YEAR).later();

        /// Time that a failed question is remembered.
        dns_error_ttl: Duration = seconds("1", 0, YEAR).later();

        /// Answers that are kept.
        dns_cache_size: usize = count("10000", 1, 10_000_000).later();

        /// Whether equal questions are asked side by side instead of once.
        dns_no_sync: bool = switch("off").later();

        /// Kong's choice between two resolvers; Tidegate has one.
        new_dns_client: bool = switch("off").never();

        /// Name servers of Kong's newer resolver.
        resolver_address: Vec<String> = list("", "addresses of name servers").later();

        /// File of fixed names of Kong's newer resolver.
        resolver_hosts_file: PathBuf = path("/etc/hosts").later();

        /// Record types of Kong's newer resolver.
        resolver_family: Vec<String> = list("A,SRV", "record types").later();

        /// Time that answers are kept, for Kong's newer resolver.
        resolver_valid_ttl: Option<Duration> = seconds("", 0, YEAR).later();

        /// Time that failures are remembered, for Kong's newer resolver.
        resolver_error_ttl: Duration = seconds("1", 0, YEAR).later();

        /// Time that an expired answer serves on, for Kong's newer resolver.
        resolver_stale_ttl: Duration = seconds("3600", 0, YEAR).later();

        /// Answers that are kept, for Kong's newer resolver.
        resolver_lru_cache_size: usize = count("10000", 1, 10_000_000).later();

        /// Shared memory of Kong's newer resolver.
        resolver_mem_cache_size: usize = size("5m", 1, 1 << 40).never();
    }
}
