//! Figures of the log object and of the bandwidth metric, compared with the bytes on the wire.

use crate::ask::service;
use serde_json::Value;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream, eventually};

const FILE_LOG: &str = "plugins:\n- {name: file-log, config: {path: FOLDER/log.json}}\n";

/// Starts a gateway that writes the log object, in a folder that outlives it.
async fn logging(upstream: &Upstream) -> (Gateway, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let plugin = FILE_LOG.replace("FOLDER", folder.path().to_str().unwrap());
    // A name, not an address: a peer has to be chosen.
    let named = service(upstream, "- {name: r, paths: [/]}").replace("127.0.0.1", "localhost");
    let yaml = format!("{named}{plugin}");
    (Gateway::start(yaml).await, folder)
}

async fn line(folder: &tempfile::TempDir, index: usize) -> Value {
    let path = folder.path().join("log.json");
    let text = eventually("the line is written", PATIENCE, async || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.lines().nth(index).map(str::to_owned)
    })
    .await;
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn sizes_are_those_of_the_bytes_on_the_wire() {
    let upstream = Upstream::serving(|_| Answer::ok("x".repeat(1_000)).header("X-More", "1")).await;
    let (gateway, folder) = logging(&upstream).await;
    let request = Request::post("/upload", vec![b'y'; 2_000]).header("Connection", "close");
    let mut client = RawClient::connect(gateway.proxy()).await;
    client.send(request.bytes()).await;
    let answer = client.rest_until_closed("asked to close").await;
    let record = line(&folder, 0).await;
    assert_eq!(record["request"]["size"], request.bytes().len());
    let size = i64::try_from(answer.len()).unwrap();
    let logged = record["response"]["size"].as_i64().unwrap();
    // `Connection: close` is the connection's own affair.
    let own = i64::try_from("connection: close\r\n".len()).unwrap();
    assert!(
        (0..=own).contains(&(size - logged)),
        "{logged} logged, {size} on the wire"
    );

    let page = gateway.status_page("/metrics").await.text();
    let counted = |direction: &str| {
        let line = page.lines().find(|line| {
            line.starts_with("kong_bandwidth_bytes{") && line.contains(&format!("direction=\"{direction}\""))
        });
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .unwrap()
    };
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    let expected = (request.bytes().len() as f64, logged as f64);
    assert_eq!((counted("ingress"), counted("egress")), expected);
}

#[tokio::test]
async fn a_try_tells_how_long_its_peer_took_to_choose() {
    let upstream = Upstream::ok().await;
    let (gateway, folder) = logging(&upstream).await;
    gateway.get("/").await;
    let record = line(&folder, 0).await;
    let one = &record["tries"][0];
    let (start, start_ns) = (
        one["balancer_start"].as_u64().unwrap(),
        one["balancer_start_ns"].as_u64().unwrap(),
    );
    assert_eq!(start_ns / 1_000_000, start);
    assert!(start >= record["started_at"].as_u64().unwrap());
    let (latency, latency_ns) = (
        one["balancer_latency"].as_u64().unwrap(),
        one["balancer_latency_ns"].as_u64().unwrap(),
    );
    assert_eq!(latency_ns / 1_000_000, latency);
    assert!(
        latency_ns > 0 && latency <= record["latencies"]["request"].as_u64().unwrap(),
        "{one}"
    );
}
