use crate::run::{connection, ran, reset, summary, sync, with};
use crate::server::Server;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_deck::{Connection, Outcome, SyncOptions, Terminal, Verb};

#[tokio::test]
async fn a_refusal_stops_the_run_and_what_is_left_is_dropped() {
    let server = Server::start().await;
    let text = "_format_version: \"3.0\"\nservices:\n- name: s\n  host: h\n  routes:\n  - name: bad\n    paths: [nowhere]\n    \
                plugins: [{name: request-termination}]\n";
    let failed = sync(&server, text).await;
    let expected =
        "creating service s\ncreating route bad\nDropped creation plugin request-termination for route bad\n"
            .to_owned()
            + &summary(1, 0, 0);
    assert_eq!((failed.code, failed.out), (1, expected));
    let begin = "Error: 1 errors occurred:\n\twhile processing event: Create route bad failed: HTTP status 400 (message: \
                 \"schema violation (paths.1: should start with: / (fixed path) or ~/ (regex path))\")\n";
    assert!(failed.err.starts_with(begin), "{}", failed.err);
}

#[tokio::test]
async fn with_a_json_report_errors_are_part_of_it() {
    let server = Server::start().await;
    let text = "_format_version: \"3.0\"\nservices: [{name: s, host: ':'}]\nplugins: [{name: cors}]\n";
    let failed = with(&server, Verb::Sync, text, |options| options.json_output = true).await;
    assert_eq!((failed.code, failed.err.as_str()), (0, ""));
    let object: serde_json::Value = serde_json::from_str(&failed.out).expect("JSON");
    assert_eq!(
        object["errors"].as_array().map(Vec::len),
        Some(1),
        "{}",
        failed.out
    );
    assert_eq!(object["changes"]["dropped_creations"][0]["kind"], "plugin");
}

#[tokio::test]
async fn a_name_that_is_taken_out_of_sight_is_not_adopted() {
    let server = Server::start().await;
    sync(
        &server,
        "_format_version: \"3.0\"\nservices: [{name: s, host: h}]\n",
    )
    .await;
    let text = "_format_version: \"3.0\"\n_info: {select_tags: [mine]}\nservices: [{name: s, host: other}]\n";
    let failed = sync(&server, text).await;
    assert_eq!(failed.code, 1);
    assert!(
        failed
            .err
            .contains("Create service s failed: HTTP status 409 (message: "),
        "{}",
        failed.err
    );
    assert_eq!(server.get("/services/s").await["host"], "h");
}

#[tokio::test]
async fn another_id_under_the_same_name_replaces_the_entity_and_what_hangs_on_it() {
    let server = Server::start().await;
    let text = |id: &str| {
        format!(
            "_format_version: \"3.0\"\nservices: [{{name: s, host: h, {id} routes: [{{name: r, paths: [/r]}}]}}]\n"
        )
    };
    sync(&server, &text("")).await;
    let replaced = sync(&server, &text("id: 33333333-3333-4333-8333-333333333333,")).await;
    let expected = "deleting route r\ndeleting service s\ncreating service s\ncreating route r\n".to_owned()
        + &summary(2, 0, 2);
    assert_eq!((replaced.code, replaced.out), (0, expected), "{}", replaced.err);
    assert_eq!(
        server.get("/services/s").await["id"],
        "33333333-3333-4333-8333-333333333333"
    );
}

#[tokio::test]
async fn a_request_that_the_server_failed_at_is_tried_four_times_more() {
    let tries = Arc::new(Mutex::new(0_u32));
    let counted = Arc::clone(&tries);
    let failing = move |method: &str, target: &str| {
        if method != "PUT" || !target.starts_with("/services/") {
            return None;
        }
        let mut tries = counted.lock();
        *tries += 1;
        (*tries % 6 != 0).then(|| (500, "{\"message\": \"An unexpected error occurred\"}".to_owned()))
    };
    let server = Server::behind(Arc::new(failing)).await;
    let text = "_format_version: \"3.0\"\nservices: [{name: s, host: h}]\n";
    let failed = sync(&server, text).await;
    assert_eq!((failed.code, *tries.lock()), (1, 5));
    assert!(
        failed
            .err
            .contains("HTTP status 500 (message: \"An unexpected error occurred\")"),
        "{}",
        failed.err
    );
    let done = sync(&server, text).await;
    assert_eq!((done.code, *tries.lock()), (0, 6), "{}", done.err);
}

