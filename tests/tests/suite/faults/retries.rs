//! Which requests are sent again, and where to (kong-core F.5).

use tidegate_tests::{BlackHole, Fault, Faulty, Gateway, RawClient, Request};

/// A gateway in front of an Upstream with these targets of equal weight.
async fn balanced(addresses: &[std::net::SocketAddr], fields: &str) -> Gateway {
    let targets: String = addresses
        .iter()
        .map(|address| format!("  - target: {address}\n"))
        .collect();
    Gateway::start(format!(
        "upstreams:\n- name: pool\n  targets:\n{targets}services:\n- {{name: s, host: pool, {fields}, routes: [{{paths: [/]}}]}}\n"
    ))
    .await
}

/// Faults that show before anything of a request is sent: any request goes elsewhere.
const BEFORE: &[Fault] = &[Fault::Refuses];

/// Faults that show when the request was sent: only what may be repeated goes elsewhere.
const AFTER: &[Fault] = &[
    Fault::ClosesAfterRequest,
    Fault::ResetsAfterRequest,
    Fault::ClosesInHead,
    Fault::Silent,
];

#[tokio::test]
async fn what_was_not_sent_goes_to_the_next_target_whatever_its_method() {
    for fault in BEFORE {
        let (broken, sound) = (Faulty::with(*fault).await, Faulty::sound().await);
        let gateway = balanced(&[broken.address(), sound.address()], "retries: 1").await;
        for method in ["GET", "POST", "PATCH", "PUT", "DELETE"] {
            for _ in 0..4 {
                let request = Request::new(method, "/").body("kept");
                assert_eq!(gateway.call(&request).await.status, 200, "{method} {fault:?}");
            }
            assert_eq!(sound.count(method), 4, "{method} {fault:?}");
        }
        assert!(sound.requests().iter().all(|request| request.body == b"kept"));
    }
}

#[tokio::test]
async fn a_target_that_answers_no_syn_costs_the_time_for_connecting_and_no_request() {
    let (hole, sound) = (BlackHole::open(), Faulty::sound().await);
    let fields = "retries: 1, connect_timeout: 200";
    let gateway = balanced(&[hole.address(), sound.address()], fields).await;
    for method in ["GET", "POST", "GET", "POST"] {
        let request = Request::new(method, "/").body("kept");
        assert_eq!(gateway.call(&request).await.status, 200, "{method}");
    }
    assert_eq!((sound.count("GET"), sound.count("POST")), (2, 2));
}

#[tokio::test]
async fn a_request_that_may_be_repeated_goes_to_the_next_target() {
    for fault in AFTER {
        let (broken, sound) = (Faulty::with(*fault).await, Faulty::sound().await);
        let fields = "retries: 1, read_timeout: 300";
        let gateway = balanced(&[broken.address(), sound.address()], fields).await;
        for method in ["GET", "PUT", "DELETE"] {
            for _ in 0..2 {
                let request = Request::new(method, "/").body("kept");
                assert_eq!(gateway.call(&request).await.status, 200, "{method} {fault:?}");
            }
            assert_eq!(sound.count(method), 2, "{method} {fault:?}");
        }
        assert!(
            !broken.requests().is_empty(),
            "{fault:?}: it was tried, or nothing was shown"
        );
    }
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_is_seen_once_by_one_target() {
    for fault in AFTER {
        let (broken, sound) = (Faulty::with(*fault).await, Faulty::sound().await);
        let fields = "retries: 5, read_timeout: 300";
        let gateway = balanced(&[broken.address(), sound.address()], fields).await;
        for method in ["POST", "PATCH"] {
            let mut statuses = Vec::new();
            for _ in 0..4 {
                statuses.push(gateway.call(&Request::new(method, "/").body("once")).await.status);
            }
            let expected = if *fault == Fault::Silent { 504 } else { 502 };
            assert_eq!(
                statuses.iter().filter(|status| **status == expected).count(),
                broken.count(method),
                "{method} {fault:?}: {statuses:?}"
            );
            assert_eq!(
                broken.count(method) + sound.count(method),
                4,
                "{method} {fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_in_hand_any_more_is_not_sent_again() {
    let (broken, sound) = (
        Faulty::with(Fault::ResetsAfterRequest).await,
        Faulty::sound().await,
    );
    let gateway = balanced(&[broken.address(), sound.address()], "retries: 5").await;
    let long = vec![b'x'; 200_000];
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let request = Request::new("PUT", "/").body(long.clone());
        statuses.push(gateway.call(&request).await.status);
    }
    assert!(statuses.contains(&502), "{statuses:?}");
    assert!(sound.requests().iter().all(|request| request.body == long));
    assert_eq!(broken.count("PUT") + sound.count("PUT"), 4, "{statuses:?}");
}

#[tokio::test]
async fn a_backend_that_always_fails_is_tried_as_often_as_retries_say() {
    for (fault, status) in [(Fault::ResetsAfterRequest, 502), (Fault::Silent, 504)] {
        let backend = Faulty::with(fault).await;
        let gateway = balanced(&[backend.address()], "retries: 3, read_timeout: 100").await;
        assert_eq!(gateway.get("/").await.status, status, "{fault:?}");
        assert_eq!(backend.count("GET"), 4, "{fault:?}");
        assert_eq!(gateway.metric("tidegate_upstream_retries_total").await, 3.0);
    }
}

#[tokio::test]
async fn no_answer_with_a_status_is_asked_for_again() {
    for status in [429, 500, 502, 503, 504] {
        let backend = Faulty::with(Fault::Status(status)).await;
        let gateway = balanced(&[backend.address()], "retries: 5").await;
        let response = gateway.get("/").await;
        assert_eq!(
            (response.status, response.text().as_str()),
            (status, "as told"),
            "the backend's own page"
        );
        assert_eq!(backend.count("GET"), 1, "{status}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_reset_by_the_next_request_costs_nobody_who_may_repeat() {
    let backend = Faulty::with(Fault::ResetsWhenReused).await;
    let gateway = balanced(&[backend.address()], "retries: 1").await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for index in 0..6 {
        assert_eq!(
            client.call(&Request::get("/")).await.status,
            200,
            "request {index}"
        );
    }
    // Each second request met a kept connection, was reset and sent again on a new one.
    assert!(backend.connections() >= 5, "{}", backend.connections());
    let posted = client.call(&Request::post("/", "once")).await.status;
    assert_eq!(posted, 502, "it was sent: whether it did something is not known");
    assert_eq!(backend.count("POST"), 1);
}
