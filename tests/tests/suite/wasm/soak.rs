//! Many exchanges, some of whose clients leave.

use super::guest::{Folder, Guest};
use std::time::Duration;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream, eventually};

const CLIENTS: usize = 64;
const EXCHANGES: usize = 10_000;

/// Sees every part of both messages.
fn seeing() -> Guest {
    let mut guest = Guest::default();
    let add = guest.add(2, "x-seen", "1");
    guest
        .on("request_headers", 3, "", "(i32.const 0)")
        .on("request_body", 3, "", "(i32.const 0)")
        .on("response_headers", 3, &add, "(i32.const 0)")
        .on("response_body", 3, "", "(i32.const 0)")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_exchanges_with_clients_that_leave_end_every_context_and_grow_nothing() {
    let upstream = Upstream::serving(|_| Answer::ok("a".repeat(2_000))).await;
    let yaml = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{paths: [/]}}\n\
         filter_chains:\n- {{name: c, service: s, filters: [{{name: test}}]}}\n",
        upstream.url()
    );
    let folder = Folder::new().with("test", &seeing());
    let gateway = folder.attached(Gateway::with(yaml)).start().await;
    let address = gateway.proxy();
    let round = async |exchanges: usize| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                tokio::spawn(async move {
                    let mut connection = RawClient::connect(address).await;
                    for number in 0..exchanges / CLIENTS {
                        let request = Request::post("/", "some bytes");
                        if (client + number) % 100 == 0 {
                            // Gone before anything, in the middle of the body, or before the answer.
                            let bytes = request.bytes();
                            let part = [1, bytes.len() - 3, bytes.len()][number % 3];
                            connection.send(&bytes[..part]).await;
                            connection = RawClient::connect(address).await;
                            continue;
                        }
                        let answer = connection.call(&request).await;
                        assert_eq!((answer.status, answer.header("x-seen")), (200, "1"));
                        if answer.header("Connection").eq_ignore_ascii_case("close") {
                            connection = RawClient::connect(address).await;
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    };
    round(EXCHANGES / 5).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = gateway.resident_bytes();
    round(EXCHANGES).await;
    eventually("every context is deleted", PATIENCE, async || {
        let created = gateway.metric("tidegate_filter_streams_created_total").await;
        let ended = gateway.metric("tidegate_filter_streams_ended_total").await;
        (created == ended && created > EXCHANGES as f64).then_some(())
    })
    .await;
    assert_eq!(gateway.metric("tidegate_filter_traps_total").await, 0.0);
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more");
}
