use crate::run::{reset, summary, sync, with};
use crate::server::Server;
use serde_json::{Value, json};
use tidegate_deck::Verb;

const HTTPBIN: &str = "_format_version: \"3.0\"\n_konnect:\n  control_plane_name: serverless-default\n_info:\n  select_tags:\n  \
                       - httpbin\nservices:\n- name: httpbin-service\n  host: httpbin.konghq.com\n  port: 80\n  \
                       protocol: http\n  routes:\n  - name: httpbin-route\n    paths:\n    - /httpbin-route\n";

/// The walk-through of the serverless gateway's documentation, on a gateway of one's own.
#[tokio::test]
async fn the_walk_through_creates_two_entities_once_and_leaves_others_alone() {
    let server = Server::start().await;
    let other = json!({"name": "other", "host": "h", "tags": ["mine"]});
    assert_eq!(server.gateway.json("POST", "/services", &other).await.status, 201);

    let first = sync(&server, HTTPBIN).await;
    let expected =
        "creating service httpbin-service\ncreating route httpbin-route\n".to_owned() + &summary(2, 0, 0);
    assert_eq!((first.code, first.out), (0, expected));
    assert!(
        first
            .err
            .starts_with("Info: the state file names control plane 'serverless-default'"),
        "{}",
        first.err
    );
    assert_eq!(
        server.get("/routes/httpbin-route").await["tags"],
        json!(["httpbin"])
    );
    assert_eq!(server.writes().len(), 2);

    let second = sync(&server, HTTPBIN).await;
    assert_eq!((second.code, second.out), (0, summary(0, 0, 0)));
    assert_eq!(server.writes(), Vec::<String>::new());

    let emptied = sync(
        &server,
        "_format_version: \"3.0\"\n_info: {select_tags: [httpbin]}\n",
    )
    .await;
    let expected =
        "deleting route httpbin-route\ndeleting service httpbin-service\n".to_owned() + &summary(0, 0, 2);
    assert_eq!((emptied.code, emptied.out), (0, expected));
    assert_eq!(server.get("/services/other").await["host"], "h");

    let all = reset(&server, |options| options.is_forced = true, "").await;
    assert_eq!(
        (all.code, all.out),
        (0, "deleting service other\n".to_owned() + &summary(0, 0, 1))
    );
    assert_eq!(server.count("/services").await, 0);
}

#[tokio::test]
async fn a_difference_is_shown_and_told_by_the_exit_code_and_writes_nothing() {
    let server = Server::start().await;
    let shown = with(&server, Verb::Diff, HTTPBIN, |options| {
        options.non_zero_exit_code = true
    })
    .await;
    let expected =
        "creating service httpbin-service\ncreating route httpbin-route\n".to_owned() + &summary(2, 0, 0);
    assert_eq!((shown.code, shown.out), (2, expected));
    assert_eq!(with(&server, Verb::Diff, HTTPBIN, |_| {}).await.code, 0);
    assert_eq!(server.writes(), Vec::<String>::new());
    sync(&server, HTTPBIN).await;
    let same = with(&server, Verb::Diff, HTTPBIN, |options| {
        options.non_zero_exit_code = true
    })
    .await;
    assert_eq!((same.code, same.out), (0, summary(0, 0, 0)));
}

#[tokio::test]
async fn an_update_shows_the_whole_entity_with_what_changes() {
    let server = Server::start().await;
    let text = |port: &str| {
        format!(
            "_format_version: \"3.0\"\nservices:\n- {{name: s, host: h, port: {port}, tags: [b, a], path: /x}}\n"
        )
    };
    sync(&server, &text("80")).await;
    let id = server.get("/services/s").await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let expected = |port: &str| {
        format!(
            "updating service s  {{\n   \"connect_timeout\": 60000,\n   \"enabled\": true,\n   \"host\": \"h\",\n   \
             \"id\": \"{id}\",\n   \"name\": \"s\",\n   \"path\": \"/x\",\n-  \"port\": 80,\n+  \"port\": {port},\n   \
             \"protocol\": \"http\",\n   \"read_timeout\": 60000,\n   \"retries\": 5,\n   \"tags\": [\n     \"b\",\n     \
             \"a\"\n   ],\n   \"write_timeout\": 60000\n }}\n\n{}",
            summary(0, 1, 0)
        )
    };
    let masked = with(&server, Verb::Diff, &text("${{ env \"DECK_PORT\" }}"), |_| {}).await;
    assert_eq!(masked.out, expected("\"[masked]\""));
    let shown = with(&server, Verb::Sync, &text("81"), |options| {
        options.shows_variables = true
    })
    .await;
    assert_eq!((shown.code, shown.out), (0, expected("81")));
    assert_eq!(server.get("/services/s").await["port"], 81);
}

