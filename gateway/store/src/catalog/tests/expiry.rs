//! Credentials that live for a time.

use super::{Catalog, Clock, Transaction};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

#[test]
fn a_row_is_gone_for_everybody_the_moment_it_expires() {
    let now = Arc::new(AtomicU64::new(1_000_000));
    let told = Arc::clone(&now);
    let mut catalog = Catalog::empty(Clock::new(move || told.load(Ordering::Relaxed)));
    let (owner, key) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut log = Vec::new();
    let mut transaction = Transaction::new(&mut catalog, &mut log);
    transaction
        .insert("consumers", &object(json!({"id": owner, "username": "joe"})))
        .expect("a consumer");
    let credential = json!({
        "id": key, "created_at": 1_000, "ttl": 2.5, "key": "k", "consumer": {"id": owner}, "tags": ["t"],
    });
    let row = transaction
        .insert("keyauth_credentials", &object(credential))
        .expect("a credential");
    assert_eq!(row.expires_at(), Some(1_002_500));

    let seen = |catalog: &Catalog| {
        [
            catalog.get("keyauth_credentials", key).is_some(),
            catalog.find("keyauth_credentials", "key", "k").is_some(),
            catalog
                .children("keyauth_credentials", "consumer", owner)
                .next()
                .is_some(),
            catalog.rows("keyauth_credentials").next().is_some(),
            catalog.len("keyauth_credentials") == 1,
        ]
    };
    now.store(1_002_499, Ordering::Relaxed);
    assert_eq!(seen(&catalog), [true; 5]);
    now.store(1_002_500, Ordering::Relaxed);
    assert_eq!(seen(&catalog), [false; 5]);

    log.clear();
    Transaction::new(&mut catalog, &mut log).sweep();
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].id, log[0].row.is_none()), (key, true));
    assert_eq!(catalog.next_expiry(), None);
}

#[test]
fn no_ttl_and_a_ttl_of_zero_are_for_ever() {
    let mut catalog = Catalog::empty(Clock::default());
    let mut log = Vec::new();
    let mut transaction = Transaction::new(&mut catalog, &mut log);
    for (number, ttl) in [json!(null), json!(0)].into_iter().enumerate() {
        let id = Uuid::from_u128(number as u128);
        let credential =
            json!({"id": id, "created_at": 1, "ttl": ttl, "key": number.to_string(), "consumer": null});
        let row = transaction.insert("keyauth_credentials", &object(credential));
        assert_eq!(row.expect("a credential").expires_at(), None);
    }
    assert_eq!(catalog.len("keyauth_credentials"), 2);
}
