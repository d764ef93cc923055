//! PostgreSQL as operators meet it: preparing it, losing it, more nodes than one.

use super::Site;
use super::site::Database;
use serde_json::json;
use tidegate_test_postgres::Server;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Admin, Gateway, Request, Upstream, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_traffic_and_reads_go_on_and_it_heals() {
    let mut server = Server::start();
    let database = Database::of(&server);
    database.prepare();
    let site = Site {
        writer: database.node().start().await,
        follower: Some(database.node().start().await),
    };
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    admin
        .post("/services", json!({"name": "s", "url": upstream.url()}))
        .await;
    admin
        .post("/services/s/routes", json!({"name": "r", "paths": ["/"]}))
        .await;
    site.reaches(&Request::get("/"), &upstream).await;

    server.kill();
    for node in site.nodes() {
        let service = json!({"host": "elsewhere"});
        let answer = node.admin().send("PATCH", "/services/s", &service).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(
            answer.message().starts_with("the store cannot be written now: "),
            "{}",
            answer.text()
        );
        assert!(!answer.text().contains(Server::PASSWORD));
        assert_eq!(node.get("/").await.status, 200);
        assert_eq!(node.admin().get("/services/s").await["host"], "127.0.0.1");
        assert_eq!(
            node.admin().get("/routes").await["data"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        is_reachable(&node.admin(), false).await;
    }

    server.run();
    for node in site.nodes() {
        is_reachable(&node.admin(), true).await;
    }
    admin.patch("/routes/r", json!({"paths": ["/after"]})).await;
    site.reaches(&Request::get("/after"), &upstream).await;
    site.answers(&Request::get("/"), 404).await;
}

async fn is_reachable(admin: &Admin, wanted: bool) {
    eventually("the status tells it", PATIENCE, async || {
        let status = admin.get("/status").await;
        (status["database"]["reachable"] == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_has_everything_when_it_is_back() {
    let mut site = Site::postgres().await;
    let admin = site.admin();
    let upstream = Upstream::ok().await;
    site.follower.as_mut().unwrap().kill();
    admin
        .post("/services", json!({"name": "s", "url": upstream.url()}))
        .await;
    admin.post("/services/s/routes", json!({"paths": ["/"]})).await;
    let follower = site.follower.as_mut().unwrap();
    follower.start_again().await;
    assert_eq!(follower.get("/").await.status, 200);
    assert_eq!(
        follower.admin().get("/services").await,
        admin.get("/services").await
    );
}

#[tokio::test]
async fn a_database_that_is_not_prepared_or_not_there_is_refused_with_what_to_do() {
    let server = Server::shared();
    let database = Database::of(server);
    let (end, log) = database.node().try_start().await.unwrap_err();
    assert!(!end.success());
    assert!(log.contains("run `tidegate migrations bootstrap`"), "{log}");

    let (end, log) = database
        .node()
        .setting("pg_password", "not-this-one")
        .try_start()
        .await
        .unwrap_err();
    assert!(!end.success());
    assert!(log.contains("password authentication failed"), "{log}");
    assert!(!log.contains("not-this-one"), "{log}");

    let nobody = database.node().setting("pg_host", "{folder}");
    let (end, log) = nobody.try_start().await.unwrap_err();
    assert!(!end.success());
    assert!(log.contains("cannot be reached"), "{log}");
}

#[test]
fn migrations_prepare_list_and_empty_a_database() {
    let database = Database::of(Server::shared());
    let run = |arguments: &[&str], code: i32, text: &str| {
        let (seen, told) = database.migrations(arguments);
        assert_eq!(seen, Some(code), "{arguments:?}: {told}");
        assert!(told.contains(text), "{arguments:?}: no {text:?} in {told}");
        assert!(!told.contains(Server::PASSWORD), "{told}");
    };
    let unprepared = "run `tidegate migrations bootstrap`";
    run(&["list"], 1, unprepared);
    run(&["up"], 1, unprepared);
    run(&["reset", "--yes"], 0, "there was nothing to delete");
    run(&["bootstrap"], 0, "the database is prepared");
    run(&["bootstrap"], 0, "the database was prepared before");
    run(&["list"], 0, "001_entities");
    run(&["up"], 0, "the database is up to date");
    run(&["finish"], 0, "nothing is pending");
    run(&["reset"], 1, "say `--yes`");
    run(&["list"], 0, "001_entities");
    run(&["reset", "--yes"], 0, "deleted");
    run(&["list"], 1, unprepared);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_different_schemas_know_nothing_of_each_other() {
    let (one, two) = (Database::of(Server::shared()), Database::of(Server::shared()));
    one.prepare();
    two.prepare();
    let (one, two): (Gateway, Gateway) = (one.node().start().await, two.node().start().await);
    one.admin()
        .post("/services", json!({"name": "s", "host": "h"}))
        .await;
    two.admin()
        .post("/services", json!({"name": "s", "host": "other"}))
        .await;
    assert_eq!(one.admin().get("/services/s").await["host"], "h");
    assert_eq!(
        two.admin().get("/services").await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
