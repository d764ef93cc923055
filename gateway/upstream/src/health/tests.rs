//! The word against a plain model of the rules, and the rules one by one.

use super::*;
use proptest::prelude::*;

/// The rules of kong-core F.4 written down without any packing.
#[derive(Debug, Clone)]
struct Model {
    state: State,
    successes: u32,
    failures: [u32; 3],
}

impl Model {
    fn report(&mut self, event: Event, limits: &Limits) {
        let (place, limit) = match event {
            Event::Success => (None, limits.successes),
            Event::HttpFailure => (Some(0), limits.http_failures),
            Event::TcpFailure => (Some(1), limits.tcp_failures),
            Event::Timeout => (Some(2), limits.timeouts),
        };
        if limit == 0 {
            return;
        }
        match place {
            None if self.state == State::Healthy => {}
            Some(_) if self.state == State::Unhealthy => {}
            None => {
                self.successes += 1;
                self.failures = [0; 3];
                if self.successes >= u32::from(limit) {
                    self.state = State::Healthy;
                } else if self.state == State::Unhealthy {
                    self.state = State::MostlyUnhealthy;
                }
            }
            Some(place) => {
                self.failures[place] += 1;
                self.successes = 0;
                if self.failures[place] >= u32::from(limit) {
                    self.state = State::Unhealthy;
                } else if self.state == State::Healthy {
                    self.state = State::MostlyHealthy;
                }
            }
        }
    }
}

fn limits(successes: u8, http_failures: u8, tcp_failures: u8, timeouts: u8) -> Limits {
    Limits {
        healthy: StatusSet::of(&[200, 302]),
        unhealthy: StatusSet::of(&[500, 503]),
        successes,
        http_failures,
        tcp_failures,
        timeouts,
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Success),
        Just(Event::HttpFailure),
        Just(Event::TcpFailure),
        Just(Event::Timeout),
    ]
}

proptest! {
    #[test]
    fn the_word_follows_the_rules(
        (successes, http, tcp, timeouts) in (0_u8..4, 0_u8..4, 0_u8..4, 0_u8..4),
        (other_successes, other_failures) in (0_u8..4, 0_u8..4),
        events in proptest::collection::vec((any_event(), any::<bool>()), 0..200),
    ) {
        // Traffic and probes have limits of their own and share the counters.
        let passive = limits(successes, http, tcp, timeouts);
        let active = limits(other_successes, other_failures, other_failures, other_failures);
        let cell = HealthCell::default();
        let mut model = Model { state: State::Healthy, successes: 0, failures: [0; 3] };
        for (event, is_active) in events {
            let limits = if is_active { &active } else { &passive };
            let before = cell.state();
            let reported = cell.report(event, limits);
            model.report(event, limits);
            prop_assert_eq!(cell.state(), model.state);
            let counters = cell.counters();
            prop_assert_eq!(u32::from(counters.successes), model.successes);
            prop_assert_eq!(
                [counters.http_failures, counters.tcp_failures, counters.timeouts].map(u32::from),
                model.failures
            );
            if let Some(reported) = reported {
                prop_assert_eq!(reported, (before, model.state));
            } else {
                prop_assert_eq!(before, model.state);
            }
        }
    }
}

#[test]
fn counters_stop_at_their_largest_value() {
    // Successes are never counted, so timeouts below a limit of 255 pile up beside other failures.
    let limits = limits(0, 255, 255, 255);
    let cell = HealthCell::default();
    for _ in 0..254 {
        cell.report(Event::Timeout, &limits);
        cell.report(Event::TcpFailure, &limits);
    }
    assert_eq!(cell.state(), State::MostlyHealthy);
    assert_eq!(
        (cell.counters().timeouts, cell.counters().tcp_failures),
        (254, 254)
    );
    assert_eq!(
        cell.report(Event::Timeout, &limits),
        Some((State::MostlyHealthy, State::Unhealthy))
    );
}

#[test]
fn outcomes_become_events_by_the_lists() {
    let limits = limits(1, 1, 1, 1);
    let cases = [
        (Outcome::Status(200), Some(Event::Success)),
        (Outcome::Status(503), Some(Event::HttpFailure)),
        (Outcome::Status(404), None),
        (Outcome::Status(0), Some(Event::HttpFailure)),
        (Outcome::Status(60_000), None),
        (Outcome::Connected, Some(Event::Success)),
        (Outcome::TcpFailure, Some(Event::TcpFailure)),
        (Outcome::Timeout, Some(Event::Timeout)),
    ];
    for (outcome, event) in cases {
        assert_eq!(limits.event(outcome), event, "{outcome:?}");
    }
}

#[test]
fn a_word_that_is_set_by_hand_forgets_its_counters() {
    let limits = limits(2, 2, 2, 2);
    let cell = HealthCell::default();
    cell.report(Event::TcpFailure, &limits);
    assert_eq!(cell.set(false), State::MostlyHealthy);
    assert_eq!(
        (cell.state(), cell.counters()),
        (State::Unhealthy, Counters::default())
    );
    cell.report(Event::Success, &limits);
    assert_eq!(cell.state(), State::MostlyUnhealthy);
    cell.set(true);
    assert_eq!(
        (cell.state(), cell.counters()),
        (State::Healthy, Counters::default())
    );
}

#[test]
fn reports_of_many_threads_turn_a_state_exactly_once() {
    let limits = limits(0, 200, 1, 1);
    let cell = HealthCell::default();
    let turned = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..60 {
                    if let Some((from, State::Unhealthy)) = cell.report(Event::HttpFailure, &limits) {
                        assert_eq!(from, State::MostlyHealthy);
                        turned.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(turned.into_inner(), 1);
    assert_eq!(cell.counters().http_failures, 200);
}
