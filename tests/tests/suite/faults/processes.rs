//! Backends that are processes: killed, stopped and started again under load.

use crate::load::{CLIENTS, Load};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, Request, binary, eventually, ports};
use tokio::net::TcpStream;

/// An echo server as a process of its own; killed when dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    async fn start() -> Self {
        Self::at(ports::free_address()).await
    }

    async fn at(address: SocketAddr) -> Self {
        let mut command = Command::new(binary::path());
        command
            .args(["echo", "--listen", &address.to_string()])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        eventually("the backend listens", PATIENCE, async || {
            TcpStream::connect(address).await.ok().map(drop)
        })
        .await;
        Self { child, address }
    }

    async fn three() -> [Self; 3] {
        [Self::start().await, Self::start().await, Self::start().await]
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.unwrap().success(), "kill -{name}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn in_front_of(backends: &[Process]) -> Gateway {
    let targets: String = backends
        .iter()
        .map(|backend| format!("  - target: {}\n", backend.address))
        .collect();
    Gateway::start(format!(
        "upstreams:
- name: pool
  healthchecks:
    active:
      http_path: /get
      timeout: 0.5
      healthy: {{interval: 0.2, successes: 1}}
      unhealthy: {{interval: 0.2, http_failures: 1, tcp_failures: 1, timeouts: 1}}
    passive:
      unhealthy: {{tcp_failures: 1, timeouts: 1}}
  targets:
{targets}services:
- {{name: s, host: pool, retries: 2, connect_timeout: 1000, read_timeout: 1000, routes: [{{paths: [/], strip_path: false}}]}}
"
    ))
    .await
}

/// Tries that went to a backend so far.
async fn tries(gateway: &Gateway, backend: SocketAddr) -> f64 {
    let labels = format!("{{upstream=\"pool\",target=\"{backend}\",address=\"{backend}\"}}");
    gateway
        .metric(&format!("tidegate_upstream_target_tries_total{labels}"))
        .await
}

async fn is_in_use(gateway: &Gateway, backend: SocketAddr, wanted: bool) {
    let state = if wanted { "healthy" } else { "unhealthy" };
    let sample = format!(
        "kong_upstream_target_health{{upstream=\"pool\",target=\"{backend}\",address=\"{backend}\",state=\"{state}\",subsystem=\"http\"}}"
    );
    eventually(&format!("{backend} is {state}"), PATIENCE, async || {
        (gateway.metric(&sample).await == 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_is_killed_costs_no_request_that_may_be_repeated_and_comes_back() {
    let backends = Process::three().await;
    let [one, ..] = &backends;
    let gateway = in_front_of(&backends).await;
    let load = Load::start(gateway.proxy(), &Request::get("/get"));
    load.goes_on(100).await;
    one.signal("KILL");
    is_in_use(&gateway, one.address, false).await;
    let before = tries(&gateway, one.address).await;
    load.goes_on(200).await;
    assert_eq!(
        tries(&gateway, one.address).await,
        before,
        "the others have its share"
    );
    let again = Process::at(one.address).await;
    is_in_use(&gateway, again.address, true).await;
    load.goes_on(200).await;
    assert!(
        tries(&gateway, one.address).await > before + 30.0,
        "it has its share again"
    );
    assert_eq!(load.end().await, [0_u16; 0], "no request failed");
}

#[tokio::test]
async fn a_backend_that_is_killed_costs_at_most_what_was_in_flight_on_it() {
    let backends = Process::three().await;
    let [one, ..] = &backends;
    let gateway = in_front_of(&backends).await;
    let load = Load::start(gateway.proxy(), &Request::post("/post", "once"));
    load.goes_on(100).await;
    one.signal("KILL");
    is_in_use(&gateway, one.address, false).await;
    load.goes_on(200).await;
    let failed = load.end().await;
    assert!(failed.len() <= CLIENTS, "{failed:?}");
    assert!(failed.iter().all(|status| *status == 502), "{failed:?}");
}

#[tokio::test]
async fn a_backend_that_is_stopped_holds_a_request_no_longer_than_the_time_for_reading() {
    let backends = Process::three().await;
    let [one, ..] = &backends;
    let gateway = in_front_of(&backends).await;
    let load = Load::start(gateway.proxy(), &Request::get("/get"));
    load.goes_on(100).await;
    one.signal("STOP");
    is_in_use(&gateway, one.address, false).await;
    load.goes_on(200).await;
    one.signal("CONT");
    is_in_use(&gateway, one.address, true).await;
    load.goes_on(100).await;
    assert_eq!(load.end().await, [0_u16; 0], "no request failed");
    // What waited for it was given up: nothing is left open.
    let active = "tidegate_upstream_connections{state=\"active\"}";
    eventually("no exchange goes on", Duration::from_secs(10), async || {
        (gateway.metric(active).await == 0.0).then_some(())
    })
    .await;
}
