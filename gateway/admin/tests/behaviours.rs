//! The behaviours of Kong's Admin API that clients count on, asked of the whole crate over a store in memory.

#[path = "behaviours/certificates.rs"]
mod certificates;
#[path = "behaviours/credentials.rs"]
mod credentials;
#[path = "behaviours/crud.rs"]
mod crud;
#[path = "behaviours/deck.rs"]
mod deck;
#[path = "behaviours/declarative.rs"]
mod declarative;
#[path = "support/gateway.rs"]
mod gateway;
#[path = "behaviours/hostile.rs"]
mod hostile;
#[path = "behaviours/information.rs"]
mod information;
#[path = "behaviours/lists.rs"]
mod lists;
#[path = "behaviours/plugins.rs"]
mod plugins;
#[path = "behaviours/protocol.rs"]
mod protocol;
#[path = "behaviours/upstreams.rs"]
mod upstreams;

use gateway::{Gateway, Seen};
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
