//! Name servers that are broken, for a Service whose host is a name and for a target that is one (kong-core E.3, F.3).

use crate::load::Load;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_tests::dns_server::{DnsServer, Record, Reply, Type};
use tidegate_tests::gateway::Builder;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, Request, Response, Upstream, eventually};

const NAME: &str = "backend.test";
/// Nothing that waits for a name server ends within this time.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Who names the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Front {
    Service,
    Target,
}

const FRONTS: [Front; 2] = [Front::Service, Front::Target];

/// A name server whose word about addresses changes, and a backend on all addresses of this machine.
struct Scene {
    dns: DnsServer,
    word: Arc<Mutex<Reply>>,
    backend: Upstream,
}

/// These addresses, for a second.
fn at(address: &str) -> Reply {
    Reply::Records(vec![Record::address(address, 1)])
}

fn empty() -> Reply {
    Reply::Records(Vec::new())
}

impl Scene {
    async fn saying(word: Reply) -> Self {
        let word = Arc::new(Mutex::new(word));
        let said = Arc::clone(&word);
        Self::with(word, move |_| said.lock().clone()).await
    }

    /// The answer to the n-th question, from 0, is made by `script`.
    async fn scripted(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(Arc::new(Mutex::new(empty())), script).await
    }

    async fn with(word: Arc<Mutex<Reply>>, script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let asked = Mutex::new(0);
        let dns = DnsServer::start(move |_, kind| match kind {
            Type::A => {
                let mut asked = asked.lock();
                *asked += 1;
                script(*asked - 1)
            }
            _ => empty(),
        })
        .await;
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let backend = Upstream::at(everywhere, |request| Answer::ok(request.local.ip().to_string())).await;
        Self { dns, word, backend }
    }

    fn says(&self, word: Reply) {
        *self.word.lock() = word;
    }

    fn gateway(&self, front: Front, fields: &str) -> Builder {
        let port = self.backend.port();
        let yaml = match front {
            Front::Service => {
                format!("services:\n- {{name: s, url: \"http://{NAME}:{port}\", routes: [{{paths: [/]}}]}}\n")
            }
            Front::Target => format!(
                "services:\n- {{name: s, host: pool, routes: [{{paths: [/]}}]}}\n\
                 upstreams:\n- name: pool\n  targets: [{{target: \"{NAME}:{port}\"}}]\n{fields}"
            ),
        };
        Gateway::with(yaml)
            .setting("dns_resolver", self.dns.address().to_string())
            .setting("dns_hostsfile", "/dev/null")
            .setting("dns_order", "A")
            .setting("dns_not_found_ttl", "1")
    }

    /// Waits until the name server was asked so many more times.
    async fn is_asked(&self, times: usize, mut meanwhile: impl AsyncFnMut()) {
        let before = self.dns.count(NAME);
        eventually("the name server is asked again", PATIENCE, async || {
            meanwhile().await;
            (self.dns.count(NAME) >= before + times).then_some(())
        })
        .await;
    }

    /// Waits until traffic is where the name server says.
    async fn traffic_goes_to(&self, gateway: &Gateway, address: &str) {
        eventually(&format!("traffic goes to {address}"), PATIENCE, async || {
            let answer = get(gateway).await;
            (answer.status == 200 && answer.text() == address).then_some(())
        })
        .await;
    }
}

async fn get(gateway: &Gateway) -> Response {
    gateway
        .call(&Request::get("/").header("Accept", "application/json"))
        .await
}

/// A request that is answered with 200 at once.
async fn served(gateway: &Gateway, what: &str) -> String {
    let started = Instant::now();
    let answer = get(gateway).await;
    assert_eq!(answer.status, 200, "{what}: {answer:?}");
    assert!(started.elapsed() < AT_ONCE, "{what}: {:?}", started.elapsed());
    answer.text()
}

/// What the client is told when nothing is known of the name.
fn assert_told(front: Front, word: &Reply, answer: &Response) {
    let no_peer = "failure to get a peer from the ring-balancer";
    let (status, message) = match (front, word) {
        (Front::Target, _) => (503, no_peer),
        (_, Reply::Records(_) | Reply::NoSuchName) => (503, "name resolution failed"),
        _ => (
            500,
            "failed the initial dns/balancer resolve for 'backend.test' with: dns error: ",
        ),
    };
    assert_eq!(answer.status, status, "{front:?} {word:?}: {answer:?}");
    let told = answer.message();
    assert!(
        told == message || (status == 500 && told.starts_with(message) && told.len() > message.len()),
        "{front:?} {word:?}: {told}"
    );
}

#[tokio::test]
async fn a_name_that_never_was_known_is_an_error_page_and_is_served_as_soon_as_the_server_is_mended() {
    let words = [empty(), Reply::NoSuchName, Reply::Failure, Reply::Silence];
    let cases = FRONTS
        .into_iter()
        .flat_map(|front| words.iter().map(move |word| (front, word)));
    let runs = cases.map(async |(front, word)| {
        let scene = Scene::saying(word.clone()).await;
        let gateway = scene.gateway(front, "").start().await;
        assert_told(front, word, &get(&gateway).await);
        scene.says(at("127.0.0.1"));
        scene.traffic_goes_to(&gateway, "127.0.0.1").await;
        assert_eq!(served(&gateway, "mended").await, "127.0.0.1");
    });
    futures_util::future::join_all(runs).await;
}

