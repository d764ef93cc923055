use super::*;
use futures_util::future::join_all;
use std::cell::Cell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use tokio::task::LocalSet;

thread_local! {
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The clock of these tests, which only [`pass`] moves noticeably.
pub(super) fn now() -> Instant {
    Instant::now() + PASSED.get()
}

fn pass(time: Duration) {
    PASSED.set(PASSED.get() + time);
}

/// Answers from a list, after some turns of the loop; counts the queries.
#[derive(Clone, Default)]
struct Script {
    answers: Rc<RefCell<VecDeque<Result<Answer, DnsError>>>>,
    queries: Rc<Cell<usize>>,
}

impl Lookup for Script {
    fn lookup<'a>(&'a self, _: &'a str) -> LocalBoxFuture<'a, Result<Answer, DnsError>> {
        Box::pin(async {
            // Every caller of a burst turns the query once, so it needs more turns than callers.
            for _ in 0..12 {
                tokio::task::yield_now().await;
            }
            self.queries.set(self.queries.get() + 1);
            self.answers
                .borrow_mut()
                .pop_front()
                .expect("one more query than expected")
        })
    }
}

fn plain(last: u8) -> Address {
    Address::plain(IpAddr::from([10, 0, 0, last]))
}

fn answer(last: u8, ttl: Duration) -> Result<Answer, DnsError> {
    Ok(Answer {
        addresses: vec![plain(last)],
        ttl,
    })
}

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

async fn with(
    settings: DnsSettings,
    answers: impl IntoIterator<Item = Result<Answer, DnsError>>,
    test: impl AsyncFnOnce(Dns<Script>, Script),
) {
    let script = Script {
        answers: Rc::new(RefCell::new(answers.into_iter().collect())),
        ..Script::default()
    };
    let dns = Dns::new(script.clone(), settings);
    LocalSet::new().run_until(test(dns, script)).await;
}

fn last(outcome: &Outcome) -> u8 {
    match outcome.as_ref().unwrap().list()[0].ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(_) => panic!("IPv4 only"),
    }
}

