//! The behaviours of Kong's Admin API that clients count on, asked of the whole crate over a store in memory.

mod certificates;
mod credentials;
mod crud;
mod deck;
mod declarative;
mod described;
mod hostile;
mod information;
mod lists;
mod plugins;
mod protocol;
mod store;
mod upstreams;

use crate::gateway::{Gateway, Seen};
use serde_json::Value;
use tidegate_admin::Mode;

/// A gateway whose entities can be written.
fn open() -> Gateway {
    Gateway::start(Mode::Database)
}

/// Creates an entity and returns it.
async fn made(gateway: &Gateway, path: &str, body: Value) -> Value {
    let seen = gateway.json("POST", path, &body).await;
    assert_eq!(seen.status, 201, "{path} {body}: {}", seen.body);
    seen.json()
}

fn id(entity: &Value) -> &str {
    entity["id"].as_str().unwrap()
}

/// The message of a refusal with this status.
fn refusal(seen: &Seen, status: u16) -> String {
    assert_eq!(seen.status, status, "{}", seen.body);
    seen.json()["message"].as_str().unwrap_or_default().to_owned()
}
