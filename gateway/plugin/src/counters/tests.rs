use super::{CounterStore, Counters, Identifier, MAX_ENTRIES, MAX_ENTRIES_PER_SHARD, Subject, Window};
use std::hash::BuildHasher;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

fn window(slot: u8, starts_at_millis: u64, length: u64, limit: u64) -> Window {
    Window {
        slot,
        starts_at_millis,
        ends_at_millis: starts_at_millis + length,
        limit,
        used: 0,
    }
}

fn subject(identifier: Identifier<'_>) -> Subject<'_> {
    Subject {
        route: Uuid::nil(),
        service: Uuid::nil(),
        identifier,
    }
}

fn caller(number: u32) -> Subject<'static> {
    subject(Identifier::Address(Ipv4Addr::from_bits(number).into()))
}

/// Counts once; tells whether it was admitted and what was used before.
fn take(counters: &Counters, subject: &Subject<'_>, mut window: Window) -> (bool, u64) {
    let now_millis = window.starts_at_millis;
    let admitted = counters.take(subject, std::slice::from_mut(&mut window), now_millis);
    (admitted, window.used)
}

#[test]
fn limit_is_admitted_exactly_and_rejected_requests_are_not_counted() {
    let counters = Counters::default();
    let minute = window(1, 60_000, 60_000, 3);
    let answers: Vec<_> = (0..5).map(|_| take(&counters, &caller(1), minute)).collect();
    assert_eq!(answers, [(true, 0), (true, 1), (true, 2), (false, 3), (false, 3)]);
}

#[test]
fn full_window_keeps_the_other_windows_from_counting() {
    let counters = Counters::default();
    let mut windows = [window(0, 0, 1_000, 5), window(1, 0, 60_000, 1)];
    assert!(counters.take(&caller(1), &mut windows, 0));
    assert!(!counters.take(&caller(1), &mut windows, 0));
    assert_eq!(windows.map(|window| window.used), [1, 1]);
    let mut second = [window(0, 0, 1_000, 5)];
    assert!(counters.take(&caller(1), &mut second, 0));
    assert_eq!(
        second[0].used, 1,
        "the rejected request did not use up the second"
    );
}

#[test]
fn next_window_starts_from_zero() {
    let counters = Counters::default();
    assert_eq!(
        take(&counters, &caller(1), window(1, 60_000, 60_000, 1)),
        (true, 0)
    );
    assert_eq!(
        take(&counters, &caller(1), window(1, 60_000, 60_000, 1)),
        (false, 1)
    );
    assert_eq!(
        take(&counters, &caller(1), window(1, 120_000, 60_000, 1)),
        (true, 0)
    );
}

#[test]
fn worker_with_a_late_clock_counts_in_the_window_that_already_began() {
    let counters = Counters::default();
    assert_eq!(
        take(&counters, &caller(1), window(1, 120_000, 60_000, 1)),
        (true, 0)
    );
    assert_eq!(
        take(&counters, &caller(1), window(1, 60_000, 60_000, 1)),
        (false, 1)
    );
}

#[test]
fn clock_that_was_far_ahead_does_not_lock_anybody_out() {
    let counters = Counters::default();
    assert_eq!(
        take(&counters, &caller(1), window(1, 600_000, 60_000, 1)),
        (true, 0)
    );
    assert_eq!(
        take(&counters, &caller(1), window(1, 60_000, 60_000, 1)),
        (true, 0)
    );
}

#[test]
fn every_part_of_a_subject_makes_another_counter() {
    let counters = Counters::default();
    let id = Uuid::from_u128(7);
    let address = Ipv4Addr::from_bits(7);
    let mut subjects = vec![
        subject(Identifier::Entity(id)),
        subject(Identifier::Address(address.into())),
        subject(Identifier::Address(address.to_ipv6_mapped().into())),
        subject(Identifier::Header(b"10.0.0.7")),
        subject(Identifier::Header(b"")),
        subject(Identifier::Path(b"10.0.0.7")),
        subject(Identifier::Anyone),
    ];
    subjects.push(Subject {
        route: id,
        ..subjects[0]
    });
    subjects.push(Subject {
        service: id,
        ..subjects[0]
    });
    for subject in &subjects {
        assert_eq!(
            take(&counters, subject, window(0, 0, 1_000, 1)),
            (true, 0),
            "{subject:?}"
        );
    }
    for subject in &subjects {
        assert_eq!(
            take(&counters, subject, window(0, 0, 1_000, 1)),
            (false, 1),
            "{subject:?}"
        );
    }
}

