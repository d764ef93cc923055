//! A component's part in one exchange: turns the runner's calls into calls of the guest, and its decisions into what goes
//! on.

mod decisions;
mod events;
mod log;

use super::call::Call;
use super::desk::{Desk, Wait};
use super::instance::Input;
use super::lane::Mode;
use super::linker::ComponentCode;
use super::phases::{Phase, Phases};
use super::vm::ComponentVm;
use crate::abi::state::Head;
use crate::failure::Failure;
use crate::generation::{Bound, Generation};
use crate::options::Isolation;
use crate::pool::{Lease, WorkerPool};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tidegate_plugin::{Direction, Exchange, FilterEvent, FilterFault, FilterRun, Flow, Hold, Reply};

/// One exchange. Each direction has at most one call at a time.
pub(crate) struct ComponentRun {
    pool: Rc<WorkerPool<ComponentVm>>,
    phases: Phases,
    desk: Desk,
    calls: [Option<Call>; 2],
    /// The instance of this exchange alone, with isolation `request`.
    kept: Option<Lease<ComponentVm>>,
    /// It failed: everything passes by.
    is_out: bool,
    has_seen_request: bool,
    is_finished: bool,
}

/// How far a direction has come.
enum Step {
    /// It goes on, or more of it is wanted.
    Go,
    Pause(Hold),
    End(End),
}

/// How the filter ends the exchange.
enum End {
    Reply(Box<Reply>),
    Close,
    Fail(Box<FilterFault>),
}

const BOTH: [Direction; 2] = [Direction::Request, Direction::Response];

impl ComponentRun {
    pub(crate) fn start(bound: &Arc<Bound<ComponentCode>>) -> Self {
        let pool = WorkerPool::of(bound);
        bound.generation.host.totals.streams_created.add(1);
        Self {
            phases: bound.code.phases(),
            desk: Desk::new(Some(Rc::clone(&pool))),
            pool,
            calls: [None, None],
            kept: None,
            is_out: false,
            has_seen_request: false,
            is_finished: false,
        }
    }

    fn generation(&self) -> &Generation {
        self.pool.generation()
    }

    fn call(&mut self, direction: Direction) -> &mut Option<Call> {
        let [request, response] = &mut self.calls;
        match direction {
            Direction::Request => request,
            Direction::Response => response,
        }
    }

    /// More of a message is here.
    fn go_on(&mut self, x: &mut Exchange, direction: Direction) -> Step {
        let lane = self.desk.lane(direction);
        if lane.has_overflown {
            return self.overflow(x, direction);
        }
        if self.call(direction).is_some() {
            return self.advance(x, direction, &mut Context::from_waker(Waker::noop()));
        }
        if self.desk.lane(direction).mode == Mode::Pass {
            return Step::Go;
        }
        self.begin(x, direction, Phase::body(direction))
    }

    /// Calls the guest and lets it run at once: mostly it answers without waiting.
    fn begin(&mut self, x: &mut Exchange, direction: Direction, phase: Phase) -> Step {
        let lease = match self.kept.take().map_or_else(|| self.pool.lease(), Ok) {
            Ok(lease) => lease,
            Err(error) => {
                let refusal = self.generation().without_instance(error);
                return self.leave(x, direction, refusal);
            }
        };
        *self.call(direction) = Some(Call::begin(lease, phase, Input::None));
        self.advance(x, direction, &mut Context::from_waker(Waker::noop()))
    }

    /// Lets the guest run until it has answered or waits.
    fn advance(&mut self, x: &mut Exchange, direction: Direction, cx: &mut Context<'_>) -> Step {
        let [request, response] = &mut self.calls;
        let place = match direction {
            Direction::Request => request,
            Direction::Response => response,
        };
        let Some(call) = place else {
            return Step::Go;
        };
        let phase = call.phase;
        match call.poll(&mut self.desk, Some(x), &self.pool, cx) {
            Poll::Ready((lease, answer)) => {
                *place = None;
                if self.generation().options.isolation == Isolation::Request && answer.is_ok() {
                    self.kept = Some(lease);
                } else {
                    drop(lease);
                }
                if self.desk.lane(direction).has_overflown {
                    return self.overflow(x, direction);
                }
                match answer {
                    Ok(answer) => self.obey(x, direction, phase, answer),
                    Err(failure) => self.failed(x, direction, failure),
                }
            }
            Poll::Pending => {
                let wait = call.wait();
                self.waiting(x, direction, phase, wait)
            }
        }
    }

    /// What goes on meanwhile.
    fn waiting(&mut self, x: &mut Exchange, direction: Direction, phase: Phase, wait: Wait) -> Step {
        let lane = self.desk.lane(direction);
        if lane.has_overflown {
            return self.overflow(x, direction);
        }
        let wants_more = phase.is_body() && wait == Wait::Body && !lane.has_ended;
        match (wants_more, lane.mode) {
            (true, Mode::Hold) => Step::Pause(Hold::Body),
            (true, _) => Step::Go,
            (false, _) => Step::Pause(Hold::All),
        }
    }

