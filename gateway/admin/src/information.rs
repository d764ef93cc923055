//! What the gateway tells of itself: `/`, `/status`, `/timers`, `/endpoints`.

use crate::arguments::Arguments;
use crate::errors::ApiError;
use crate::node::{Activity, Node};
use crate::paths;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tidegate_store::{BackendHealth, Catalog, Store};

/// `GET /`
pub(crate) fn node(node: &dyn Node, catalog: &Catalog) -> Value {
    let (identity, activity) = (node.identity(), node.activity());
    let available: Map<String, Value> = node
        .plugins_on_server()
        .into_iter()
        .map(|plugin| {
            let about = json!({ "version": plugin.version, "priority": plugin.priority });
            (plugin.name, about)
        })
        .collect();
    json!({
        "tagline": "Welcome to kong",
        "version": identity.version,
        "edition": "community",
        "hostname": identity.hostname,
        "node_id": identity.node_id.to_string(),
        "lua_version": "none",
        "pids": { "master": identity.pid, "workers": [identity.pid] },
        "timers": { "running": activity.running_timers, "pending": activity.pending_timers },
        "plugins": { "available_on_server": available, "enabled_in_cluster": in_use(catalog) },
        "configuration": identity.configuration,
    })
}

/// Names of the plugins that are configured, each once.
fn in_use(catalog: &Catalog) -> BTreeSet<String> {
    catalog
        .rows("plugins")
        .filter_map(|row| row.value().get("name")?.as_str().map(str::to_owned))
        .collect()
}

/// `GET /status`
pub(crate) fn status(
    node: &dyn Node,
    database: Option<&Store>,
    configuration_hash: &str,
    arguments: &Arguments,
) -> Result<Value, ApiError> {
    let (identity, activity) = (node.identity(), node.activity());
    let unit = Unit::read(arguments)?;
    let mut status = json!({
        "memory": {
            "lua_shared_dicts": { "kong": {
                "allocated_slabs": unit.show(activity.shared_memory),
                "capacity": unit.show(activity.shared_memory),
            } },
            "workers_lua_vms": [{ "pid": identity.pid, "http_allocated_gc": unit.show(activity.memory) }],
        },
        "server": server(&activity),
    });
    if let Some(members) = status.as_object_mut() {
        match database {
            Some(store) => {
                let is_reachable = matches!(store.health(), BackendHealth::Reachable);
                members.insert("database".to_owned(), json!({ "reachable": is_reachable }));
            }
            None => {
                members.insert("configuration_hash".to_owned(), configuration_hash.into());
            }
        }
    }
    Ok(status)
}

fn server(activity: &Activity) -> Value {
    json!({
        "connections_active": activity.active,
        "connections_reading": activity.reading,
        "connections_writing": activity.writing,
        "connections_waiting": activity.waiting,
        "connections_accepted": activity.accepted,
        "connections_handled": activity.handled,
        "total_requests": activity.requests,
    })
}

/// In what memory is shown.
struct Unit {
    divisor: u64,
    name: &'static str,
    decimals: usize,
}

impl Unit {
    fn read(arguments: &Arguments) -> Result<Self, ApiError> {
        const MOST_DECIMALS: usize = 9;
        let decimals = arguments.get("scale").and_then(|scale| scale.parse().ok());
        let decimals = decimals.unwrap_or(2).min(MOST_DECIMALS);
        let text = arguments.get("unit").unwrap_or("m");
        let (divisor, name) = match text {
            "b" | "B" => (1, ""),
            "k" | "K" => (1 << 10, "KiB"),
            "m" | "M" => (1 << 20, "MiB"),
            "g" | "G" => (1 << 30, "GiB"),
            _ => {
                let text = format!("invalid unit '{text}' (expected 'k/K', 'm/M', or 'g/G')");
                return Err(ApiError::bad_request(text));
            }
        };
        Ok(Self {
            divisor,
            name,
            decimals,
        })
    }

    #[allow(clippy::cast_precision_loss, reason = "an amount for people")]
    fn show(&self, bytes: u64) -> Value {
        if self.divisor == 1 {
            return Value::from(bytes);
        }
        let amount = bytes as f64 / self.divisor as f64;
        Value::from(format!("{amount:.*} {}", self.decimals, self.name))
    }
}

/// `GET /timers`
pub(crate) fn timers(activity: &Activity) -> Value {
    let (running, pending) = (activity.running_timers, activity.pending_timers);
    json!({
        "worker": { "id": 0, "count": 1 },
        "stats": {
            "flamegraph": { "running": "", "pending": "", "elapsed_time": "" },
            "sys": { "total": running + pending, "runs": 0, "running": running, "pending": pending, "waiting": 0 },
            "timers": {},
        },
    })
}

/// `GET /endpoints`
pub(crate) fn endpoints() -> Value {
    let paths: Vec<&str> = paths::patterns()
        .iter()
        .map(|pattern| pattern.text.as_str())
        .collect();
    json!({ "data": paths })
}
