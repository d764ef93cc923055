//! What a client is told for each way in which its backend can be broken (kong-core E.2, E.3).

use std::time::{Duration, Instant};
use tidegate_tests::http1::ReadError;
use tidegate_tests::{BlackHole, Fault, Faulty, Gateway, Request, Response};

const INVALID: &str = "An invalid response was received from the upstream server";
const TIMING_OUT: &str = "The upstream server is timing out";

/// What comes of a request.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// The backend's answer, whole.
    Answer,
    /// A page of the gateway.
    Page(u16, &'static str),
    /// A head, and a body that visibly breaks off.
    BrokenOff,
}

const PAUSE: Duration = Duration::from_millis(5);
const BAD: Told = Told::Page(502, INVALID);
const LATE: Told = Told::Page(504, TIMING_OUT);

const FAULTS: &[(Fault, Told)] = &[
    (Fault::Refuses, BAD),
    (Fault::ClosesAtOnce, BAD),
    (Fault::ResetsAtOnce, BAD),
    (Fault::ClosesAfterRequest, BAD),
    (Fault::ResetsAfterRequest, BAD),
    (Fault::ClosesInHead, BAD),
    (Fault::ClosesInBody, Told::BrokenOff),
    (Fault::ClosesInChunks, Told::BrokenOff),
    (Fault::ResetsInBody, Told::BrokenOff),
    (Fault::Garbage, BAD),
    (Fault::ByteByByte(PAUSE), Told::Answer),
    (Fault::TooLong, Told::Answer),
    (Fault::TwoLengths, BAD),
    (Fault::EndlessHead, BAD),
    (Fault::Silent, LATE),
];

/// A gateway in front of backends, each found at its number.
async fn in_front_of(urls: &[String], fields: &str) -> Gateway {
    let services: String = urls
        .iter()
        .enumerate()
        .map(|(index, url)| {
            format!("- {{name: s{index}, url: \"{url}\", {fields}, routes: [{{paths: [/{index}]}}]}}\n")
        })
        .collect();
    Gateway::start(format!("services:\n{services}")).await
}

async fn ask(gateway: &Gateway, request: &Request) -> Result<Response, ReadError> {
    let mut client = gateway.send(request.bytes()).await;
    client.try_response(request.method()).await
}

fn judge(fault: Fault, told: Told, found: &Result<Response, ReadError>) {
    match (told, found) {
        (Told::Answer, Ok(response)) => {
            assert_eq!(
                (response.status, response.text().as_str()),
                (200, "sound"),
                "{fault:?}"
            );
        }
        (Told::Page(status, message), Ok(response)) => {
            assert_eq!(response.status, status, "{fault:?}: {response:?}");
            assert_eq!(response.message(), message, "{fault:?}");
            // It counts as proxied: the balancer phase was entered.
            assert!(response.headers.has("Via"), "{fault:?}: {response:?}");
            assert!(
                response.headers.has("X-Kong-Proxy-Latency"),
                "{fault:?}: {response:?}"
            );
            assert_eq!(
                response.json()["request_id"],
                response.header("X-Kong-Request-Id"),
                "{fault:?}"
            );
        }
        (Told::BrokenOff, Err(ReadError::CutOff(_) | ReadError::Closed)) => {}
        _ => panic!("{fault:?}: {told:?} was expected, not {found:?}"),
    }
}

#[tokio::test]
async fn the_client_of_a_broken_backend_is_told_what_is_wrong_and_the_next_one_of_a_mended_one_is_served() {
    let mut backends = Vec::new();
    for (fault, _) in FAULTS {
        backends.push(Faulty::with(*fault).await);
    }
    let urls: Vec<String> = backends.iter().map(Faulty::url).collect();
    let gateway = in_front_of(&urls, "retries: 0, read_timeout: 400").await;
    let asked = (0..FAULTS.len()).map(|index| {
        let request = Request::get(&format!("/{index}")).header("Accept", "application/json");
        let gateway = &gateway;
        async move { ask(gateway, &request).await }
    });
    let found = futures_util::future::join_all(asked).await;
    for ((fault, told), found) in FAULTS.iter().zip(&found) {
        judge(*fault, *told, found);
    }
    for (index, backend) in backends.iter().enumerate() {
        backend.is_mended().await;
        let response = gateway.get(&format!("/{index}")).await;
        assert_eq!(response.status, 200, "after {:?}", FAULTS[index].0);
    }
}

#[tokio::test]
async fn a_page_about_a_broken_backend_is_plain_text_unless_the_client_says_otherwise() {
    let backend = Faulty::with(Fault::Refuses).await;
    let gateway = in_front_of(&[backend.url()], "retries: 0").await;
    let response = gateway.get("/0").await;
    assert_eq!(response.header("Content-Type"), "text/plain; charset=utf-8");
    let id = response.header("X-Kong-Request-Id");
    assert_eq!(response.text(), format!("{INVALID}\nrequest_id: {id}\n"));
    let head = gateway.call(&Request::new("HEAD", "/0")).await;
    assert_eq!((head.status, head.body.len()), (502, 0));
}

#[tokio::test]
async fn interim_answers_without_end_are_cut_off() {
    let backend = Faulty::with(Fault::InterimFlood).await;
    let gateway = in_front_of(&[backend.url()], "retries: 0, read_timeout: 2000").await;
    let mut client = gateway.send(Request::get("/0").bytes()).await;
    let mut interim = 0;
    let last = loop {
        match client.try_response("GET").await {
            Ok(response) if response.status < 200 => interim += 1,
            other => break other,
        }
        assert!(interim < 1_000, "the flood is passed on");
    };
    assert!(
        last.as_ref().is_ok_and(|response| response.status == 502),
        "{last:?}"
    );
    backend.is_mended().await;
    assert_eq!(gateway.get("/0").await.status, 200);
}

#[tokio::test]
async fn where_no_syn_is_answered_the_time_for_connecting_counts() {
    let hole = BlackHole::open();
    let gateway = in_front_of(
        &[hole.url()],
        "retries: 1, connect_timeout: 300, read_timeout: 60000",
    )
    .await;
    let started = Instant::now();
    let response = gateway
        .call(&Request::get("/0").header("Accept", "application/json"))
        .await;
    assert_eq!((response.status, response.message().as_str()), (504, TIMING_OUT));
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(550) && took < Duration::from_secs(5),
        "two tries of 300 ms each, not {took:?}"
    );
}

#[tokio::test]
async fn a_head_that_drips_longer_than_its_pauses_allow_is_waited_for_and_no_longer() {
    let drip = Duration::from_millis(20);
    let backend = Faulty::with(Fault::ByteByByte(drip)).await;
    let slower = Faulty::with(Fault::ByteByByte(Duration::from_millis(900))).await;
    let gateway = in_front_of(&[backend.url(), slower.url()], "retries: 0, read_timeout: 300").await;
    // The time counts between two reads (kong-core F.5): some 45 bytes take three times as long in all.
    let (patient, late) = tokio::join!(gateway.get("/0"), gateway.get("/1"));
    assert_eq!((patient.status, patient.text().as_str()), (200, "sound"));
    assert_eq!(late.status, 504);
}

#[tokio::test]
async fn what_a_backend_says_beyond_its_length_is_nobodys_answer() {
    let backend = Faulty::with(Fault::TooLong).await;
    let gateway = in_front_of(&[backend.url()], "retries: 0").await;
    for _ in 0..5 {
        let response = gateway.get("/0").await;
        assert_eq!((response.status, response.text().as_str()), (200, "sound"));
    }
    assert_eq!(
        backend.connections(),
        5,
        "no such connection serves a second time"
    );
}
