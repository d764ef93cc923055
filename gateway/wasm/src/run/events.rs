//! What happens to the filter while the runner waits.

use super::{BOTH, Run, deliver};
use crate::abi::state::Head;
use crate::host::FailureKind;
use crate::options::Resume;
use http::StatusCode;
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate_plugin::{Direction, Exchange, FilterEvent, Flow};
use tokio::time::Instant;

impl Run {
    pub(super) fn event(&mut self, x: &mut Exchange, cx: &mut Context<'_>) -> Poll<FilterEvent> {
        if let Some(Flow::Fail(fault)) = self.check() {
            return Poll::Ready(FilterEvent::Fail(fault));
        }
        if let Some(direction) = self.freed.pop() {
            return Poll::Ready(FilterEvent::Resume(direction));
        }
        let id = self.stream;
        let has_stream = self.with(|vm| {
            let stream = vm.state().stream_mut(id);
            stream
                .map(|stream| stream.waker = Some(cx.waker().clone()))
                .is_some()
        });
        if has_stream != Some(true) {
            return Poll::Pending;
        }
        loop {
            if let Some(event) = self.pending_event(x) {
                return Poll::Ready(event);
            }
            self.calls.absorb(self.lease.as_ref(), id);
            let Poll::Ready(event) = self.calls.poll(cx) else {
                return self.poll_timer(cx);
            };
            let delivered = self.with(|vm| deliver(vm, (id, Some(x)), event));
            match delivered {
                Some(Ok(next)) => self.calls.extend(next),
                Some(Err(failure)) => {
                    return match (self.fail(failure, x), self.freed.pop()) {
                        (Some(fault), _) => Poll::Ready(FilterEvent::Fail(fault)),
                        (None, Some(direction)) => Poll::Ready(FilterEvent::Resume(direction)),
                        (None, None) => Poll::Pending,
                    };
                }
                None => return Poll::Pending,
            }
            self.resume_automatically();
        }
    }

    /// What the guest left to be done, by this callback or another one that acted on the stream.
    fn pending_event(&mut self, x: &mut Exchange) -> Option<FilterEvent> {
        let (id, stream_direction) = (self.stream, self.active_direction());
        match self.ending(stream_direction) {
            Some(Flow::Reply(reply)) => return Some(FilterEvent::Reply(reply)),
            Some(_) => return Some(FilterEvent::Close),
            None => {}
        }
        for direction in BOTH {
            let resumes = self.with(|vm| {
                let lane = vm.state().stream_mut(id)?.lane(direction);
                (std::mem::take(&mut lane.wants_resume) && lane.is_paused).then_some(())
            });
            if resumes.flatten().is_some() {
                return Some(match self.release(x, direction) {
                    Flow::Continue => FilterEvent::Resume(direction),
                    _ => FilterEvent::Close,
                });
            }
        }
        None
    }

    fn active_direction(&mut self) -> Direction {
        let id = self.stream;
        let is_answered = self.with(|vm| {
            let stream = vm.state().stream(id);
            stream.is_some_and(|stream| stream.response.head != Head::Unseen)
        });
        if is_answered == Some(true) {
            Direction::Response
        } else {
            Direction::Request
        }
    }

    pub(super) fn paused(&mut self) -> Option<Direction> {
        let id = self.stream;
        self.with(|vm| {
            let stream = vm.state().stream_mut(id)?;
            BOTH.into_iter()
                .find(|direction| stream.lane(*direction).is_paused)
        })?
    }

    /// Kong's filters expect to go on when their last call has ended.
    fn resume_automatically(&mut self) {
        if self.pool.generation().options.resume != Resume::Auto {
            return;
        }
        let id = self.stream;
        self.with(|vm| {
            let state = vm.state();
            if state.outstanding(id) > 0 {
                return;
            }
            if let Some(stream) = state.stream_mut(id) {
                for lane in [&mut stream.request, &mut stream.response] {
                    lane.wants_resume |= lane.is_paused;
                }
            }
        });
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<FilterEvent> {
        if self.paused().is_none() {
            self.timer = None;
            return Poll::Pending;
        }
        let limit = Duration::from_millis(self.pool.generation().options.pause_timeout_ms);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.pool.generation().count_failure(FailureKind::Timeout);
        self.give_up();
        let verdict = self.verdict(StatusCode::INTERNAL_SERVER_ERROR, "it paused for too long");
        match (verdict, self.freed.pop()) {
            (Flow::Fail(fault), _) => Poll::Ready(FilterEvent::Fail(fault)),
            (_, Some(direction)) => Poll::Ready(FilterEvent::Resume(direction)),
            _ => Poll::Pending,
        }
    }
}
