//! Nothing stays behind: no connection, no memory, no slower gateway.

use std::time::Duration;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{BlackHole, Fault, Faulty, Gateway, RawClient, Request, eventually};

const FAULTS: &[Fault] = &[
    Fault::Refuses,
    Fault::ClosesAtOnce,
    Fault::ResetsAtOnce,
    Fault::ClosesAfterRequest,
    Fault::ResetsAfterRequest,
    Fault::ResetsWhenReused,
    Fault::ClosesInHead,
    Fault::ClosesInBody,
    Fault::ClosesInChunks,
    Fault::Garbage,
    Fault::TooLong,
    Fault::TwoLengths,
    Fault::Silent,
    Fault::Dribbles(Duration::from_millis(5)),
];

async fn gateway(url: &str) -> Gateway {
    Gateway::start(format!(
        "services:\n- {{name: s, url: \"{url}\", retries: 2, connect_timeout: 100, read_timeout: 100, routes: [{{paths: [/]}}]}}\n"
    ))
    .await
}

/// Sockets of a gateway that nobody talks to: what was opened to look at it is closed by then.
async fn at_rest(gateway: &Gateway) -> usize {
    let mut before = usize::MAX;
    eventually("its sockets stay as many", PATIENCE, async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = gateway.open_sockets();
        (std::mem::replace(&mut before, now) == now).then_some(now)
    })
    .await
}

/// Waits until the gateway has no exchange with upstreams and no more sockets than given.
async fn comes_to_rest(gateway: &Gateway, sockets: usize, why: &str) {
    eventually(why, PATIENCE, async || {
        let active = gateway
            .metric("tidegate_upstream_connections{state=\"active\"}")
            .await;
        (active == 0.0).then_some(())
    })
    .await;
    eventually(why, PATIENCE, async || {
        (at_rest(gateway).await <= sockets).then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_fault_leaves_a_connection_behind() {
    let backend = Faulty::sound().await;
    let gateway = gateway(&backend.url()).await;
    assert_eq!(gateway.get("/").await.status, 200);
    // With the one kept connection that a sound backend leaves.
    let before = at_rest(&gateway).await;
    for fault in FAULTS {
        backend.breaks(*fault).await;
        for round in 0..3 {
            let asked = (0..8).map(|index| {
                let request = if index % 2 == 0 {
                    Request::get("/")
                } else {
                    Request::post("/", "x")
                };
                let gateway = &gateway;
                async move {
                    let mut client = RawClient::connect(gateway.proxy()).await;
                    client.send(request.bytes()).await;
                    // Half of them leave before the answer.
                    if round != 1 && !matches!(fault, Fault::Dribbles(_)) {
                        drop(client.try_response("GET").await);
                    }
                }
            });
            futures_util::future::join_all(asked).await;
        }
        backend.is_mended().await;
        eventually("it serves again", PATIENCE, async || {
            (gateway.get("/").await.status == 200).then_some(())
        })
        .await;
        // A sound backend may keep what eight clients at once had opened.
        comes_to_rest(&gateway, before + 8, &format!("nothing is left of {fault:?}")).await;
    }
}

#[tokio::test]
async fn clients_that_leave_while_nobody_answers_their_syn_leave_nothing_behind() {
    let hole = BlackHole::open();
    let gateway = gateway(&hole.url()).await;
    let before = at_rest(&gateway).await;
    for _ in 0..20 {
        drop(gateway.send(Request::get("/").bytes()).await);
    }
    comes_to_rest(&gateway, before, "no attempt goes on").await;
}