#[test]
fn dead_entries_are_swept_so_that_the_table_does_not_grow_with_time() {
    let counters = Counters::default();
    let mut most = 0;
    for second in 0..200_u64 {
        for number in 0..1_000 {
            let fresh = u32::try_from(second).unwrap() * 1_000 + number;
            assert!(take(&counters, &caller(fresh), window(0, second * 1_000, 1_000, 1)).0);
        }
        most = most.max(counters.len());
    }
    assert!(
        most < 8_000,
        "200,000 callers of one second each left {most} entries"
    );
}

#[test]
fn table_stops_at_its_bound_and_keeps_the_busy_counters() {
    let counters = Counters::default();
    let day = window(3, 0, 86_400_000, 10);
    for _ in 0..10 {
        take(&counters, &caller(0), day);
    }
    let flood = u32::try_from(MAX_ENTRIES + MAX_ENTRIES / 4).unwrap();
    for number in 1..flood {
        take(&counters, &caller(number), day);
    }
    for shard in &counters.shards {
        let table = shard.0.lock();
        assert!(table.len() <= MAX_ENTRIES_PER_SHARD && table.num_buckets() <= 8_192);
    }
    assert!(
        counters.len() > MAX_ENTRIES * 9 / 10,
        "the room there is gets used"
    );
    assert_eq!(
        take(&counters, &caller(0), day),
        (false, 10),
        "a used-up counter survives a flood of fresh ones"
    );
}

#[test]
fn threads_together_never_get_more_than_the_limit() {
    const LIMIT: u64 = 5_000;
    let counters = Counters::default();
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let mut windows = [window(0, 0, 1_000, LIMIT * 2), window(1, 0, 60_000, LIMIT)];
                    if counters.take(&caller(1), &mut windows, 0) {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(
        admitted.into_inner(),
        LIMIT,
        "16,000 requests met a limit of 5,000"
    );
}

#[test]
fn hash_is_keyed_anew_for_every_table() {
    let [a, b] = [Counters::default(), Counters::default()];
    assert_ne!(a.key(&caller(1)), b.key(&caller(1)));
    assert_ne!(
        a.hashers[0].hash_one(1),
        a.hashers[1].hash_one(1),
        "the halves are independent"
    );
    assert_eq!(a.key(&caller(1)), a.key(&caller(1)));
}

#[test]
fn local_counters_answer_as_a_store_at_once() {
    use futures_util::FutureExt;
    let counters = Counters::default();
    let mut windows = [window(0, 0, 1_000, 1)];
    assert_eq!(
        counters.increment(caller(1), &mut windows, 0).now_or_never(),
        Some(Ok(true))
    );
    assert_eq!(
        counters.increment(caller(1), &mut windows, 0).now_or_never(),
        Some(Ok(false))
    );
}

#[test]
fn replaced_number_is_forgotten_at_its_end_and_kept_when_the_change_fails() {
    let counters = Counters::default();
    let key = counters.key(&caller(1));
    let set = |now, seen: &mut Option<u64>| {
        counters.replace::<(), ()>(key, 2, now, |number| {
            *seen = number;
            Ok(((), 7, 100))
        })
    };
    let mut seen = None;
    assert_eq!((set(0, &mut seen), seen), (Ok(()), None));
    assert_eq!((set(99, &mut seen), seen), (Ok(()), Some(7)));
    assert_eq!(
        counters.replace::<(), _>(key, 2, 99, Err),
        Err(Some(7)),
        "the change sees it and refuses"
    );
    assert_eq!((set(100, &mut seen), seen), (Ok(()), None));
    assert_eq!(
        counters.replace::<(), _>(key, 3, 0, Err),
        Err(None),
        "slots are apart"
    );
}
