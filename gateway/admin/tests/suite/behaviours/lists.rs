//! Pages, sizes, tags.

use super::{made, open, refusal};
use crate::gateway::Gateway;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every row of a list, page by page.
async fn walk(gateway: &Gateway, first: &str) -> Vec<Value> {
    let (mut next, mut rows) = (first.to_owned(), Vec::new());
    for _ in 0..100 {
        let page = gateway.get(&next).await;
        assert_eq!(page.status, 200, "{next}: {}", page.body);
        let page = page.json();
        rows.extend(page["data"].as_array().unwrap().iter().cloned());
        assert_eq!(page["next"].is_null(), page.get("offset").is_none());
        match page["next"].as_str() {
            Some(link) => link.clone_into(&mut next),
            None => return rows,
        }
    }
    panic!("the list does not end");
}

async fn services(gateway: &Gateway, count: usize) {
    for number in 0..count {
        let tag = if number % 2 == 0 { "even" } else { "odd" };
        let body = json!({"name": format!("s{number}"), "host": "h", "tags": ["all", tag]});
        made(gateway, "/services", body).await;
    }
}

#[tokio::test]
async fn a_walk_through_pages_meets_everything_once() {
    let gateway = open();
    services(&gateway, 7).await;
    for first in [
        "/services?size=1",
        "/services?size=3",
        "/services?size=7",
        "/services",
        "/tags/all?size=2",
    ] {
        let rows = walk(&gateway, first).await;
        let name = |row: &Value| {
            row["name"]
                .as_str()
                .or_else(|| row["entity_id"].as_str())
                .unwrap()
                .to_owned()
        };
        let distinct: BTreeSet<String> = rows.iter().map(name).collect();
        assert_eq!((rows.len(), distinct.len()), (7, 7), "{first}");
    }
    assert_eq!(walk(&gateway, "/tags?size=3").await.len(), 14);
    assert_eq!(walk(&gateway, "/tags/none").await.len(), 0);
}

#[tokio::test]
async fn links_keep_size_and_tags() {
    let gateway = open();
    services(&gateway, 4).await;
    let page = gateway.get("/services?size=1&tags=all,even").await.json();
    let link = page["next"].as_str().unwrap();
    assert!(link.starts_with("/services?offset="), "{link}");
    assert!(link.ends_with("&size=1&tags=all%2Ceven"), "{link}");
    assert_eq!(walk(&gateway, "/services?size=1&tags=all,even").await.len(), 2);
}

#[tokio::test]
async fn tags_are_asked_for_together_or_one_by_one() {
    let gateway = open();
    services(&gateway, 5).await;
    for (tags, expected) in [
        ("all,odd", 2),
        ("even/odd", 5),
        ("even", 3),
        ("none", 0),
        ("all,none", 0),
    ] {
        assert_eq!(
            walk(&gateway, &format!("/services?tags={tags}")).await.len(),
            expected,
            "{tags}"
        );
    }
    for (tags, reason) in [
        ("", "cannot be null"),
        ("a,b/c", "invalid filter syntax"),
        ("a,,b", "invalid filter syntax"),
        ("a,b,c,d,e,f", "cannot query more than 5 tags"),
    ] {
        let seen = gateway.get(&format!("/services?tags={tags}")).await;
        assert_eq!(refusal(&seen, 400), format!("invalid option (tags: {reason})"));
        assert_eq!(seen.json()["options"], json!({"tags": reason}));
    }
    made(&gateway, "/services/s0/routes", json!({"paths": ["/"]})).await;
    let nested = gateway.get("/services/s0/routes?tags=other").await.json();
    assert_eq!(
        nested["data"].as_array().unwrap().len(),
        1,
        "children are not filtered"
    );
}

#[tokio::test]
async fn sizes_and_offsets_are_checked() {
    let gateway = open();
    for (query, message) in [
        ("size=x", "size must be a number"),
        ("size=0", "size must be an integer between 1 and 1000"),
        ("size=1001", "size must be an integer between 1 and 1000"),
        ("size=1.5", "size must be an integer between 1 and 1000"),
        ("offset=x", "'x' is not a valid offset: bad base64 encoding"),
    ] {
        assert_eq!(
            refusal(&gateway.get(&format!("/routes?{query}")).await, 400),
            message
        );
    }
    assert_eq!(gateway.get("/routes?size=1000").await.status, 200);
}

#[tokio::test]
async fn consumers_are_found_by_their_other_id() {
    let gateway = open();
    made(&gateway, "/consumers", json!({"custom_id": "c"})).await;
    let found = |seen: crate::gateway::Seen| seen.json()["data"].as_array().unwrap().len();
    assert_eq!(found(gateway.get("/consumers?custom_id=c").await), 1);
    assert_eq!(found(gateway.get("/consumers?custom_id=x").await), 0);
    let seen = gateway.get("/consumers?custom_id=").await;
    assert_eq!(refusal(&seen, 400), "custom_id must be an unempty string");
}

#[tokio::test]
async fn a_tag_that_could_be_nobodys_is_refused() {
    let seen = open().get("/tags/a%2Cb").await;
    assert!(refusal(&seen, 400).starts_with("invalid tag 'a,b'"));
    assert_eq!(seen.json()["code"], 10);
}