#[tokio::test]
async fn plugins_are_written_as_the_user_wrote_them_and_compared_with_defaults() {
    let server = Server::start().await;
    let text = |minute: u32| {
        format!(
            "_format_version: \"3.0\"\nplugins:\n- name: rate-limiting\n  config: {{minute: {minute}, policy: local}}\n"
        )
    };
    let created = sync(&server, &text(5)).await;
    assert_eq!(
        created.out,
        "creating plugin rate-limiting (global)\n".to_owned() + &summary(1, 0, 0),
        "{}",
        created.err
    );
    assert_eq!(sync(&server, &text(5)).await.out, summary(0, 0, 0));
    let updated = sync(&server, &text(6)).await;
    let changes: Vec<&str> = updated
        .out
        .lines()
        .filter(|line| line.starts_with(['+', '-']))
        .collect();
    assert_eq!(
        changes,
        ["-    \"minute\": 5,", "+    \"minute\": 6,"],
        "{}",
        updated.out
    );
}

#[tokio::test]
async fn applied_files_delete_nothing_and_may_refer_to_what_is_there() {
    let server = Server::start().await;
    sync(
        &server,
        "_format_version: \"3.0\"\nservices: [{name: s, host: h}]\n",
    )
    .await;
    let text = "_format_version: \"3.0\"\nroutes: [{name: r, paths: [/r], service: {name: s}}]\n";
    let refused = sync(&server, text).await;
    assert!(
        refused.err.contains("service s for route r: entity not found"),
        "{}",
        refused.err
    );
    let applied = with(&server, Verb::Apply, text, |_| {}).await;
    assert_eq!(
        (applied.code, applied.out),
        (0, "creating route r\n".to_owned() + &summary(1, 0, 0))
    );
    assert_eq!(server.count("/services").await, 1);
}

#[tokio::test]
async fn entities_with_lookup_tags_can_be_referred_to_and_are_left_alone() {
    let server = Server::start().await;
    sync(
        &server,
        "_format_version: \"3.0\"\nconsumers: [{username: alice, tags: [shared]}]\n",
    )
    .await;
    let text = "_format_version: \"3.0\"\n_info:\n  select_tags: [team]\n  default_lookup_tags: {consumers: [shared]}\n\
                plugins: [{name: request-termination, consumer: alice}]\n";
    let ran = sync(&server, text).await;
    let expected = "creating plugin request-termination for consumer alice\n".to_owned() + &summary(1, 0, 0);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, expected.as_str()),
        "{}",
        ran.err
    );
    assert_eq!(sync(&server, text).await.out, summary(0, 0, 0));
    assert_eq!(server.get("/consumers/alice").await["tags"], json!(["shared"]));
}

#[tokio::test]
async fn the_report_is_one_object_on_demand() {
    let server = Server::start().await;
    let ran = with(&server, Verb::Sync, HTTPBIN, |options| options.json_output = true).await;
    assert!(
        ran.out.starts_with("{\n\t\"changes\": {\n\t\t\"creating\": [\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("\n}\n\n"), "{}", ran.out);
    let object: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(
        object["summary"],
        json!({"creating": 2, "updating": 0, "deleting": 0, "total": 2})
    );
    assert_eq!(object["changes"]["creating"][0]["name"], "httpbin-service");
    assert_eq!(object["changes"]["creating"][0]["kind"], "service");
    assert_eq!(object["changes"]["creating"][0]["body"]["old"], Value::Null);
    assert_eq!(
        (&object["errors"], object["changes"].get("dropped_creations")),
        (&json!([]), None)
    );
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let server = Server::start().await;
    let services: Vec<Value> = (0..1_100)
        .map(|at| json!({"name": format!("s{at:04}"), "host": "h"}))
        .collect();
    let text = json!({"_format_version": "3.0", "services": services}).to_string();
    let first = with(&server, Verb::Sync, &text, |options| {
        options.silences_events = true
    })
    .await;
    assert_eq!((first.code, first.out), (0, summary(1_100, 0, 0)));
    server.writes();
    let second = sync(&server, &text).await;
    assert_eq!(second.out, summary(0, 0, 0));
    let pages = server
        .seen
        .lock()
        .iter()
        .filter(|line| line.starts_with("GET /services?"))
        .count();
    assert_eq!(pages, 2);
}
