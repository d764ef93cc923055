//! What happens to the filter while the runner waits.

use super::super::desk::Wait;
use super::{BOTH, ComponentRun, End, Step};
use crate::host::FailureKind;
use http::StatusCode;
use std::task::Context;
use tidegate_plugin::{Direction, Exchange, FilterEvent, Hold};

impl ComponentRun {
    pub(super) fn event(
        &mut self,
        x: &mut Exchange,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Option<FilterEvent> {
        let before = self.desk.lane(direction).paused?;
        if before == Hold::Body {
            // The next bytes of the body move it.
            return None;
        }
        if self.call(direction).is_none() {
            // The other direction failed, and this one is free.
            return self.is_out.then(|| {
                let step = self.release(x, direction);
                self.told(direction, step)
            });
        }
        let step = self.advance(x, direction, cx);
        if let Step::Pause(hold) = step {
            if hold == before && !self.desk.lane(direction).has_news() {
                return self.timeout(x, direction, cx);
            }
            let lane = self.desk.lane(direction);
            lane.paused = Some(hold);
            lane.has_told_of_bytes = true;
            return Some(FilterEvent::Pause(direction, hold));
        }
        Some(self.told(direction, step))
    }

    fn told(&mut self, direction: Direction, step: Step) -> FilterEvent {
        self.desk.lane(direction).paused = None;
        match step {
            Step::Go | Step::Pause(_) => FilterEvent::Resume(direction),
            Step::End(End::Reply(reply)) => FilterEvent::Reply(reply),
            Step::End(End::Close) => FilterEvent::Close,
            Step::End(End::Fail(fault)) => FilterEvent::Fail(fault),
        }
    }

    /// A wait for anything but the messages themselves is bounded.
    fn timeout(
        &mut self,
        x: &mut Exchange,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Option<FilterEvent> {
        let call = self.call(direction).as_mut()?;
        if call.wait() != Wait::Other || !call.poll_timeout(cx) {
            return None;
        }
        self.generation().count_failure(FailureKind::Timeout);
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let refusal = self.generation().refusal(status, None, "it paused for too long");
        let step = self.leave(x, direction, refusal);
        Some(self.told(direction, step))
    }

    /// Directions in which the guest is at work.
    pub(super) fn is_busy(&mut self) -> bool {
        BOTH.into_iter().any(|direction| self.call(direction).is_some())
    }
}