#[tokio::test]
async fn what_was_known_serves_on_while_the_server_fails_or_is_silent() {
    let words = [Reply::Failure, Reply::Silence];
    let cases = FRONTS
        .into_iter()
        .flat_map(|front| words.iter().map(move |word| (front, word)));
    let runs = cases.map(async |(front, word)| {
        let scene = Scene::saying(at("127.0.0.1")).await;
        let gateway = scene.gateway(front, "").start().await;
        assert_eq!(served(&gateway, "at first").await, "127.0.0.1");
        scene.says(word.clone());
        let what = format!("{front:?} {word:?}");
        scene
            .is_asked(3, async || {
                assert_eq!(served(&gateway, &what).await, "127.0.0.1");
            })
            .await;
        scene.says(at("127.0.0.2"));
        scene.traffic_goes_to(&gateway, "127.0.0.2").await;
        assert_eq!(served(&gateway, "mended").await, "127.0.0.2");
    });
    futures_util::future::join_all(runs).await;
}

#[tokio::test]
async fn a_name_that_is_gone_is_not_served_from_what_was_known_and_comes_back() {
    let words = [empty(), Reply::NoSuchName];
    let cases = FRONTS
        .into_iter()
        .flat_map(|front| words.iter().map(move |word| (front, word)));
    let runs = cases.map(async |(front, word)| {
        let scene = Scene::saying(at("127.0.0.1")).await;
        let gateway = scene.gateway(front, "").start().await;
        assert_eq!(served(&gateway, "at first").await, "127.0.0.1");
        scene.says(word.clone());
        let answer = eventually("the name is gone", PATIENCE, async || {
            Some(get(&gateway).await).filter(|answer| answer.status != 200)
        })
        .await;
        assert_told(front, word, &answer);
        scene.says(at("127.0.0.2"));
        scene.traffic_goes_to(&gateway, "127.0.0.2").await;
    });
    futures_util::future::join_all(runs).await;
}

#[tokio::test]
async fn a_server_that_fails_every_other_time_costs_no_request() {
    let runs = FRONTS.map(async |front| {
        let scene = Scene::scripted(|number| match number % 3 {
            0 => at("127.0.0.1"),
            1 => Reply::Failure,
            _ => Reply::After(Duration::from_millis(300), Box::new(Reply::Failure)),
        })
        .await;
        let gateway = scene.gateway(front, "").start().await;
        let load = Load::start(gateway.proxy(), &Request::get("/"));
        scene.is_asked(7, async || {}).await;
        assert_eq!(load.end().await, [0_u16; 0], "{front:?}");
    });
    futures_util::future::join_all(runs).await;
}

#[tokio::test]
async fn traffic_follows_a_record_within_its_time_and_no_request_fails() {
    let runs = FRONTS.map(async |front| {
        let scene = Scene::saying(at("127.0.0.1")).await;
        let gateway = scene.gateway(front, "").start().await;
        let load = Load::start(gateway.proxy(), &Request::get("/"));
        for address in ["127.0.0.2", "127.0.0.3", "127.0.0.1"] {
            load.goes_on(50).await;
            scene.says(at(address));
            let changed = Instant::now();
            let seen = || scene.backend.last().local.ip().to_string();
            eventually("traffic follows", PATIENCE, async || {
                (seen() == address).then_some(())
            })
            .await;
            // A second of its own, one until the answer is handed on, and the time of a busy machine.
            let took = changed.elapsed();
            assert!(took < Duration::from_secs(5), "{front:?}: {took:?}");
            let before = scene.backend.take().len();
            load.goes_on(100).await;
            let elsewhere = scene
                .backend
                .take()
                .into_iter()
                .filter(|request| request.local.ip().to_string() != address)
                .count();
            assert!(
                before > 0 && elsewhere == 0,
                "{front:?}: {elsewhere} went elsewhere"
            );
        }
        assert_eq!(load.end().await, [0_u16; 0], "{front:?}");
    });
    futures_util::future::join_all(runs).await;
}

/// The prober asks for itself. It and the worker are told different things, each once: a failed renewal is not tried
/// again for a day.
#[tokio::test]
async fn of_two_answers_the_later_one_holds_whoever_was_told_it() {
    let scene = Scene::saying(at("127.0.0.1")).await;
    let checks = "  healthchecks: {active: {http_path: /up, healthy: {interval: 0.2, successes: 1}}}\n";
    let gateway = scene
        .gateway(Front::Target, checks)
        .setting("dns_error_ttl", "1d");
    let gateway = gateway.start().await;
    let probed = async |times: usize| {
        let before = scene.backend.requests().len();
        eventually("the target is probed", PATIENCE, async || {
            (scene.backend.requests().len() >= before + times).then_some(())
        })
        .await;
    };
    probed(1).await;
    scene.says(Reply::Failure);
    scene.is_asked(1, async || {}).await;
    probed(15).await;
    scene.says(at("127.0.0.2"));
    scene.traffic_goes_to(&gateway, "127.0.0.2").await;
    scene.says(Reply::Failure);
    for _ in 0..4 {
        probed(5).await;
        let page = gateway.status_page("/status/upstreams/pool").await.json();
        assert_eq!(page["targets"][0]["addresses"][0]["ip"], "127.0.0.2", "{page}");
    }
    assert_eq!(served(&gateway, "at last").await, "127.0.0.2");
}
