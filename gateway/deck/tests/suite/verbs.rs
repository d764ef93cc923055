use crate::run::{connection, ran, sync, validate, with};
use crate::server::Server;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_deck::{Connection, Konnect, Outcome, SyncOptions, Terminal, Verb};

async fn ping(connection: &Connection) -> crate::run::Ran {
    ran(async |terminal: &Terminal<'_>| {
        tidegate_deck::ping(connection, None, terminal).await?;
        Ok(Outcome::Done)
    })
    .await
}

#[tokio::test]
async fn a_ping_tells_the_version() {
    let server = Server::start().await;
    let pinged = ping(&connection(&server.address)).await;
    let expected = "Successfully connected to Kong!\nKong version:  3.9.1\n";
    assert_eq!((pinged.code, pinged.out.as_str()), (0, expected));
}

#[tokio::test]
async fn files_are_checked_by_the_server_without_being_written() {
    let server = Server::start().await;
    let good = "_format_version: \"3.0\"\nservices: [{name: s, host: h, routes: [{name: r, paths: [/r]}]}]\n\
                consumers: [{username: a, keyauth_credentials: [{key: k}]}]\nplugins: [{name: cors}]\n";
    let checked = validate(&server, good).await;
    assert_eq!(
        (checked.code, checked.out.as_str(), checked.err.as_str()),
        (0, "", "")
    );
    let bad = "_format_version: \"3.0\"\nservices: [{name: s, host: h, port: 70000, routes: [{name: r}]}]\n";
    let faulty = validate(&server, bad).await;
    assert_eq!(faulty.code, 1);
    for expected in [
        "Error: 2 errors occurred:\n",
        "\tvalidate entity 'services (s)': HTTP status 400 (message: \"schema violation (port: value should be between 0 and \
         65535)\")\n",
        "\tvalidate entity 'routes (r)': HTTP status 400 (message: ",
    ] {
        assert!(faulty.err.contains(expected), "{expected}: {}", faulty.err);
    }
    assert_eq!(
        (server.count("/services").await, server.count("/consumers").await),
        (0, 0)
    );
}

/// The server of a hosted control plane, as far as its entities are those of a gateway.
async fn control_plane() -> Server {
    const BELOW: &str = "/v2/control-planes/cp-id/core-entities";
    let answers = |_: &str, target: &str| match target {
        "/v2/organizations/me" => Some((200, "{\"name\":\"Acme\",\"id\":\"org-id\"}".to_owned())),
        "/konnect-api/api/runtime_groups?page=1&size=100" => Some((
            200,
            "{\"data\":[{\"id\":\"x\",\"name\":\"other\"}],\"page\":1,\"pageCount\":2}".to_owned(),
        )),
        "/konnect-api/api/runtime_groups?page=2&size=100" => Some((
            200,
            "{\"data\":[{\"id\":\"cp-id\",\"name\":\"mine\"}],\"pageCount\":2}".to_owned(),
        )),
        target if target.contains("/v1/schemas/json/service") => {
            Some((200, "{\"properties\":{\"port\":{\"default\":80}}}".to_owned()))
        }
        target if target.starts_with(BELOW) => Some((200, "{\"data\":[]}".to_owned())),
        _ => Some((404, "{\"message\":\"Not found\"}".to_owned())),
    };
    Server::behind(Arc::new(answers)).await
}

fn konnect(server: &Server, name: Option<&str>) -> Connection {
    Connection {
        konnect: Some(Konnect {
            token: "pat".to_owned(),
            control_plane: name.map(str::to_owned),
        }),
        ..connection(&server.address)
    }
}

#[tokio::test]
async fn a_control_plane_is_found_by_name_and_written_below_its_path() {
    let server = control_plane().await;
    let pinged = ping(&konnect(&server, None)).await;
    assert_eq!(
        pinged.out, "Successfully Konnected to the Acme organization!\n",
        "{}",
        pinged.err
    );
    let text =
        "_format_version: \"3.0\"\n_konnect: {control_plane_name: mine}\nservices: [{name: s, host: h}]\n";
    let run = async |connection: &Connection| {
        let options = SyncOptions::new(Verb::Sync, vec!["-".to_owned()]);
        ran(async |terminal: &Terminal<'_>| {
            let mut stdin = text.as_bytes();
            tidegate_deck::sync(connection, &options, &BTreeMap::new(), &mut stdin, terminal).await
        })
        .await
    };
    let done = run(&konnect(&server, None)).await;
    assert_eq!(done.code, 0, "{}", done.err);
    let writes = server.writes();
    assert!(
        writes[0].starts_with("PUT /v2/control-planes/cp-id/core-entities/services/"),
        "{writes:?}"
    );
    let differs = run(&konnect(&server, Some("other"))).await;
    assert!(
        differs
            .err
            .starts_with("Error: warning: control plane 'other' specified via "),
        "{}",
        differs.err
    );
}

#[tokio::test]
async fn consumers_can_be_left_out_of_sight() {
    let server = Server::start().await;
    sync(&server, "_format_version: \"3.0\"\nconsumers: [{username: a}]\n").await;
    let text = "_format_version: \"3.0\"\nconsumers: [{username: b, plugins: [{name: cors}]}]\nservices: [{name: s, host: h}]\n\
                plugins: [{name: request-termination, consumer: b}]\n";
    let ran = with(&server, Verb::Sync, text, |options| {
        options.skips_consumers = true
    })
    .await;
    assert_eq!(
        (ran.code, ran.out.lines().next()),
        (0, Some("creating service s")),
        "{}",
        ran.err
    );
    assert_eq!(server.get("/consumers/a").await["username"], "a");
    assert_eq!(server.count("/plugins").await, 0);
}
