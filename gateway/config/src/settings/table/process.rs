//! The process itself and the configuration it serves.

use crate::settings::group::settings_group;
use crate::settings::spec::{Kind, Spec, choice, count, list, millis, path, seconds, size, text};
use crate::settings::values::{EnabledNames, ROUTER_FLAVORS, Role, RouterFlavor, Secret, Workers};
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

settings_group! {
    /// Threads, working directory, life of the process.
    Process, "Process" {
        /// Working directory: the process id is kept in `pids/tidegate.pid` below it, and relative paths of logs
        /// start here.
        prefix: PathBuf = Spec::new(Kind::Text("the path of a folder"), "/usr/local/tidegate/");

        /// Number of worker threads. Each has its own listeners, upstream connections and timers; `auto` starts one
        /// for each core the process may use.
        workers: Workers = Spec::new(Kind::AutoOrCount(1, 1_024), "auto")
            .alias(&["nginx_worker_processes", "nginx_main_worker_processes"]);

        /// How long a stopping gateway waits for open requests. Connections that are still open after it are closed.
        shutdown_grace: Duration = seconds("10s", 0, 86_400).alias(&["nginx_main_worker_shutdown_timeout"]).limit();

        /// Time between two looks at whether the declarative file has changed.
        reload_interval: Duration = millis("1s", 100, 86_400_000)
            .zero("reload only on request");

        /// Id of this node. Without it one is made at each start.
        node_id: Option<Uuid> = text("", "a UUID");

        /// Text put in front of the variable names of `{vault://env/...}` references.
        vault_env_prefix: String = text("", "a text");

        /// What the node is in a fleet.
        role: Role = choice("standalone", Role::WORDS).later();
    }
}

settings_group! {
    /// Where the declarative file is and how it is read.
    Configuration, "Configuration" {
        /// Path of the declarative file, YAML or JSON. A file that cannot be read or holds faults stops the start; a
        /// faulty change of it later is refused and the previous content serves on.
        declarative_config: Option<PathBuf> = path("");

        /// The declarative document itself. `declarative_config` wins over it.
        declarative_config_string: Option<Secret> = text("", "a YAML or JSON document").secret();

        /// Largest declarative document that is read.
        declarative_max_size: usize = size("64m", 1_024, 1 << 30).limit();

        /// Deepest nesting of mappings and lists in a declarative document.
        declarative_max_depth: usize = count("100", 8, 250).limit();

        /// Most values in a declarative document, copies made by YAML aliases included.
        declarative_max_nodes: usize = count("8000000", 1_000, 1_000_000_000).limit();

        /// Most values in a declarative document that are copied for YAML anchors and aliases.
        declarative_max_alias_nodes: usize = count("1000000", 0, 1_000_000_000).limit();

        /// Faults of a declarative document that are reported one by one; further ones are only counted.
        declarative_max_faults: usize = count("1000", 1, 1_000_000).limit();

        /// Rules by which routes are compared.
        router_flavor: RouterFlavor = choice("traditional_compatible", ROUTER_FLAVORS);

        /// Plugins that may be configured: `bundled` stands for all that are built in, `off` for none. A declarative file
        /// with another plugin is refused.
        plugins: EnabledNames = list("bundled", "`bundled`, `off` or names of plugins");

        /// Types of vaults that may be referred to: `bundled` stands for all that are built in, which is `env`; `off` for
        /// none.
        vaults: EnabledNames = list("bundled", "`bundled`, `off` or `env`");
    }
}
