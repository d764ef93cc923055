//! Names of Kong that this version accepts without acting on them, so that files and start scripts carry over.

use crate::settings::group::settings_group;
use crate::settings::spec::{Kind, Spec, choice, count, list, millis, path, seconds, size, switch, text};
use crate::settings::values::{PemSource, Secret};
use std::path::PathBuf;
use std::time::Duration;

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;
const MANY: u64 = 1_000_000_000;
const HOUR_MS: u64 = 3_600_000;

settings_group! {
    /// Names that Kong has and this version accepts without effect.
    Reserved, "Accepted names of Kong" {
        /// Questions to PostgreSQL at the same time.
        pg_max_concurrent_queries: u64 = count("0", 0, MANY).later();
        /// Time that a question waits for its turn.
        pg_semaphore_timeout: Duration = millis("60000", 1, HOUR_MS).later();
        /// Time that a connection to PostgreSQL is kept.
        pg_keepalive_timeout: Option<Duration> = millis("", 0, 24 * HOUR_MS).later();
        /// Connections to PostgreSQL that are kept.
        pg_pool_size: Option<u64> = count("", 1, MANY).later();
        /// Questions that may wait when all connections to PostgreSQL are busy.
        pg_backlog: Option<u64> = count("", 0, MANY).later();
        /// Host of a read-only replica of PostgreSQL.
        pg_ro_host: String = text("", "a host").later();
        /// Port of the replica.
        pg_ro_port: Option<u32> = count("", 1, 65_535).later();
        /// Time for one question to the replica.
        pg_ro_timeout: Option<Duration> = millis("", 1, HOUR_MS).later();
        /// User at the replica.
        pg_ro_user: String = text("", "a name").later();
        /// Password at the replica.
        pg_ro_password: Option<Secret> = text("", "a password").secret().later();
        /// Database at the replica.
        pg_ro_database: String = text("", "a name").later();
        /// Schema at the replica.
        pg_ro_schema: String = text("", "a name").later();
        /// Whether connections to the replica use TLS.
        pg_ro_ssl: Option<bool> = switch("").later();
        /// Whether the certificate of the replica is verified.
        pg_ro_ssl_verify: Option<bool> = switch("").later();
        /// Time that a change needs to reach all database nodes.
        db_update_propagation: Duration = seconds("0", 0, DAY).later();
        /// Time that entities are kept in memory.
        db_cache_ttl: Duration = seconds("0", 0, YEAR).later();
        /// Time that absent entities are kept in memory.
        db_cache_neg_ttl: Option<Duration> = seconds("", 0, YEAR).later();
        /// Time that stale entities serve on when the database is down.
        db_resurrect_ttl: Duration = seconds("30", 0, YEAR).later();
        /// Entities that Kong loads before it serves.
        db_cache_warmup_entities: Vec<String> = list("services", "names of collections").never();
        /// When a changed configuration takes effect. In Tidegate a change is always atomic.
        worker_consistency: String = choice("eventual", &["eventual", "strict"]).never();
        /// How often Kong's workers look for changes.
        worker_state_update_frequency: Duration = seconds("5", 0, DAY).never();
        /// Address of the control plane.
        cluster_control_plane: String = text("127.0.0.1:8005", "host:port").later();
        /// How control plane and data planes know each other.
        cluster_mtls: String = choice("shared", &["shared", "pki", "pki_check_cn"]).later();
        /// Certificate between control plane and data planes.
        cluster_cert: Option<PathBuf> = path("").later();
        /// Key of `cluster_cert`.
        cluster_cert_key: Option<PemSource> = path("").key_material().later();
        /// Certificate that signed those of the other side.
        cluster_ca_cert: Option<PathBuf> = path("").later();
        /// Server name of the control plane.
        cluster_server_name: String = text("", "a host").later();
        /// Whether certificates of the other side are checked by OCSP.
        cluster_ocsp: String = choice("off", &["off", "on", "optional"]).later();
        /// Time after which a silent data plane is forgotten.
        cluster_data_plane_purge_delay: Duration = seconds("1209600", 60, YEAR).later();
        /// Largest message between control plane and data planes.
        cluster_max_payload: u64 = size("16777216", 4 << 20, 1 << 32).later();
        /// Labels that a data plane reports.
        cluster_dp_labels: Vec<String> = list("", "pairs `key:value`").later();
        /// Whether changes travel as differences.
        cluster_incremental_sync: bool = switch("off").alias(&["incremental_sync"]).later();
        /// Whether a data plane reaches the control plane through a proxy.
        cluster_use_proxy: bool = switch("off").later();
        /// Proxy for outgoing connections.
        proxy_server: Option<Secret> = text("", "a URL").secret().later();
        /// What is traced.
        tracing_instrumentations: Vec<String> = list("off", "names of instrumentations").later();
        /// Share of requests that are traced.
        tracing_sampling_rate: f64 = Spec::new(Kind::Ratio, "0.01").later();
        /// Whether a request may ask for its timings.
        request_debug: bool = switch("on").later();
        /// What a remote request must show for that.
        request_debug_token: Option<Secret> = text("", "a token").secret().later();
        /// Path below which the manager UI lives.
        admin_gui_path: String = text("/", "a path").later();
        /// URL of the Admin API as the manager UI sees it.
        admin_gui_api_url: String = text("", "a URL").later();
        /// Memory that Kong sets aside before a body goes to disk; Tidegate never writes bodies to disk.
        client_body_buffer_size: u64 = size("8k", 0, 1 << 40)
            .alias(&["nginx_http_client_body_buffer_size", "nginx_proxy_client_body_buffer_size"])
            .never();
        /// The same for the Admin API.
        nginx_admin_client_body_buffer_size: u64 = size("10m", 0, 1 << 40).never();
        /// First buffer of nginx for the head of a request.
        client_header_buffer_size: u64 = size("1k", 0, 1 << 30)
            .alias(&["nginx_http_client_header_buffer_size", "nginx_proxy_client_header_buffer_size"])
            .never();
        /// Character set that nginx names in text responses.
        nginx_http_charset: String = text("UTF-8", "a character set").never();
        /// Connections of one nginx worker.
        nginx_events_worker_connections: String = text("auto", "a number").never();
        /// Open files of one nginx worker.
        nginx_main_worker_rlimit_nofile: String = text("auto", "a number").never();
        /// Whether nginx accepts several connections at once.
        nginx_events_multi_accept: bool = switch("on").never();
        /// Whether nginx goes to the background; Tidegate stays in the foreground.
        nginx_daemon: String = text("off", "`on` or `off`").alias(&["nginx_main_daemon"]).never();
        /// User that nginx becomes.
        nginx_user: String = text("", "names of a user and a group").alias(&["nginx_main_user"]).never();
        /// Request headers that Kong's plugins can see; in Tidegate they see all.
        lua_max_req_headers: u64 = count("100", 1, 1_000).never();
        /// Response headers that Kong's plugins can see.
        lua_max_resp_headers: u64 = count("100", 1, 1_000).never();
        /// Query arguments that Kong's plugins can see.
        lua_max_uri_args: u64 = count("100", 1, 1_000).never();
        /// Form arguments that Kong's plugins can see.
        lua_max_post_args: u64 = count("100", 1, 1_000).never();
        /// TLS versions of Kong's own calls.
        lua_ssl_protocols: String = text("TLSv1.2 TLSv1.3", "TLS versions").never();
        /// Connections that Kong's Lua code keeps.
        lua_socket_pool_size: u64 = count("256", 1, MANY).never();
        /// Where Lua code is looked for.
        lua_package_path: String = text("./?.lua;./?/init.lua;", "a search path").never();
        /// Where Lua modules in C are looked for.
        lua_package_cpath: String = text("", "a search path").never();
        /// Memory that Kong sets aside for entities.
        mem_cache_size: u64 = size("128m", 0, 1 << 40).never();
        /// Whether Lua code in plugins is shielded.
        untrusted_lua: String = choice("sandbox", &["off", "on", "sandbox"]).never();
        /// Reports to the makers of Kong. Tidegate sends nothing.
        anonymous_reports: bool = switch("off").never();
        /// Plugin servers that Kong starts.
        pluginserver_names: Vec<String> = list("", "names").never();
        /// Whether Kong's control plane sync has a process of its own.
        dedicated_config_processing: bool = switch("on").never();
    }
}
