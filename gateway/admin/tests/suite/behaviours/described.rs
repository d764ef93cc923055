//! The OpenAPI document tells the truth: no request is answered with what it does not describe.

use crate::behaviours::made;
use crate::gateway::Gateway;
use serde_json::{Value, json};
use tidegate_admin::Mode;

const NAMES: [&str; 4] = ["x", "00000000-0000-4000-8000-000000000001", "%ff", "a.test"];

fn bodies() -> Vec<Value> {
    vec![
        json!({}),
        json!({"name": "x", "host": "h", "paths": ["/"], "username": "x", "target": "a", "prefix": "xx", "kid": "1"}),
        json!({"host": "h"}),
        json!({"paths": ["/"]}),
        json!({"username": "x", "password": "p", "group": "g", "key": "k"}),
        json!({"config": "_format_version: '3.0'"}),
        json!({"id": 1, "tags": {"a": 1}, "config": [1]}),
    ]
}

/// Replaces every place of a path.
fn filled(path: &str, name: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { name } else { part });
    parts.collect::<Vec<_>>().join("/")
}

async fn tell_the_truth(gateway: &Gateway) {
    let document = gateway.get("/openapi.json").await.json();
    let (mut asked, mut faults) = (0, Vec::new());
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "parameters")
        {
            for name in NAMES {
                let target = filled(path, name);
                for body in bodies() {
                    let seen = gateway.json(&method.to_uppercase(), &target, &body).await;
                    asked += 1;
                    if operation["responses"].get(seen.status.to_string()).is_none() || seen.status == 503 {
                        faults.push(format!("{method} {target} {body}: {} {}", seen.status, seen.body));
                    }
                    if method == "get" || method == "delete" {
                        break;
                    }
                }
            }
        }
    }
    assert!(asked > 1_000, "{asked}");
    assert!(
        faults.is_empty(),
        "{} of {asked}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[tokio::test]
async fn with_a_database() {
    let gateway = Gateway::start(Mode::Database);
    made(&gateway, "/services", json!({"name": "x", "host": "h"})).await;
    made(&gateway, "/consumers", json!({"username": "x"})).await;
    made(&gateway, "/upstreams", json!({"name": "x"})).await;
    tell_the_truth(&gateway).await;
}

#[tokio::test]
async fn without_one() {
    tell_the_truth(&Gateway::start(Mode::Declarative)).await;
}