#[tokio::test]
async fn kinds_that_a_server_lacks_are_passed_over_and_others_are_not() {
    let absent = |_: &str, target: &str| {
        let lacks = [
            "/vaults",
            "/keys",
            "/key-sets",
            "/consumer_groups",
            "/filter-chains",
            "/acls",
            "/mtls-auths",
        ];
        let path = target.split('?').next().unwrap_or_default();
        lacks
            .contains(&path)
            .then(|| (404, "{\"message\":\"Not found\"}".to_owned()))
    };
    let server = Server::behind(Arc::new(absent)).await;
    let text = "_format_version: \"3.0\"\nservices: [{name: s, host: h}]\n";
    assert_eq!(sync(&server, text).await.code, 0);
    let broken = |_: &str, target: &str| target.starts_with("/routes?").then(|| (403, "<html>".to_owned()));
    let server = Server::behind(Arc::new(broken)).await;
    let failed = sync(&server, text).await;
    assert!(
        failed.err.starts_with(
            "Error: reading routes: HTTP status 403 (message: \"<failed to parse response body: "
        ),
        "{}",
        failed.err
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let failed = ran(async |terminal: &Terminal<'_>| {
        tidegate_deck::ping(&connection(&format!("http://{address}")), None, terminal).await?;
        Ok(Outcome::Done)
    })
    .await;
    let expected = format!(
        "Error: reading Kong version: making HTTP request: Get \"http://{address}/\": dial tcp {address}: connect: \
         connection refused\n"
    );
    assert_eq!((failed.code, failed.err), (1, expected));
}

#[tokio::test]
async fn files_and_options_that_make_no_sense_are_refused_ahead_of_any_write() {
    let server = Server::start().await;
    let good = "_format_version: \"3.0\"\nservices: [{name: s, host: h}]\n";
    let none = with(&server, Verb::Sync, good, |options| options.parallelism = 0).await;
    assert_eq!(none.err, "Error: --parallelism cannot be less than 1, got 0\n");
    let old = sync(
        &server,
        "_format_version: \"1.1\"\nservices: [{name: s, host: h}]\n",
    )
    .await;
    let begin = "Error: cannot apply '1.1' config format version to Kong version 3.0 or above.\n";
    assert!(old.err.starts_with(begin), "{}", old.err);
    let tagged = "_format_version: \"3.0\"\n_info: {select_tags: [b, a]}\nservices: []\n";
    let differs = with(&server, Verb::Sync, tagged, |options| {
        options.select_tags = vec!["c".to_owned()]
    })
    .await;
    let begin =
        "Error: tags specified in the state file ([a b]) and via --select-tags flag ([c]) are different.";
    assert!(differs.err.starts_with(begin), "{}", differs.err);
    let equal = |options: &mut SyncOptions| options.select_tags = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(with(&server, Verb::Sync, tagged, equal).await.code, 0);
    let hashed = with(&server, Verb::Sync, good, |options| {
        options.skips_password_hash = true
    })
    .await;
    assert!(
        hashed.err.contains("can be used with Konnect only"),
        "{}",
        hashed.err
    );
    assert_eq!(server.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_reset_asks_first() {
    let server = Server::start().await;
    sync(
        &server,
        "_format_version: \"3.0\"\nservices: [{name: s, host: h}]\n",
    )
    .await;
    let question = "This will delete all configuration from Kong's database.\n> Are you sure? ";
    for answer in ["n\n", "", "maybe\nno\n"] {
        let asked = reset(&server, |_| {}, answer).await;
        assert!(asked.code == 0 && asked.out.starts_with(question), "{asked:?}");
        assert_eq!(server.count("/services").await, 1, "{answer}");
    }
    reset(&server, |_| {}, "y\n").await;
    assert_eq!(server.count("/services").await, 0);
}

#[tokio::test]
async fn a_file_of_a_workspace_makes_it_and_goes_there() {
    let workspace = |method: &str, target: &str| match (method, target) {
        ("GET", "/team/workspaces/team") => Some((404, "{\"message\":\"Not found\"}".to_owned())),
        ("POST", "/workspaces") => Some((201, "{\"name\":\"team\"}".to_owned())),
        (_, target) if target.starts_with("/team/") => Some((200, "{}".to_owned())),
        _ => None,
    };
    let server = Server::behind(Arc::new(workspace)).await;
    let text = "_format_version: \"3.0\"\n_workspace: team\nservices: [{name: s, host: h}]\n";
    let made = sync(&server, text).await;
    let expected = "Creating workspace team\ncreating service s\n".to_owned() + &summary(1, 0, 0);
    assert_eq!((made.code, made.out), (0, expected), "{}", made.err);
    let writes = server.writes();
    assert_eq!(writes[0], "POST /workspaces");
    assert!(writes[1].starts_with("PUT /team/services/"), "{writes:?}");
}

#[tokio::test]
async fn what_goes_over_the_wire_is_shown_on_demand() {
    let server = Server::start().await;
    let options = SyncOptions::new(Verb::Diff, vec!["-".to_owned()]);
    let connection = Connection {
        verbose: true,
        admin_token: Some("secret".to_owned()),
        ..connection(&server.address)
    };
    let shown = ran(async |terminal: &Terminal<'_>| {
        let mut stdin = &b"_format_version: \"3.0\"\nservices: []\n"[..];
        tidegate_deck::sync(&connection, &options, &BTreeMap::new(), &mut stdin, terminal).await
    })
    .await;
    assert!(
        shown.err.contains("GET /services?size=1000 HTTP/1.1\n"),
        "{}",
        shown.err
    );
    assert!(!shown.err.contains("secret"), "{}", shown.err);
}
