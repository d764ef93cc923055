//! What was acknowledged is there, whatever happens to the process.

use super::Site;
use super::site::Database;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_test_postgres::Server;
use tidegate_tests::admin::json as request;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Admin, Gateway, Request, Upstream, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything() {
    let upstream = Upstream::ok().await;
    let mut site = Site::embedded().await;
    let admin = site.admin();
    admin
        .post("/services", json!({"name": "s", "url": upstream.url()}))
        .await;
    admin
        .post("/services/s/routes", json!({"name": "r", "paths": ["/"]}))
        .await;
    admin.post("/routes/r/plugins", json!({"name": "key-auth"})).await;
    admin
        .post("/consumers", json!({"username": "ali", "tags": ["people"]}))
        .await;
    admin.post("/consumers/ali/key-auth", json!({"key": "k"})).await;
    let lists = [
        "/services",
        "/routes",
        "/plugins",
        "/consumers",
        "/key-auths",
        "/tags",
    ];
    let before = all(&admin, &lists).await;
    site.writer.restart().await;
    assert_eq!(all(&admin, &lists).await, before);
    let with_key = Request::get("/").header("apikey", "k");
    assert_eq!(site.writer.call(&with_key).await.status, 200);
    assert_eq!(site.writer.get("/").await.status, 401);
}

