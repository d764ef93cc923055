//! Health of an upstream's targets: shown, and set by hand.

use super::targets;
use crate::errors::ApiError;
use crate::node::{HealthRefusal, Node, UpstreamHealth};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::net::{IpAddr, SocketAddr};
use tidegate_store::{Catalog, Row};

/// `GET /upstreams/{upstreams}/health`
pub(crate) fn show(node: &dyn Node, catalog: &Catalog, upstream: &Row, of_balancer: bool) -> Value {
    let health = node.upstream_health(upstream.id());
    let mut body = Map::new();
    if of_balancer {
        if let Some(health) = &health {
            body.insert("data".to_owned(), balancer(upstream, health));
        }
    } else {
        body.insert("data".to_owned(), listed(catalog, upstream, health.as_ref()));
    }
    body.insert("next".to_owned(), Value::Null);
    body.insert("node_id".to_owned(), node.identity().node_id.to_string().into());
    Value::Object(body)
}

fn balancer(upstream: &Row, health: &UpstreamHealth) -> Value {
    json!({
        "id": upstream.id().to_string(),
        "health": health.balancer,
        "balancer_health": health.balancer,
        "details": health.details,
    })
}

fn listed(catalog: &Catalog, upstream: &Row, health: Option<&UpstreamHealth>) -> Value {
    const UNCHECKED: &str = "HEALTHCHECKS_OFF";
    let rows = targets::newest_first(catalog, upstream.id());
    let shown = rows.iter().map(|row| {
        let known = health.and_then(|health| health.targets.iter().find(|target| target.id == row.id()));
        let mut target = row.value();
        target.insert(
            "health".to_owned(),
            known.map_or(UNCHECKED, |known| known.health).into(),
        );
        if let Some(known) = known {
            target.insert("data".to_owned(), known.data.clone());
        }
        Value::Object(target)
    });
    shown.collect()
}

/// `PUT .../healthy` and `.../unhealthy`
pub(crate) fn set(
    node: &dyn Node,
    upstream: &Row,
    target: &Row,
    address: Option<&str>,
    is_healthy: bool,
) -> Result<(), ApiError> {
    let address = match address {
        Some(text) => Some(parse_address(text, target).ok_or_else(ApiError::missing)?),
        None => None,
    };
    let outcome = node.set_target_health(upstream.id(), target.id(), address, is_healthy);
    outcome.map_err(|refusal| {
        let name = upstream
            .value()
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let name = name.unwrap_or_else(|| upstream.id().to_string());
        match refusal {
            HealthRefusal::NoBalancer => ApiError::bad_request(format!("Upstream {name} has no balancer")),
            HealthRefusal::NoHealthcheck => {
                ApiError::bad_request(format!("no healthchecker found for {name}"))
            }
            HealthRefusal::UnknownTarget => ApiError::Message(StatusCode::NOT_FOUND, "Not found".to_owned()),
        }
    })
}

/// An address with its port, or alone: the target says the port then.
fn parse_address(text: &str, target: &Row) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let ip: IpAddr = text.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let target = target.value();
    let (_, port) = target.get("target")?.as_str()?.rsplit_once(':')?;
    Some(SocketAddr::new(ip, port.parse().ok()?))
}