    fn failed(&mut self, x: &mut Exchange, direction: Direction, failure: Failure) -> Step {
        let request_id = x.request_id.to_str().ok().map(str::to_owned);
        let message = failure.summary();
        failure.note(self.generation(), request_id);
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let refusal = self.generation().refusal(status, None, &message);
        self.leave(x, direction, refusal)
    }

    /// More was held than may be.
    fn overflow(&mut self, x: &mut Exchange, direction: Direction) -> Step {
        let status = match direction {
            Direction::Request => StatusCode::PAYLOAD_TOO_LARGE,
            Direction::Response => StatusCode::BAD_GATEWAY,
        };
        let message = "it holds back more of a body than it may";
        let refusal = self.generation().refusal(status, None, message);
        self.leave(x, direction, refusal)
    }

    /// Takes no part any more; what it holds passes by.
    fn leave(&mut self, x: &mut Exchange, direction: Direction, refusal: Option<Box<FilterFault>>) -> Step {
        self.is_out = true;
        self.calls = [None, None];
        self.kept = None;
        match refusal {
            Some(fault) => Step::End(End::Fail(fault)),
            None => self.release(x, direction),
        }
    }

    /// The head goes on, and a body that the filter has no more to do with.
    fn release(&mut self, x: &mut Exchange, direction: Direction) -> Step {
        let is_bodiless = match direction {
            Direction::Request => false,
            Direction::Response => {
                let status = x.response.status;
                x.request.method == Method::HEAD
                    || status == StatusCode::NO_CONTENT
                    || status == StatusCode::NOT_MODIFIED
            }
        };
        let headers = match direction {
            Direction::Request => &mut x.request.headers,
            Direction::Response => &mut x.response.headers,
        };
        let is_out = self.is_out;
        let lane = self.desk.lane(direction);
        if is_out {
            lane.let_pass();
        }
        lane.release_head(headers, is_bodiless);
        Step::Go
    }

    fn flow(&mut self, direction: Direction, step: Step) -> Flow {
        let lane = self.desk.lane(direction);
        lane.paused = None;
        match step {
            Step::Go => Flow::Continue,
            Step::Pause(hold) => {
                lane.paused = Some(hold);
                Flow::Pause(hold)
            }
            Step::End(End::Reply(reply)) => Flow::Reply(reply),
            Step::End(End::Close) => Flow::Close,
            Step::End(End::Fail(fault)) => Flow::Fail(fault),
        }
    }
}

impl FilterRun for ComponentRun {
    fn head(&mut self, x: &mut Exchange, direction: Direction, ends: bool) -> Flow {
        self.has_seen_request = true;
        let headers = match direction {
            Direction::Request => &x.request.headers,
            Direction::Response => &x.response.headers,
        };
        let announced = headers.get(CONTENT_LENGTH);
        let lane = self.desk.lane(direction);
        lane.announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
        lane.head = Head::Held;
        lane.has_ended = ends;
        let phase = Phase::head(direction);
        let step = if self.is_out {
            self.release(x, direction)
        } else if self.phases.has(phase) {
            self.begin(x, direction, phase)
        } else {
            // Nobody asks for the body to be held.
            self.choose_body(x, direction, Mode::Stream, 0)
        };
        self.flow(direction, step)
    }

    fn body(&mut self, x: &mut Exchange, direction: Direction, chunk: Bytes, ends: bool) -> Flow {
        self.desk.lane(direction).receive(chunk, ends);
        let step = self.go_on(x, direction);
        self.flow(direction, step)
    }

    fn trailers(&mut self, x: &mut Exchange, direction: Direction, trailers: HeaderMap) -> Flow {
        let lane = self.desk.lane(direction);
        lane.trailers = Some(trailers);
        lane.has_ended = true;
        let step = self.go_on(x, direction);
        self.flow(direction, step)
    }

    fn listens(&self) -> bool {
        self.desk.request.paused.is_some() || self.desk.response.paused.is_some()
    }

    fn poll_event(&mut self, x: &mut Exchange, cx: &mut Context<'_>) -> Poll<FilterEvent> {
        for direction in BOTH {
            if let Some(event) = self.event(x, direction, cx) {
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }

    fn take_body(&mut self, direction: Direction) -> Bytes {
        self.desk.lane(direction).take_outgoing()
    }

    fn take_trailers(&mut self, direction: Direction) -> Option<HeaderMap> {
        self.desk.lane(direction).take_trailers()
    }

    fn finish(mut self: Box<Self>, x: &mut Exchange) {
        self.end(Some(x));
    }
}

impl Drop for ComponentRun {
    fn drop(&mut self) {
        self.end(None);
    }
}