async fn all(admin: &Admin, lists: &[&str]) -> Vec<Value> {
    let mut found = Vec::new();
    for list in lists {
        found.push(admin.get(list).await["data"].clone());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_moments_lose_nothing_of_the_store_file() {
    survives_kills(Site::embedded().await.writer, 24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_moments_lose_nothing_in_a_database() {
    let database = Database::of(Server::shared());
    database.prepare();
    survives_kills(database.node().start().await, 8).await;
}

/// What may be found of a service: its `host`, or that it is not there.
type State = Option<String>;

async fn survives_kills(mut gateway: Gateway, kills: usize) {
    let admin = gateway.admin();
    let mut acknowledged = 0;
    for round in 0..kills {
        let writers: Vec<_> = (0..4)
            .map(|writer| tokio::spawn(write_until_it_ends(admin.clone(), format!("s-{round}-{writer}"))))
            .collect();
        let first = format!("/services/s-{round}-0-0");
        eventually("writes go through", PATIENCE, async || {
            (admin.status(&first).await == 200).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..60_000))).await;
        gateway.kill();
        let mut expected = BTreeMap::new();
        for writer in writers {
            let (count, states) = writer.await.unwrap();
            acknowledged += count;
            expected.extend(states);
        }
        if round % 3 == 0 {
            let after = Duration::from_micros(fastrand::u64(0..200_000));
            gateway.crash_while_starting(after).await;
        }
        gateway.start_again().await;
        for (name, states) in expected {
            let answer = admin.call(Request::get(&format!("/services/{name}"))).await;
            let found: State =
                (answer.status == 200).then(|| answer.json()["host"].as_str().unwrap().to_owned());
            assert!(
                states.contains(&found),
                "{name} may be one of {states:?}, and is {found:?}"
            );
        }
    }
    assert!(acknowledged > kills * 5, "too few writes to tell: {acknowledged}");
}

/// Makes, changes and deletes services until nobody answers. Gives the number of acknowledged writes, and for each
/// service in which states it may be found: the last acknowledged one, and the one that was asked for after it.
async fn write_until_it_ends(admin: Admin, prefix: String) -> (usize, BTreeMap<String, Vec<State>>) {
    let (mut count, mut states) = (0, BTreeMap::new());
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        let path = format!("/services/{name}");
        let some = |host: &str| Some(host.to_owned());
        let mut steps = vec![
            (request("PUT", &path, &json!({"host": "one"})), some("one")),
            (request("PATCH", &path, &json!({"host": "two"})), some("two")),
        ];
        if number % 3 == 2 {
            steps.push((Request::new("DELETE", &path), None));
        }
        let mut now = None;
        for (request, next) in steps {
            let Some(answer) = admin.try_call(request).await else {
                states.insert(name, vec![now, next]);
                return (count, states);
            };
            assert!(answer.status < 300, "{path}: {}", answer.text());
            count += 1;
            now = next;
        }
        states.insert(name, vec![now]);
    }
    (count, states)
}

#[tokio::test]
async fn a_second_gateway_on_the_same_store_file_is_refused() {
    let first = Gateway::managed().start().await;
    let path = first.folder().join("store.redb");
    let second = Gateway::managed().setting("store_path", path.display().to_string());
    let (end, log) = second.try_start().await.unwrap_err();
    assert!(!end.success());
    assert!(log.contains("is in use by another process"), "{log}");
    assert!(log.contains(path.to_str().unwrap()), "{log}");
    first.admin().post("/services", json!({"host": "h"})).await;
}

#[tokio::test]
async fn a_store_file_that_is_none_is_refused_and_stays_as_it_is() {
    let gateway = Gateway::managed().file("store.redb", "my shopping list");
    let (end, log) = gateway
        .setting("store_path", "{folder}/store.redb")
        .try_start()
        .await
        .unwrap_err();
    assert!(!end.success());
    assert!(log.contains("is no store file"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_writes_are_refused_traffic_and_reads_go_on_and_room_heals_it() {
    let upstream = Upstream::ok().await;
    let site = Site::embedded().await;
    let (gateway, admin) = (&site.writer, site.admin());
    admin
        .post("/services", json!({"name": "s", "url": upstream.url()}))
        .await;
    admin
        .post("/services/s/routes", json!({"name": "r", "paths": ["/"]}))
        .await;
    let length = std::fs::metadata(gateway.folder().join("store.redb"))
        .unwrap()
        .len();
    // A limit on the size of files stands for a disk that is full.
    limit_files(gateway, &length.to_string());
    let mut written = 0;
    let refused = loop {
        let body = "x".repeat(100_000);
        let config = json!({"status_code": 418, "body": body});
        let route = json!({"name": format!("r{written}"), "paths": ["/a"], "service": {"name": "s"}});
        let answer = admin.send("POST", "/routes", &route).await;
        if answer.status != 201 {
            break answer;
        }
        let plugin = json!({"name": "request-termination", "config": config});
        let path = format!("/routes/r{written}/plugins");
        let answer = admin.send("POST", &path, &plugin).await;
        if answer.status != 201 {
            break answer;
        }
        written += 1;
        assert!(written < 500, "the file has room without end");
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(
        refused.message().starts_with("the store cannot be written now: "),
        "{}",
        refused.text()
    );
    assert_eq!(gateway.get("/").await.status, 200);
    let plugins = admin.get("/plugins?size=1000").await["data"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(plugins, written, "exactly what was acknowledged");
    assert_eq!(admin.get("/status").await["database"]["reachable"], false);

    limit_files(gateway, "unlimited");
    eventually("writes go through again", PATIENCE, async || {
        let answer = admin.send("PUT", "/services/t", &json!({"host": "h"})).await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(admin.get("/status").await["database"]["reachable"], true);
    let mut gateway = site.writer;
    gateway.restart().await;
    let plugins = admin.get("/plugins?size=1000").await["data"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(plugins, written);
    assert_eq!(gateway.get("/").await.status, 200);
}

fn limit_files(gateway: &Gateway, bytes: &str) {
    let status = std::process::Command::new("prlimit")
        .args(["--pid", &gateway.pid().to_string(), &format!("--fsize={bytes}:")])
        .status()
        .unwrap();
    assert!(status.success(), "prlimit");
}

#[tokio::test]
async fn a_declarative_file_beside_a_database_is_told_to_be_unread() {
    let gateway = Gateway::with("services: [{name: s, host: h}]")
        .setting("database", "embedded")
        .setting("admin_listen", "{admin}")
        .start()
        .await;
    assert_eq!(gateway.admin().get("/services").await["data"], json!([]));
    assert!(
        gateway
            .log()
            .contains("the declarative configuration is not read"),
        "{}",
        gateway.log()
    );
}
