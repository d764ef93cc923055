//! Whatever a filter does: its own exchange ends by its policy, all others are served, and memory returns to its level.

#[path = "attacks/guest.rs"]
mod guest;
#[path = "attacks/outside.rs"]
mod outside;

use super::guest::Folder;
use guest::{Attack, CALLBACKS, End, FATAL};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Request, Upstream, eventually};

/// An attack in a callback, on a route of its own: six failures of one attachment take it out of service.
struct Strike<'a> {
    attack: &'a Attack,
    number: usize,
    callback: char,
}

/// All attacks where a request begins, and those that end every guest in every callback.
fn strikes(attacks: &[Attack]) -> Vec<Strike<'_>> {
    let everywhere = CALLBACKS.iter().flat_map(|(callback, ..)| {
        let fatal = attacks.iter().enumerate().take(FATAL);
        fatal.map(|(number, attack)| Strike {
            attack,
            number,
            callback: *callback,
        })
    });
    let others = attacks.iter().enumerate().skip(FATAL);
    let once = others.map(|(number, attack)| Strike {
        attack,
        number,
        callback: attack.callback,
    });
    everywhere.chain(once).collect()
}

fn yaml(upstream: &Upstream, auth: &Upstream, strikes: usize) -> String {
    let mut routes = String::new();
    let mut chains = String::new();
    for number in 0..strikes {
        routes.push_str(&format!("  - {{name: r{number}, paths: ['/r/{number}/']}}\n"));
        chains.push_str(&format!(
            "- {{name: c{number}, route: r{number}, filters: [{{name: attack}}]}}\n"
        ));
    }
    format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: plain, paths: [/plain]}}\n  - {{name: good, paths: [/good]}}\n\
         {routes}- {{name: auth, url: '{}'}}\nfilter_chains:\n- {{name: good, route: good, filters: [{{name: good}}]}}\n{chains}",
        upstream.url(),
        auth.url()
    )
}

/// Asks for the two other routes over and over until it is told to stop; every answer has to be right.
async fn bystander(address: std::net::SocketAddr, is_over: Arc<AtomicBool>) -> usize {
    let mut asked = 0;
    let mut client = RawClient::connect(address).await;
    while !is_over.load(Ordering::Relaxed) {
        for (path, header) in [("/plain", ""), ("/good", "yes")] {
            let answer = client.call(&Request::get(path)).await;
            assert_eq!((answer.status, answer.header("x-good")), (200, header), "{path}");
            asked += 1;
        }
    }
    asked
}

async fn strike(gateway: &Gateway, place: usize, strike: &Strike<'_>) -> Option<u16> {
    let mut client = RawClient::connect(gateway.proxy()).await;
    client
        .send(format!(
            "POST /r/{place}/ HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTrailer: x-sum\r\nX-{}: {:03}\r\n\
             Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n",
            strike.callback, strike.number
        ))
        .await;
    let answer = client.try_response("POST").await.ok();
    answer.map(|answer| answer.status)
}

/// What the client sees of it.
fn is_expected(strike: &Strike<'_>, status: Option<u16>) -> bool {
    match (strike.attack.end, strike.callback) {
        // At its end an exchange cannot fail any more.
        (End::Served, _) | (End::Failed(_), 'd' | 'l' | 'x') => status == Some(200),
        // The body is cut off, if the head of the response has gone by then.
        (End::Failed(_), 'c' | 'u') => matches!(status, None | Some(500)),
        (End::Failed(_), _) => status == Some(500),
        (End::Either, _) => matches!(status, Some(200 | 403 | 500) | None),
    }
}

async fn failures(gateway: &Gateway) -> BTreeMap<&'static str, u32> {
    let mut counts = BTreeMap::new();
    for kind in ["trap", "deadline", "memory", "stack", "exit", "timeout"] {
        let sample = format!("tidegate_filter_traps_total{{filter=\"attack\",kind=\"{kind}\"}}");
        let count = gateway.metric(&sample).await;
        counts.insert(kind, count as u32);
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_attacks_the_gateway_harms_its_own_exchange_alone() {
    let answer = "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n";
    let upstream = Upstream::serving(move |request| {
        if request.target.starts_with("/r/") || request.method == "POST" {
            Answer::raw(answer)
        } else {
            Answer::ok("ok")
        }
    })
    .await;
    let auth = Upstream::ok().await;
    let (attacking, attacks) = guest::guest();
    let strikes = strikes(&attacks);
    let mut good = super::guest::Guest::default();
    let add = good.add(2, "x-good", "yes");
    let options =
        r#"{"tidegate": {"isolation": "request", "max_memory_bytes": 4194304, "callback_deadline_ms": 400}}"#;
    let folder = Folder::new()
        .with("good", &good.on("response_headers", 3, &add, "(i32.const 0)"))
        .with("attack", &attacking)
        .meta("attack", options);
    let gateway = folder
        .attached(Gateway::with(yaml(&upstream, &auth, strikes.len())))
        .setting("log_level", "error")
        .start()
        .await;
    let is_over = Arc::new(AtomicBool::new(false));
    let bystander = tokio::spawn(bystander(gateway.proxy(), Arc::clone(&is_over)));
    let mut expected: BTreeMap<&str, u32> = failures(&gateway).await;
    let mut levels = Vec::new();
    for round in 0..2 {
        for (place, one) in strikes.iter().enumerate() {
            let status = strike(&gateway, place, one).await;
            let name = &one.attack.name;
            assert!(
                is_expected(one, status),
                "round {round}: {name} in {}: {status:?}, {:?}",
                one.callback,
                one.attack.end
            );
            if let End::Failed(kind) = one.attack.end
                && let Some(count) = expected.get_mut(kind)
            {
                *count += 1;
            }
        }
        eventually("every failure is counted as what it is", PATIENCE, async || {
            (failures(&gateway).await == expected).then_some(())
        })
        .await;
        eventually("instances are gone", PATIENCE, async || {
            let created = gateway.metric("tidegate_filter_streams_created_total").await;
            let ended = gateway.metric("tidegate_filter_streams_ended_total").await;
            (created <= ended + 1.0).then_some(())
        })
        .await;
        levels.push(gateway.resident_bytes());
    }
    is_over.store(true, Ordering::Relaxed);
    let asked = bystander.await.expect("every other request is served");
    assert!(asked > strikes.len(), "{asked} requests passed by");
    assert!(
        levels[1] < levels[0] + (24 << 20),
        "memory is where it was after the first round: {levels:?}"
    );
    let held = gateway.metric("tidegate_filter_memory_bytes").await;
    assert!(
        held < f64::from(4 << 20),
        "{held} bytes are held by instances of good filters"
    );
    let by_pointer = gateway
        .metric("tidegate_filter_traps_total{filter=\"attack\",kind=\"host\"}")
        .await;
    assert!(
        by_pointer > 100.0,
        "most pointers that lead out of memory end the guest: {by_pointer}"
    );
    assert!(gateway.metric("tidegate_filter_log_lines_dropped_total").await > 10_000.0);
}
