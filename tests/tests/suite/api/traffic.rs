//! Targets, certificates and connections in use, while entities change.

use super::live::published;
use super::{Site, on_every_store};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_tests::tls::{Certificate, Hello};
use tidegate_tests::{RawClient, Request, Upstream};

on_every_store!(
    targets_take_traffic_and_leave_it,
    a_target_that_is_marked_by_hand_gets_no_traffic,
    a_certificate_is_presented_as_soon_as_it_is_named,
    edits_under_traffic_fail_no_request,
);

async fn targets_take_traffic_and_leave_it(site: &Site) {
    let (one, two) = (Upstream::ok().await, Upstream::ok().await);
    let admin = site.admin();
    admin.put("/upstreams/pool", json!({})).await;
    admin
        .post("/services", json!({"name": "s", "url": "http://pool"}))
        .await;
    admin.post("/services/s/routes", json!({"paths": ["/"]})).await;
    site.answers(&Request::get("/"), 503).await;

    let target = json!({"target": one.address().to_string()});
    admin.post("/upstreams/pool/targets", target).await;
    site.reaches(&Request::get("/"), &one).await;

    let target = json!({"target": two.address().to_string()});
    admin.post("/upstreams/pool/targets", target).await;
    let of_one = format!("/upstreams/pool/targets/{}", one.address());
    admin.patch(&of_one, json!({"weight": 0})).await;
    site.shows("a target without weight gets nothing", async |node| {
        drop(one.take());
        for _ in 0..4 {
            assert_eq!(node.get("/").await.status, 200);
        }
        let count = one.take().len();
        (count == 0)
            .then_some(())
            .ok_or_else(|| format!("{count} requests"))
    })
    .await;

    admin
        .delete(&format!("/upstreams/pool/targets/{}", two.address()))
        .await;
    site.answers(&Request::get("/"), 503).await;
    admin.delete("/upstreams/pool").await;
    site.tells("/upstreams/pool/targets", |answer| answer.status == 404)
        .await;
}

async fn a_target_that_is_marked_by_hand_gets_no_traffic(site: &Site) {
    let (one, two) = (Upstream::ok().await, Upstream::ok().await);
    let admin = site.admin();
    let checks = json!({"passive": {"unhealthy": {"http_failures": 5}}});
    admin
        .post("/upstreams", json!({"name": "pool", "healthchecks": checks}))
        .await;
    for upstream in [&one, &two] {
        let target = json!({"target": upstream.address().to_string()});
        admin.post("/upstreams/pool/targets", target).await;
    }
    admin
        .post("/services", json!({"name": "s", "url": "http://pool"}))
        .await;
    admin.post("/services/s/routes", json!({"paths": ["/"]})).await;
    // Health is a node's own: what is said here is said of the node that was written to.
    let node = &site.writer;
    assert_eq!(node.get("/").await.status, 200);
    let target = format!("/upstreams/pool/targets/{}", one.address());
    let mark = async |health: &str| {
        let answer = admin
            .call(Request::new("PUT", &format!("{target}/{health}")))
            .await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        let shown = admin.get("/upstreams/pool/health").await;
        let rows = shown["data"].as_array().unwrap();
        let row = rows.iter().find(|row| row["target"] == one.address().to_string());
        row.unwrap()["health"].as_str().unwrap().to_owned()
    };
    assert_eq!(mark("unhealthy").await, "UNHEALTHY");
    drop(one.take());
    for _ in 0..4 {
        assert_eq!(node.get("/").await.status, 200);
    }
    assert_eq!(one.take().len(), 0);
    assert_eq!(mark("healthy").await, "HEALTHY");
    for _ in 0..4 {
        assert_eq!(node.get("/").await.status, 200);
    }
    assert!(!one.take().is_empty());
}

async fn a_certificate_is_presented_as_soon_as_it_is_named(site: &Site) {
    let admin = site.admin();
    let (one, two) = (
        Certificate::for_names(&["a.test"]),
        Certificate::for_names(&["a.test"]),
    );
    let body = |certificate: &Certificate| json!({"cert": certificate.cert_pem, "key": certificate.key_pem});
    let made = admin.post("/certificates", body(&one)).await;
    let id = made["id"].as_str().unwrap();
    admin
        .post("/snis", json!({"name": "a.test", "certificate": {"id": id}}))
        .await;
    presents(site, "a.test", Some(&one)).await;
    admin.patch(&format!("/certificates/{id}"), body(&two)).await;
    presents(site, "a.test", Some(&two)).await;
    presents(site, "b.test", None).await;
    admin.patch("/snis/a.test", json!({"name": "b.test"})).await;
    presents(site, "b.test", Some(&two)).await;
    admin.delete(&format!("/certificates/{id}")).await;
    presents(site, "b.test", None).await;
    site.tells("/snis/b.test", |answer| answer.status == 404).await;
}

/// With `None`: neither of those that were written, but the gateway's own.
async fn presents(site: &Site, name: &str, certificate: Option<&Certificate>) {
    site.shows(&format!("the certificate of {name}"), async |node| {
        let client = RawClient::connect_tls(node.tls(), Hello::to(name)).await;
        let seen = client.certificate.unwrap();
        let good = match certificate {
            Some(certificate) => seen == certificate.der,
            None => !String::from_utf8_lossy(&seen).contains(".test"),
        };
        good.then_some(()).ok_or_else(|| format!("{} bytes", seen.len()))
    })
    .await;
}

async fn edits_under_traffic_fail_no_request(site: &Site) {
    let (one, two) = (Upstream::ok().await, Upstream::ok().await);
    let admin = site.admin();
    published(&admin, "s", &one, &["/"]).await;
    site.reaches(&Request::get("/"), &one).await;
    let is_over = AtomicBool::new(false);
    let edits = async {
        for number in 0..60 {
            let port = [&one, &two][number % 2].port();
            admin.patch("/services/s", json!({"port": port})).await;
            let path = format!("/routes/extra-{number}");
            let route = json!({"paths": [format!("/extra/{number}")], "service": {"name": "s"}});
            admin.put(&path, route).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let clients = site.nodes().chain(site.nodes()).map(|node| {
        let is_over = &is_over;
        async move {
            let (mut client, mut count) = (RawClient::connect(node.proxy()).await, 0);
            while !is_over.load(Ordering::Relaxed) {
                let answer = client
                    .assert_open(&Request::get("/"), "the connection stays")
                    .await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                count += 1;
            }
            count
        }
    });
    let ((), counts) = tokio::join!(edits, futures_util::future::join_all(clients));
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
    assert!(!one.requests().is_empty() && !two.requests().is_empty());
}
