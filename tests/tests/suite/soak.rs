//! Long runs: nothing is lost and nothing grows.

use crate::ask::service;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_tests::gateway::Reload;
use tidegate_tests::{Gateway, RawClient, Request, Upstream};

/// Editions differ in one route and one header, so that a mixture would show.
fn edition(upstream: &Upstream, number: usize) -> String {
    let mut routes = format!(
        "- name: main\n  paths: [/]\n  plugins:\n  - {{name: response-transformer, config: {{add: {{headers: [\"x-edition:{number}\", \"x-again:{number}\"]}}}}}}\n"
    );
    for index in 0..100 {
        routes.push_str(&format!(
            "- {{name: r{index}, paths: [/route-{index}-{number}]}}\n"
        ));
    }
    service(upstream, &routes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reloads_under_load_lose_no_request_and_grow_nothing() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(edition(&upstream, 0))
        .setting("log_level", "error")
        .start()
        .await;
    let (is_done, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let address = gateway.proxy();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (is_done, served) = (Arc::clone(&is_done), Arc::clone(&served));
            tokio::spawn(async move {
                let mut client = RawClient::connect(address).await;
                // Two thousand requests a second in all: a saturated machine would test its scheduler.
                let mut pace = tokio::time::interval(Duration::from_millis(2));
                while !is_done.load(Ordering::Relaxed) {
                    let response = client.call(&Request::get("/")).await;
                    assert_eq!(response.status, 200);
                    assert_eq!(
                        response.header("x-edition"),
                        response.header("x-again"),
                        "one edition a request"
                    );
                    if response.header("Connection").eq_ignore_ascii_case("close") {
                        client = RawClient::connect(address).await;
                    }
                    served.fetch_add(1, Ordering::Relaxed);
                    pace.tick().await;
                }
            })
        })
        .collect();
    let mut resident_after_warm_up = 0;
    for number in 1..=1_000 {
        assert_eq!(
            gateway.reload(edition(&upstream, number)).await,
            Reload::Accepted,
            "edition {number}"
        );
        if number == 300 {
            resident_after_warm_up = gateway.resident_bytes();
        }
    }
    is_done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let served = served.load(Ordering::Relaxed);
    assert!(served > 1_000, "only {served} requests were made");
    let grown = gateway.resident_bytes().saturating_sub(resident_after_warm_up);
    assert!(grown < 8 << 20, "{grown} bytes more after 700 further reloads");
}

#[tokio::test]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let round = async || {
        for _ in 0..300 {
            let mut client = RawClient::connect(gateway.proxy()).await;
            client
                .call(&Request::get("/").header("Connection", "close"))
                .await;
        }
    };
    round().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (before, files) = (gateway.resident_bytes(), open_files(&gateway));
    for _ in 0..5 {
        round().await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(gateway.resident_bytes().saturating_sub(before) < 4 << 20);
    assert!(
        open_files(&gateway) <= files + 2,
        "{} open files instead of {files}",
        open_files(&gateway)
    );
}

fn open_files(gateway: &Gateway) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gateway.pid()))
        .unwrap()
        .count()
}