#[tokio::test]
async fn addresses_are_not_looked_up() {
    with(DnsSettings::default(), [], async |dns, _| {
        for host in ["127.0.0.1", "::1", "[::1]"] {
            let found = dns.resolve(host).await.unwrap();
            assert_eq!(found.next(80), Some(SocketAddr::new(literal(host).unwrap(), 80)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_burst_for_an_unknown_name_asks_once_and_the_answer_is_kept() {
    with(DnsSettings::default(), [answer(1, HOUR)], async |dns, script| {
        let outcomes = join_all((0..10).map(|_| dns.resolve("a.test"))).await;
        assert!(outcomes.iter().all(|outcome| last(outcome) == 1));
        assert_eq!(last(&dns.resolve("a.test").await), 1);
        assert_eq!(script.queries.get(), 1);
    })
    .await;
}

/// Lets background queries end.
async fn until(script: &Script, queries: usize) {
    while script.queries.get() < queries {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn an_expired_answer_is_served_while_one_query_renews_it() {
    with(
        DnsSettings::default(),
        [answer(1, MINUTE), answer(2, HOUR)],
        async |dns, script| {
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            pass(MINUTE);
            assert_eq!(last(&dns.resolve("a.test").await), 1, "stale at once");
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            until(&script, 2).await;
            assert_eq!(last(&dns.resolve("a.test").await), 2);
        },
    )
    .await;
}

#[tokio::test]
async fn a_failed_renewal_leaves_the_stale_answer_and_waits_before_the_next() {
    let failed = Err(DnsError::Other("timeout".into()));
    with(
        DnsSettings::default(),
        [answer(1, MINUTE), failed, answer(2, HOUR)],
        async |dns, script| {
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            pass(MINUTE);
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            until(&script, 2).await;
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert_eq!(script.queries.get(), 2, "not again within `dns_error_ttl`");
            pass(SECOND);
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            until(&script, 3).await;
            assert_eq!(last(&dns.resolve("a.test").await), 2);
        },
    )
    .await;
}

#[tokio::test]
async fn a_name_that_is_gone_is_not_served_from_stale_answers() {
    with(
        DnsSettings::default(),
        [answer(1, MINUTE), Err(DnsError::NotFound)],
        async |dns, script| {
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            pass(MINUTE);
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            until(&script, 2).await;
            assert_eq!(dns.resolve("a.test").await, Err(DnsError::NotFound));
        },
    )
    .await;
}

#[tokio::test]
async fn past_the_stale_time_the_request_waits_for_a_new_answer() {
    let settings = DnsSettings {
        stale_ttl: MINUTE,
        ..DnsSettings::default()
    };
    with(settings, [answer(1, MINUTE), answer(2, HOUR)], async |dns, _| {
        assert_eq!(last(&dns.resolve("a.test").await), 1);
        pass(2 * MINUTE);
        assert_eq!(last(&dns.resolve("a.test").await), 2);
    })
    .await;
}

#[tokio::test]
async fn an_answer_with_a_ttl_of_0_serves_those_who_asked_and_nobody_else() {
    with(
        DnsSettings::default(),
        [answer(1, Duration::ZERO), answer(2, Duration::ZERO)],
        async |dns, script| {
            let outcomes = join_all((0..3).map(|_| dns.resolve("a.test"))).await;
            assert!(outcomes.iter().all(|outcome| last(outcome) == 1));
            assert_eq!(dns.cached("a.test"), None);
            assert_eq!(last(&dns.resolve("a.test").await), 2);
            assert_eq!(script.queries.get(), 2);
        },
    )
    .await;
}

#[tokio::test]
async fn a_configured_ttl_replaces_that_of_the_answer() {
    let settings = DnsSettings {
        valid_ttl: Some(HOUR),
        ..DnsSettings::default()
    };
    with(settings, [answer(1, SECOND)], async |dns, script| {
        let found = dns.resolve("a.test").await.unwrap();
        assert!(found.expires() > now() + HOUR - MINUTE);
        pass(HOUR - MINUTE);
        assert_eq!(last(&dns.resolve("a.test").await), 1);
        assert_eq!(script.queries.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn failures_are_remembered_for_their_time_with_kongs_text() {
    let other = Err(DnsError::Other("refused".into()));
    let none = Ok(Answer {
        addresses: Vec::new(),
        ttl: HOUR,
    });
    with(
        DnsSettings::default(),
        [Err(DnsError::NotFound), none, other],
        async |dns, script| {
            for _ in 0..2 {
                assert_eq!(
                    dns.resolve("a.test").await.unwrap_err().to_string(),
                    "name resolution failed"
                );
                assert_eq!(dns.resolve("empty.test").await.unwrap_err(), DnsError::NotFound);
                assert_eq!(
                    dns.resolve("b.test").await.unwrap_err().to_string(),
                    "dns error: refused"
                );
            }
            assert_eq!(script.queries.get(), 3);
        },
    )
    .await;
    let settings = DnsSettings {
        not_found_ttl: Duration::ZERO,
        ..DnsSettings::default()
    };
    with(
        settings,
        [Err(DnsError::NotFound), answer(1, HOUR)],
        async |dns, _| {
            assert!(dns.resolve("a.test").await.is_err());
            assert_eq!(last(&dns.resolve("a.test").await), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn the_cache_holds_no_more_than_its_size() {
    let settings = DnsSettings {
        cache_size: 2,
        ..DnsSettings::default()
    };
    with(settings, (0..3).map(|n| answer(n, HOUR)), async |dns, _| {
        for name in ["a.test", "b.test", "c.test"] {
            dns.resolve(name).await.unwrap();
        }
        assert_eq!(dns.inner.known.borrow().len(), 2);
        assert_eq!(last(&dns.cached("c.test").unwrap()), 2);
    })
    .await;
}

#[tokio::test]
async fn the_hosts_file_is_honoured() {
    let service = Arc::new(NameService::load(&NameServiceSettings::default()));
    let dns = Dns::new(SystemLookup::new(service).unwrap(), DnsSettings::default());
    let found = LocalSet::new().run_until(dns.resolve("localhost")).await.unwrap();
    assert!(found.list().iter().all(|address| address.ip.is_loopback()));
}
