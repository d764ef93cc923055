//! Finds slow and idle clients from counters, so that no clock is read per request.
//!
//! A worker looks at each of its connections about once a second; a deadline is met with that precision.

use super::state::{ConnectionState, Reading};
use std::time::{Duration, Instant};

/// How long a client may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDeadlines {
    /// From the first byte of a head (or from the accept of the connection) to its end.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Between two reads of a body.
    pub body: Duration,
    /// Between two writes.
    pub write: Duration,
    /// Slowest body over a [`Self::body`] period, bytes per second; 0: no bound.
    pub min_body_rate: u64,
}

impl Default for ClientDeadlines {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            head: minute,
            idle: Duration::from_secs(75),
            body: minute,
            write: minute,
            min_body_rate: 64,
        }
    }
}

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// A head took too long.
    Head,
    /// No request came.
    Idle,
    /// A body stopped or trickled.
    Body,
    /// The client does not read its answer.
    Write,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Head,
    Idle,
    Body,
    Write,
    Nothing,
}

/// Memory of the last look at one connection.
#[derive(Clone, Debug)]
pub struct ConnectionWatch {
    waiting: Waiting,
    heads: u64,
    since: Instant,
    /// Counter of the awaited direction at `since`.
    bytes: u64,
}

impl ConnectionWatch {
    /// Begins to watch a connection that was accepted at `now`.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            waiting: Waiting::Head,
            heads: 0,
            since: now,
            bytes: 0,
        }
    }

    /// Looks at the connection; an answer means that it is to be closed.
    pub fn observe(
        &mut self,
        state: &ConnectionState,
        now: Instant,
        deadlines: &ClientDeadlines,
    ) -> Option<Overdue> {
        let waiting = waiting_for(state);
        let bytes = if waiting == Waiting::Write {
            state.bytes_written()
        } else {
            state.bytes_read()
        };
        if waiting != self.waiting || state.heads_read() != self.heads {
            *self = Self {
                waiting,
                heads: state.heads_read(),
                since: now,
                bytes,
            };
            return None;
        }
        let elapsed = now.saturating_duration_since(self.since);
        let moved = bytes.wrapping_sub(self.bytes);
        match waiting {
            Waiting::Nothing => None,
            Waiting::Head => (elapsed >= deadlines.head).then_some(Overdue::Head),
            Waiting::Idle => (elapsed >= deadlines.idle).then_some(Overdue::Idle),
            Waiting::Body if elapsed < deadlines.body => None,
            Waiting::Body if moved <= deadlines.min_body_rate.saturating_mul(deadlines.body.as_secs()) => {
                Some(Overdue::Body)
            }
            Waiting::Write if moved == 0 => (elapsed >= deadlines.write).then_some(Overdue::Write),
            Waiting::Body | Waiting::Write => {
                self.since = now;
                self.bytes = bytes;
                None
            }
        }
    }
}

fn waiting_for(state: &ConnectionState) -> Waiting {
    if state.is_write_blocked() {
        return Waiting::Write;
    }
    match state.reading() {
        Reading::Head => Waiting::Head,
        Reading::Body if state.is_read_blocked() => Waiting::Body,
        Reading::Idle if state.heads_read() == 0 => Waiting::Head,
        // After a refusal the answer is on its way; a reader that does not take it blocks the write.
        Reading::Idle | Reading::Closed if state.in_flight() == 0 => Waiting::Idle,
        _ => Waiting::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::state::RequestFacts;

    fn second(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_connection_without_a_request_is_closed_at_the_head_deadline() {
        let start = Instant::now();
        let (state, mut watch, deadlines) = (
            ConnectionState::default(),
            ConnectionWatch::new(start),
            ClientDeadlines::default(),
        );
        assert_eq!(watch.observe(&state, second(start, 59), &deadlines), None);
        assert_eq!(
            watch.observe(&state, second(start, 60), &deadlines),
            Some(Overdue::Head)
        );
    }

    #[test]
    fn bytes_that_trickle_in_do_not_extend_the_head_deadline() {
        let start = Instant::now();
        let (state, mut watch, deadlines) = (
            ConnectionState::default(),
            ConnectionWatch::new(start),
            ClientDeadlines::default(),
        );
        state.set_reading(Reading::Head);
        for at in 1..60 {
            state.count_read(1);
            assert_eq!(watch.observe(&state, second(start, at), &deadlines), None);
        }
        assert_eq!(
            watch.observe(&state, second(start, 61), &deadlines),
            Some(Overdue::Head)
        );
    }

    #[test]
    fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
        let start = Instant::now();
        let (state, mut watch, deadlines) = (
            ConnectionState::default(),
            ConnectionWatch::new(start),
            ClientDeadlines::default(),
        );
        state.deliver(RequestFacts {
            head_bytes: 1,
            fault: None,
        });
        state.begin_request();
        for at in [1, 100, 1_000] {
            assert_eq!(
                watch.observe(&state, second(start, at), &deadlines),
                None,
                "the answer may take its time"
            );
        }
        state.finish_request();
        assert_eq!(watch.observe(&state, second(start, 1_001), &deadlines), None);
        assert_eq!(watch.observe(&state, second(start, 1_075), &deadlines), None);
        assert_eq!(
            watch.observe(&state, second(start, 1_076), &deadlines),
            Some(Overdue::Idle)
        );
    }

    #[test]
    fn a_body_must_keep_its_minimum_rate() {
        let start = Instant::now();
        let (state, mut watch, deadlines) = (
            ConnectionState::default(),
            ConnectionWatch::new(start),
            ClientDeadlines::default(),
        );
        state.deliver(RequestFacts {
            head_bytes: 1,
            fault: None,
        });
        state.begin_request();
        state.set_reading(Reading::Body);
        state.set_read_blocked();
        assert_eq!(watch.observe(&state, second(start, 1), &deadlines), None);
        state.count_read(64 * 60 + 1);
        state.set_read_blocked();
        assert_eq!(
            watch.observe(&state, second(start, 61), &deadlines),
            None,
            "fast enough"
        );
        state.count_read(64 * 60);
        state.set_read_blocked();
        assert_eq!(
            watch.observe(&state, second(start, 121), &deadlines),
            Some(Overdue::Body)
        );
    }

    #[test]
    fn a_client_that_does_not_read_is_closed_unless_some_bytes_pass() {
        let start = Instant::now();
        let (state, mut watch, deadlines) = (
            ConnectionState::default(),
            ConnectionWatch::new(start),
            ClientDeadlines::default(),
        );
        state.set_write_blocked();
        assert_eq!(watch.observe(&state, second(start, 1), &deadlines), None);
        state.count_written(10);
        state.set_write_blocked();
        assert_eq!(watch.observe(&state, second(start, 61), &deadlines), None);
        assert_eq!(
            watch.observe(&state, second(start, 121), &deadlines),
            Some(Overdue::Write)
        );
    }
}
