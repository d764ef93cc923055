//! Where entities live when they are changed through the Admin API, and the Admin API itself.

use super::logs::TARGET;
use crate::settings::group::settings_group;
use crate::settings::spec::{choice, count, list, millis, path, seconds, size, switch, text};
use crate::settings::values::{Database, LogTarget, Secret};
use std::path::PathBuf;
use std::time::Duration;

const DAY: u64 = 86_400;
const HOUR_MS: u64 = 3_600_000;

settings_group! {
    /// Where entities live.
    Store, "Store" {
        /// Where entities live. `off`: in the declarative file, or in memory after `POST /config`; the Admin API reads
        /// only. `embedded`: in a file of this node. `postgres`: in PostgreSQL, shared by any number of nodes. `auto`:
        /// `off` when a declarative file is given, else `embedded`.
        database: Database = choice("auto", Database::WORDS);

        /// File of the embedded store. A relative path starts at `prefix`.
        store_path: Option<PathBuf> = path("store.redb");

        /// Host of PostgreSQL, or the folder of its socket.
        pg_host: String = text("127.0.0.1", "a host");

        /// Port of PostgreSQL.
        pg_port: u32 = count("5432", 1, 65_535);

        /// Time for one question to PostgreSQL. A write that takes longer is refused, and nothing is written.
        pg_timeout: Duration = millis("5000", 1, HOUR_MS);

        /// User at PostgreSQL.
        pg_user: String = text("kong", "a name");

        /// Password at PostgreSQL.
        pg_password: Option<Secret> = text("", "a password").secret();

        /// Database at PostgreSQL. Tidegate's tables are its own: those of Kong in the same database stay as they are.
        pg_database: String = text("kong", "a name");

        /// Schema of the tables; the user's default one when empty.
        pg_schema: String = text("", "a name");

        /// Whether connections to PostgreSQL use TLS.
        pg_ssl: bool = switch("off");

        /// Whether the certificate of PostgreSQL is verified, against `lua_ssl_trusted_certificate`.
        pg_ssl_verify: bool = switch("off");

        /// Accepted from files of Kong: with `pg_ssl` a server without TLS is refused whatever this says.
        pg_ssl_required: bool = switch("off").never();

        /// Time between two looks for changes of other nodes, beside PostgreSQL's own notifications; a tenth of a second
        /// at least.
        db_update_frequency: Duration = seconds("5", 0, DAY);
    }
}

settings_group! {
    /// The Admin API.
    AdminApi, "Admin API" {
        /// Token that requests to the Admin API must show in `Kong-Admin-Token` or as `Authorization: Bearer`. Without
        /// one nothing is asked for, so keep `admin_listen` on loopback, or behind a certificate check.
        admin_token: Option<Secret> = text("", "a token").secret();

        /// Largest body of a request to the Admin API. A larger one is answered with 413.
        admin_client_max_body_size: usize = size("10m", 1_024, 1 << 30)
            .zero("no limit")
            .alias(&["nginx_admin_client_max_body_size"])
            .limit();

        /// Origins whose pages may read the Admin API, as URLs; empty: the origin of the request is let in, as in Kong.
        admin_gui_url: Vec<String> = list("", "URLs");

        /// Where a line of JSON for each request to the Admin API goes: time, method, path, status, size, duration.
        /// Arguments and bodies are left out.
        admin_access_log: LogTarget = text("logs/admin_access.log", TARGET);
    }
}
