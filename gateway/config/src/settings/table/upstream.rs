//! Connections to upstreams and name resolution.

use crate::settings::group::settings_group;
use crate::settings::spec::{count, list, path, seconds, size, switch};
use crate::settings::values::{NameServer, PemSource, RecordType, TrustAnchor};
use std::path::PathBuf;
use std::time::Duration;

const YEAR: u64 = 31_536_000;

settings_group! {
    /// Connections to upstreams.
    Upstream, "Upstreams" {
        /// Idle connections to each upstream that a worker keeps.
        upstream_keepalive_pool_size: usize = count("512", 1, 1_048_576).zero("no reuse of connections").limit();

        /// Requests on one connection, after which it is closed.
        upstream_keepalive_max_requests: u32 = count("10000", 1, 1_000_000_000).zero("no limit").limit();

        /// Time that a connection is kept without a request.
        upstream_keepalive_idle_timeout: Duration = seconds("60", 1, YEAR).zero("no limit").limit();

        /// Largest head of a response. A larger one is answered with 502.
        upstream_max_header_bytes: usize = size("256k", 8_192, 4 << 20).limit();

        /// Header lines of a response. More is answered with 502.
        upstream_max_header_count: usize = count("1000", 8, 10_000).limit();

        /// Whether certificates of upstreams are verified when the service does not say.
        upstream_tls_verify: bool = switch("off")
            .alias(&["tls_verify", "nginx_http_proxy_ssl_verify", "nginx_proxy_proxy_ssl_verify"]);

        /// Intermediate certificates between that of an upstream and a trusted one, at most, when the service does not
        /// say.
        upstream_tls_verify_depth: u32 = count("1", 0, 100).alias(&[
            "lua_ssl_verify_depth",
            "tls_verify_depth",
            "nginx_http_proxy_ssl_verify_depth",
            "nginx_proxy_proxy_ssl_verify_depth",
        ]);

        /// Certificates that may sign those of upstreams and other servers the gateway calls: `system`, or PEM
        /// bundles as paths, text or base64. One that cannot be read stops the start.
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
        /// Name servers. Without any, those of `/etc/resolv.conf` are asked; its search list and its options `ndots`,
        /// `timeout` and `attempts` hold in any case.
        dns_resolver: Vec<NameServer> = list("", SERVERS);

        /// File of fixed names, read at the start.
        dns_hostsfile: PathBuf = path("/etc/hosts");

        /// Types of records in the order of asking; the first that has some is taken. `LAST` is the one that answered
        /// for this name before. `CNAME` is followed with each type and never asked for by itself.
        dns_order: Vec<RecordType> = list("LAST,SRV,A,CNAME", "`LAST`, `SRV`, `A`, `AAAA` and `CNAME`");

        /// Time that answers are kept instead of the one they state.
        dns_valid_ttl: Option<Duration> = seconds("", 1, YEAR);

        /// Time that an expired answer serves on while a new one is fetched.
        dns_stale_ttl: Duration = seconds("3600", 0, YEAR);

        /// Time that the absence of a name is remembered.
        dns_not_found_ttl: Duration = seconds("30", 0, YEAR);

        /// Time that a failed question is remembered, and the pause before a failed renewal is tried again.
        dns_error_ttl: Duration = seconds("1", 0, YEAR);

        /// Names that each worker keeps answers for.
        dns_cache_size: usize = count("10000", 1, 10_000_000).limit();

        /// Whether Kong's requests that wait for the same unknown name ask side by side. In Tidegate they always share one
        /// question.
        dns_no_sync: bool = switch("off").never();

        /// Whether the `resolver_*` settings hold instead of the `dns_*` ones, as for Kong's newer resolver: SRV is then
        /// asked only for names of the form `_service._proto.name`.
        new_dns_client: bool = switch("off");

        /// As `dns_resolver`, with `new_dns_client`.
        resolver_address: Vec<NameServer> = list("", SERVERS);

        /// As `dns_hostsfile`, with `new_dns_client`.
        resolver_hosts_file: PathBuf = path("/etc/hosts");

        /// As `dns_order`, with `new_dns_client`.
        resolver_family: Vec<RecordType> = list("A,SRV", "`SRV`, `A` and `AAAA`");

        /// As `dns_valid_ttl`, with `new_dns_client`.
        resolver_valid_ttl: Option<Duration> = seconds("", 1, YEAR);

        /// As `dns_not_found_ttl` and `dns_error_ttl`, with `new_dns_client`.
        resolver_error_ttl: Duration = seconds("1", 0, YEAR);

        /// As `dns_stale_ttl`, with `new_dns_client`.
        resolver_stale_ttl: Duration = seconds("3600", 0, YEAR);

        /// As `dns_cache_size`, with `new_dns_client`.
        resolver_lru_cache_size: usize = count("10000", 1, 10_000_000).limit();

        /// Shared memory of Kong's newer resolver.
        resolver_mem_cache_size: usize = size("5m", 1, 1 << 40).never();
    }
}

const SERVERS: &str = "`address` or `address:port`";
