mod places;
mod verdicts;

use super::KeyAuth;
use serde_json::{Value, json};
use tidegate_plugin::testing::{Access, Harness, ManualClock};

/// Keys `k1` of alice, `k2` of bob and `k3` of a consumer with a custom id; an anonymous consumer without a key.
fn harness(config: Value) -> Harness {
    Harness::new(KeyAuth)
        .config(config)
        .key_credential("alice", "k1")
        .key_credential("bob", "k2")
        .consumer_with_custom_id("carol", "c-3")
        .key_credential("carol", "k3")
        .consumer("anonymous")
}

/// Status, message and challenge of a refusal.
fn refusal(access: Access) -> (u16, String, Vec<String>) {
    let finished = access.finish();
    let challenge = finished
        .header("www-authenticate")
        .iter()
        .map(|text| (*text).to_owned())
        .collect();
    (
        finished.status(),
        finished.json()["message"].as_str().unwrap_or_default().to_owned(),
        challenge,
    )
}

fn refused(message: &str) -> (u16, String, Vec<String>) {
    (401, message.to_owned(), vec!["Key".to_owned()])
}

const NO_KEY: &str = "No API key found in request";
const DUPLICATE: &str = "Duplicate API key found";
const UNKNOWN: &str = "Unauthorized";
