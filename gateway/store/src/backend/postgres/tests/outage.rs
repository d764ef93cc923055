//! The server goes away and comes back.

use super::server::Server;
use super::{
    BackendHealth, FaultKind, TransactError, Uuid, assert_same, eventually, insert, is_reachable, node,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn while_the_server_is_away_reads_go_on_writes_say_why_and_all_nodes_heal() {
    let mut server = Server::start();
    let settings = server.fresh();
    let (one, two) = (node(&settings), node(&settings));
    insert(&one, 1, "one").expect("an insert");
    eventually("both have it", || two.catalog().len("services") == 1);
    server.kill();
    eventually("both notice, though nobody writes", || {
        !is_reachable(&one) && !is_reachable(&two)
    });
    let failed = insert(&one, 2, "two");
    assert!(
        matches!(&failed, Err(TransactError::Unavailable(fault)) if fault.kind == FaultKind::Unreachable),
        "{failed:?}"
    );
    // At first the server may still say that it is going down.
    eventually("the health says why", || match one.health() {
        BackendHealth::Unreachable { reason, .. } => reason.contains("cannot be reached"),
        BackendHealth::Reachable => false,
    });
    assert!(one.read(|catalog| catalog.get("services", Uuid::from_u128(1)).is_some()));
    server.run();
    eventually("both heal", || is_reachable(&one) && is_reachable(&two));
    let version = insert(&two, 2, "two").expect("an insert");
    eventually("both have it", || one.catalog().version() == version);
    assert_same(&one, &two);
}

/// Ends the writers when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_was_acknowledged_is_there_and_what_failed_is_not_however_often_the_server_dies() {
    let mut server = Server::start();
    let settings = server.fresh();
    let store = node(&settings);
    let is_over = AtomicBool::new(false);
    let outcomes = std::thread::scope(|scope| {
        let (store, is_over) = (&store, &is_over);
        // Also when an assertion fails.
        let _end = Ends(is_over);
        let writers: Vec<_> = (0..3_u128)
            .map(|writer| {
                scope.spawn(move || {
                    let mut outcomes = Vec::new();
                    for number in (writer..)
                        .step_by(3)
                        .take_while(|_| !is_over.load(Ordering::Relaxed))
                    {
                        outcomes.push((number, insert(store, number, &format!("s{number}"))));
                    }
                    outcomes
                })
            })
            .collect();
        for _ in 0..5 {
            let before = store.catalog().version();
            eventually("writes go through", || store.catalog().version() > before + 5);
            std::thread::park_timeout(Duration::from_micros(fastrand::u64(0..5_000)));
            server.kill();
            eventually("it is noticed", || !is_reachable(store));
            server.run();
            eventually("it heals", || is_reachable(store));
        }
        is_over.store(true, Ordering::Relaxed);
        let all = writers.into_iter().map(|writer| writer.join().expect("a writer"));
        all.flatten().collect::<Vec<_>>()
    });
    let fresh = node(&settings);
    let (mut done, mut failed) = (0, 0);
    for (number, outcome) in outcomes {
        let is_there = fresh.read(|catalog| catalog.get("services", Uuid::from_u128(number)).is_some());
        match outcome {
            Ok(_) => {
                assert!(is_there, "{number} was acknowledged");
                done += 1;
            }
            Err(TransactError::Unavailable(fault)) if fault.kind == FaultKind::InDoubt => {}
            Err(TransactError::Unavailable(fault)) => {
                assert!(!is_there, "{number} had failed: {fault}");
                failed += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(done >= 25 && failed > 0, "{done} done, {failed} failed");
    eventually("the store knows what the database knows", || {
        store.catalog().version() == fresh.catalog().version()
    });
    assert_same(&store, &fresh);
}
