//! Which filters a request of a route goes through: those of its service, then its own.

use crate::paths::Filters;
use crate::records::reference_id;
use serde_json::{Value, json};
use tidegate_store::{Catalog, Row};

/// `GET /routes/{routes}/filters/{all,enabled,disabled}`
pub(crate) fn of_route(catalog: &Catalog, route: &Row, which: Filters) -> Value {
    let service = reference_id(&route.value(), "service");
    let chains = [("service", service), ("route", Some(route.id()))];
    let mut listed = Vec::new();
    for (from, parent) in chains {
        let rows = parent.map(|parent| catalog.children("filter_chains", from, parent));
        for chain in rows.into_iter().flatten() {
            collect(&chain.value().into(), from, which, &mut listed);
        }
    }
    json!({ "filters": listed })
}

fn collect(chain: &Value, from: &str, which: Filters, listed: &mut Vec<Value>) {
    let is_on = |value: &Value| value.get("enabled").and_then(Value::as_bool).unwrap_or(true);
    let filters = chain.get("filters").and_then(Value::as_array);
    for filter in filters.into_iter().flatten() {
        let is_enabled = is_on(chain) && is_on(filter);
        let is_wanted = match which {
            Filters::All => true,
            Filters::Enabled => is_enabled,
            Filters::Disabled => !is_enabled,
        };
        if is_wanted {
            listed.push(json!({
                "name": filter.get("name"),
                "config": filter.get("config"),
                "from": from,
                "enabled": is_enabled,
                "filter_chain": { "id": chain.get("id"), "name": chain.get("name") },
            }));
        }
    }
}
