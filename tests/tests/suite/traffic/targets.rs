//! Targets that are socket files, sticky sessions by Kong's name, and connections to targets that were taken away.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tidegate_tests::gateway::Reload;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, Request, Upstream, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// A backend on a socket file, which answers with the head of the request.
struct SocketFile {
    path: PathBuf,
    connections: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl SocketFile {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                tokio::spawn(answer(stream));
            }
        });
        Self {
            path,
            connections,
            serving,
            _folder: folder,
        }
    }

    fn target(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    fn close(&self) {
        self.serving.abort();
        std::fs::remove_file(&self.path).unwrap();
    }
}

async fn answer(mut stream: UnixStream) {
    let mut read = Vec::new();
    loop {
        while !read.ends_with(b"\r\n\r\n") {
            if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
                return;
            }
        }
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", read.len()).into_bytes();
        answer.append(&mut read);
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn config(fields: &str, targets: &[String]) -> String {
    let targets: Vec<String> = targets
        .iter()
        .map(|target| format!("{{target: \"{target}\"}}"))
        .collect();
    format!(
        "_format_version: \"3.0\"\nservices:\n- {{name: s, host: up, port: 1, retries: 2, routes: [{{name: r, paths: [/]}}]}}\n\
         upstreams:\n- name: up\n  {fields}\n  targets: [{}]\n",
        targets.join(", ")
    )
}

#[tokio::test]
async fn a_target_may_be_a_socket_file() {
    let backend = SocketFile::open();
    let gateway = Gateway::start(config("tags: []", &[backend.target()])).await;
    for _ in 0..3 {
        let response = gateway.get("/a?b=c").await;
        assert_eq!(response.status, 200);
        let seen = response.text();
        assert!(seen.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{seen}");
        assert!(seen.contains("Host: localhost\r\n"), "{seen}");
    }
    assert_eq!(backend.connections.load(SeqCst), 1, "connections are kept");
    let status: serde_json::Value = gateway.status_page("/status/upstreams/up").await.json();
    let address = &status["targets"][0]["addresses"][0];
    assert_eq!(address["ip"], backend.target(), "{status}");
    assert_eq!(address["port"], serde_json::Value::Null, "{status}");
}

#[tokio::test]
async fn a_socket_file_is_probed_and_left_when_nobody_listens_there() {
    let (socket, other) = (SocketFile::open(), Upstream::ok().await);
    let checks = "host_header: app.test\n  healthchecks: {active: {healthy: {interval: 0.05, successes: 1}, \
                  unhealthy: {interval: 0.05, tcp_failures: 1}}}";
    let targets = [socket.target(), format!("127.0.0.1:{}", other.port())];
    let gateway = Gateway::start(config(checks, &targets)).await;
    let from_socket = eventually("an answer from the socket file", PATIENCE, async || {
        let text = gateway.get("/").await.text();
        text.contains("Host: app.test").then_some(text)
    });
    from_socket.await;
    socket.close();
    eventually("the probe to find that nobody listens", PATIENCE, async || {
        let status: serde_json::Value = gateway.status_page("/status/upstreams/up").await.json();
        let targets = status["targets"].as_array()?.clone();
        let find = |target: &str| targets.iter().find(|known| known["target"] == target).cloned();
        (find(&socket.target())?["health"] == "UNHEALTHY").then_some(())
    })
    .await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.text(), "ok");
    }
}

#[tokio::test]
async fn a_socket_file_with_a_relative_path_is_refused_with_the_reason() {
    let started = Gateway::with(config("tags: []", &["unix:run/app.sock".to_owned()]))
        .try_start()
        .await;
    let (_, text) = started.err().unwrap();
    assert!(text.contains("a socket file needs an absolute path"), "{text}");
}

#[tokio::test]
async fn sticky_sessions_by_name_keep_a_client_on_its_target() {
    let mut backends = Vec::new();
    for number in 0..3 {
        backends.push(Upstream::serving(move |_| Answer::ok(format!("{number}"))).await);
    }
    let targets: Vec<String> = backends
        .iter()
        .map(|backend| format!("127.0.0.1:{}", backend.port()))
        .collect();
    let fields = "algorithm: sticky-sessions\n  hash_on: none\n  sticky_sessions_cookie: home\n  sticky_sessions_cookie_path: /app";
    let gateway = Gateway::start(config(fields, &targets)).await;
    let first = gateway.get("/").await;
    let given = first.headers.get("Set-Cookie").unwrap().to_owned();
    assert!(given.contains("Path=/app"), "{given}");
    let cookie = given.split(';').next().unwrap();
    assert!(cookie.starts_with("home="), "{given}");
    for _ in 0..6 {
        let again = gateway.call(&Request::get("/").header("Cookie", cookie)).await;
        assert_eq!(again.text(), first.text());
    }
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(gateway.get("/").await.text());
    }
    others.sort();
    assert_eq!(
        others,
        ["0", "1", "2"],
        "clients without the cookie are served in turn"
    );
}

#[tokio::test]
async fn sticky_sessions_need_the_name_of_their_cookie() {
    let started = Gateway::with(config("algorithm: sticky-sessions", &["127.0.0.1:1".to_owned()]))
        .try_start()
        .await;
    let (_, text) = started.err().unwrap();
    assert!(text.contains("sticky_sessions_cookie"), "{text}");
}

#[tokio::test]
async fn connections_to_a_target_are_closed_soon_after_it_is_taken_away() {
    let (stays, goes) = (Upstream::ok().await, Upstream::ok().await);
    let target = |backend: &Upstream| format!("127.0.0.1:{}", backend.port());
    let gateway = Gateway::start(config("tags: []", &[target(&stays), target(&goes)])).await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert_eq!((stays.connections(), goes.connections()), (1, 1));
    let reload = gateway.reload(config("tags: []", &[target(&stays)])).await;
    assert!(matches!(reload, Reload::Accepted), "{reload:?}");
    eventually("the connection to be closed", PATIENCE, async || {
        (goes.closed_connections() == 1).then_some(())
    })
    .await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert_eq!(
        (stays.connections(), stays.closed_connections()),
        (1, 0),
        "the other one is kept"
    );
}
