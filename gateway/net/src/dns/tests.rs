use super::*;
use futures_util::future::join_all;
use std::collections::VecDeque;
use tokio::task::LocalSet;

/// Answers from a list, after a turn of the loop; counts the queries.
#[derive(Clone, Default)]
struct Script {
    answers: Rc<RefCell<VecDeque<Result<Answer, DnsError>>>>,
    queries: Rc<Cell<usize>>,
}

impl Lookup for Script {
    fn lookup<'a>(&'a self, _: &'a str) -> LocalBoxFuture<'a, Result<Answer, DnsError>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            self.queries.set(self.queries.get() + 1);
            self.answers
                .borrow_mut()
                .pop_front()
                .expect("one more query than expected")
        })
    }
}

fn plain(last: u8) -> Address {
    Address {
        ip: IpAddr::from([10, 0, 0, last]),
        port: None,
        weight: 1,
    }
}

fn answer(last: u8, ttl: Duration) -> Result<Answer, DnsError> {
    Ok(Answer {
        addresses: vec![plain(last)],
        ttl,
    })
}

const HOUR: Duration = Duration::from_secs(3_600);

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

#[tokio::test]
async fn an_expired_answer_is_served_while_one_query_renews_it() {
    with(
        DnsSettings::default(),
        [answer(1, Duration::ZERO), answer(2, HOUR)],
        async |dns, script| {
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            assert_eq!(last(&dns.resolve("a.test").await), 1, "stale at once");
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            while script.queries.get() < 2 {
                tokio::task::yield_now().await;
            }
            assert_eq!(last(&dns.resolve("a.test").await), 2);
        },
    )
    .await;
}

#[tokio::test]
async fn a_failed_renewal_leaves_the_stale_answer_in_place() {
    let failed = Err(DnsError::Other("timeout".into()));
    with(
        DnsSettings::default(),
        [answer(1, Duration::ZERO), failed, answer(2, HOUR)],
        async |dns, script| {
            for _ in 0..2 {
                assert_eq!(last(&dns.resolve("a.test").await), 1);
            }
            while script.queries.get() < 2 {
                tokio::task::yield_now().await;
            }
            assert_eq!(last(&dns.resolve("a.test").await), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn past_the_stale_time_the_request_waits_for_a_new_answer() {
    let settings = DnsSettings {
        stale_ttl: Duration::ZERO,
        ..DnsSettings::default()
    };
    with(
        settings,
        [answer(1, Duration::ZERO), answer(2, HOUR)],
        async |dns, _| {
            assert_eq!(last(&dns.resolve("a.test").await), 1);
            assert_eq!(last(&dns.resolve("a.test").await), 2);
        },
    )
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

#[test]
fn addresses_take_turns_by_weight_and_keep_their_port() {
    let list = vec![
        plain(1),
        Address {
            port: Some(81),
            weight: 2,
            ..plain(2)
        },
    ];
    let addresses = Addresses::new(list).unwrap();
    let ports: Vec<_> = (0..6).map(|_| addresses.next(80).unwrap().port()).collect();
    assert_eq!(ports, [80, 81, 81, 80, 81, 81]);
    assert_eq!(Addresses::new(Vec::new()), None);
}

#[tokio::test]
async fn the_hosts_file_is_honoured() {
    let dns = Dns::new(SystemLookup::new().unwrap(), DnsSettings::default());
    let found = LocalSet::new().run_until(dns.resolve("localhost")).await.unwrap();
    assert!(found.list().iter().all(|address| address.ip.is_loopback()));
}
