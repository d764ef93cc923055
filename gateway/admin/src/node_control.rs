//! What is asked of the node itself: log level, cache, the cluster.

use crate::arguments::Arguments;
use crate::errors::ApiError;
use crate::node::Node;
use crate::reply::Reply;
use http::header::HeaderName;
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Seconds after which a log level goes back, when nothing is said.
const DEFAULT_TIMEOUT: f64 = 60.0;
const LONGEST_TIMEOUT: f64 = 1e9;

/// `GET /debug/node/log-level`
pub(crate) fn log_level(node: &dyn Node) -> Reply {
    Reply::message(StatusCode::OK, &format!("log level: {}", node.log_level()))
}

/// `PUT /debug/node/log-level/{log_level}`
pub(crate) fn set_log_level(
    node: &dyn Node,
    has_database: bool,
    level: &str,
    arguments: &Arguments,
) -> Result<Reply, ApiError> {
    if !has_database {
        let text = "cannot change log level when not using a database";
        return Err(ApiError::Message(StatusCode::METHOD_NOT_ALLOWED, text.to_owned()));
    }
    let timeout = arguments.get("timeout").and_then(|text| text.parse::<f64>().ok());
    let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
    if timeout.is_nan() || timeout < 0.0 {
        return Err(ApiError::bad_request(
            "timeout must be greater than or equal to 0",
        ));
    }
    if node.log_level() == level {
        return Ok(Reply::message(
            StatusCode::OK,
            &format!("log level is already {level}"),
        ));
    }
    match node.set_log_level(level, Duration::from_secs_f64(timeout.min(LONGEST_TIMEOUT))) {
        Ok(()) => Ok(Reply::message(StatusCode::OK, "log level changed")),
        Err(_) => Err(ApiError::bad_request(format!("unknown log level: {level}"))),
    }
}

/// `GET /cache/{key}`
pub(crate) fn cached(node: &dyn Node, key: &str) -> Result<Reply, ApiError> {
    let value = node.cached(key).ok_or_else(ApiError::missing)?;
    Ok(Reply::ok(&value))
}

const NO_CONTROL_PLANE: &str =
    "this endpoint is only available when Kong is configured to run as Control Plane for the cluster";

fn planes(node: &dyn Node) -> Result<Vec<Value>, ApiError> {
    node.data_planes()
        .ok_or_else(|| ApiError::bad_request(NO_CONTROL_PLANE))
}

/// `GET /clustering/data-planes`
pub(crate) fn data_planes(node: &dyn Node) -> Result<Reply, ApiError> {
    Ok(Reply::ok(&json!({ "data": planes(node)?, "next": null })))
}

/// `GET /clustering/status`: the same by id.
pub(crate) fn cluster_status(node: &dyn Node) -> Result<Reply, ApiError> {
    let by_id: Map<String, Value> = planes(node)?
        .into_iter()
        .filter_map(|plane| Some((plane.get("id")?.as_str()?.to_owned(), plane)))
        .collect();
    let reply = Reply::ok(&Value::Object(by_id));
    Ok(reply.with_header(
        HeaderName::from_static("deprecation"),
        HeaderValue::from_static("true"),
    ))
}
