//! A filter's part in one exchange: turns the runner's calls into callbacks, and their answers into what goes on.

mod calls;
mod ending;
mod events;

use crate::abi::instance::{Instance, ModuleVm};
use crate::abi::state::{Head, Lane};
use crate::failure::Failure;
use crate::options::{HeadersPause, Isolation};
use crate::pool::{Lease, Vm, WorkerPool};
use bytes::Bytes;
pub(crate) use calls::{Calls, deliver};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};
use smallvec::SmallVec;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tidegate_plugin::filter::Hints;
use tidegate_plugin::{Direction, Exchange, FilterEvent, FilterFault, FilterRun, Flow, Hold};
use tokio::time::Sleep;

/// One exchange on one instance.
pub(crate) struct Run {
    lease: Option<Lease<ModuleVm>>,
    pool: Rc<WorkerPool<ModuleVm>>,
    stream: u32,
    calls: Calls,
    /// Ends a pause that takes too long.
    timer: Option<Pin<Box<Sleep>>>,
    /// What passes by once the filter is out of the game.
    passing: Option<Box<[Passing; 2]>>,
    /// Whether the instance was given some of a body, or trailers, in each direction.
    is_given: [bool; 2],
    /// With other exchanges on the same instance anything may happen at any time.
    is_shared: bool,
    /// Directions that were paused when the filter left, and go on.
    freed: SmallVec<[Direction; 2]>,
    listens: bool,
    is_finished: bool,
}

#[derive(Default)]
struct Passing {
    body: Bytes,
    trailers: Option<HeaderMap>,
}

/// Which part of a message a callback was for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Body,
    Trailers,
}

const BOTH: [Direction; 2] = [Direction::Request, Direction::Response];

impl Run {
    pub(crate) fn start(lease: Lease<ModuleVm>, x: &mut Exchange) -> Result<Self, Option<Box<FilterFault>>> {
        let is_shared = lease.pool().generation().options.isolation == Isolation::Shared;
        let mut run = Self {
            pool: Rc::clone(lease.pool()),
            lease: Some(lease),
            stream: 0,
            calls: Calls::default(),
            timer: None,
            passing: None,
            is_given: [false; 2],
            is_shared,
            freed: SmallVec::new(),
            listens: is_shared,
            is_finished: false,
        };
        match run.with(|vm| vm.create_stream(x)) {
            Some(Ok(stream)) => run.stream = stream,
            Some(Err(failure)) => return Err(run.fail(failure, x)),
            None => {}
        }
        Ok(run)
    }

    /// Acts on the instance; `None` when the run has none any more.
    fn with<R>(&mut self, act: impl FnOnce(&mut Instance) -> R) -> Option<R> {
        let lease = self.lease.as_ref()?;
        Some(act(&mut lease.vm().borrow_mut()))
    }

    /// Notices that another stream's failure took a shared instance away.
    fn check(&mut self) -> Option<Flow> {
        if !self.is_shared {
            return None;
        }
        let is_lost = self.with(|vm| vm.is_poisoned)?;
        if !is_lost {
            return None;
        }
        self.give_up();
        Some(self.verdict(StatusCode::INTERNAL_SERVER_ERROR, "its shared instance failed"))
    }

    /// Runs a callback and obeys its answer.
    fn drive(
        &mut self,
        x: &mut Exchange,
        (direction, part): (Direction, Part),
        call: impl FnOnce(&mut Instance, u32, &mut Exchange) -> Result<Option<i32>, Failure>,
    ) -> Flow {
        let stream = self.stream;
        let called = self.with(|vm| {
            let called = call(vm, stream, x);
            (called, std::mem::take(&mut vm.state().asks))
        });
        let Some((called, asks)) = called else {
            return Flow::Continue;
        };
        let answer = match called {
            Ok(answer) => answer.unwrap_or(0),
            Err(failure) => return self.failed(failure, x),
        };
        if answer == 0 && !asks && !self.is_shared {
            return self.release(x, direction);
        }
        self.listens = true;
        self.calls.absorb(self.lease.as_ref(), stream);
        self.decide(x, direction, part, answer)
    }

    /// Local response before close before going on; then what the callback answered.
    fn decide(&mut self, x: &mut Exchange, direction: Direction, part: Part, action: i32) -> Flow {
        if let Some(flow) = self.ending(direction) {
            return flow;
        }
        let id = self.stream;
        let pauses_all = self.pool.generation().options.headers_pause == HeadersPause::StopAll;
        let paused = self.with(|vm| {
            let stream = vm.state().stream_mut(id)?;
            let lane = stream.lane(direction);
            if std::mem::take(&mut lane.wants_resume) {
                return None;
            }
            let hold = hold(part, action, pauses_all)?;
            if part == Part::Body && action == 3 {
                lane.body = Bytes::new();
            }
            lane.is_paused = true;
            Some(if lane.is_complete && part != Part::Head {
                Hold::All
            } else {
                hold
            })
        });
        if let Some(hold) = paused.flatten() {
            return Flow::Pause(hold);
        }
        let ends = part == Part::Head && action == 2;
        match self.release(x, direction) {
            Flow::Continue if ends => Flow::ContinueAndEnd,
            flow => flow,
        }
    }

    /// An answer of the filter's own, or a reset.
    fn ending(&mut self, direction: Direction) -> Option<Flow> {
        let id = self.stream;
        self.with(|vm| {
            let stream = vm.state().stream_mut(id)?;
            if let Some(reply) = stream.reply.take() {
                for lane in [&mut stream.request, &mut stream.response] {
                    lane.is_paused = false;
                    lane.body = Bytes::new();
                    lane.trailers = None;
                }
                stream.request.release();
                if direction == Direction::Response {
                    stream.response.release();
                }
                return Some(Flow::Reply(reply));
            }
            std::mem::take(&mut stream.wants_close).then_some(Flow::Close)
        })?
    }

    /// Lets a direction go on, and sees to its length.
    fn release(&mut self, x: &mut Exchange, direction: Direction) -> Flow {
        self.timer = None;
        let id = self.stream;
        let fits = self.with(|vm| {
            let sees_body = vm.sees_body(direction);
            let Some(stream) = vm.state().stream_mut(id) else {
                return true;
            };
            let lane = stream.lane(direction);
            let fits = !sees_body || settle_length(lane, x, direction);
            lane.release();
            fits
        });
        if fits == Some(false) {
            tracing::error!(
                filter = &*self.pool.generation().name,
                "wasm_length_mismatch: a filter changed a body whose length was announced; the stream is reset"
            );
            return Flow::Close;
        }
        Flow::Continue
    }

    fn failed(&mut self, failure: Failure, x: &mut Exchange) -> Flow {
        match self.fail(failure, x) {
            Some(fault) => Flow::Fail(fault),
            None => Flow::Continue,
        }
    }

    /// Writes the failure down and leaves the instance. `None`: the exchange goes on without the filter.
    fn fail(&mut self, failure: Failure, x: &Exchange) -> Option<Box<FilterFault>> {
        let request_id = x.request_id.to_str().ok().map(str::to_owned);
        let message = failure.summary();
        failure.note(self.pool.generation(), request_id);
        self.give_up();
        self.pool
            .generation()
            .refusal(StatusCode::INTERNAL_SERVER_ERROR, None, &message)
    }

    fn verdict(&self, status: StatusCode, message: &str) -> Flow {
        match self.pool.generation().refusal(status, None, message) {
            Some(fault) => Flow::Fail(fault),
            None => Flow::Continue,
        }
    }

    /// Leaves the instance; what it held passes by.
    fn give_up(&mut self) {
        let id = self.stream;
        let held = self.with(|vm| {
            let state = vm.state();
            state.cancel_calls(id);
            let held = state.stream_mut(id).map(|stream| {
                [&mut stream.request, &mut stream.response].map(|lane| {
                    let passing = Passing {
                        body: std::mem::take(&mut lane.body),
                        trailers: lane.trailers.take().map(|trailers| *trailers),
                    };
                    (passing, lane.is_paused)
                })
            });
            vm.forget_stream(id);
            held
        });
        if let Some(held) = held.flatten() {
            for ((_, is_paused), direction) in held.iter().zip(BOTH) {
                if *is_paused {
                    self.freed.push(direction);
                }
            }
            self.listens = !self.freed.is_empty();
            self.passing = Some(Box::new(held.map(|(passing, _)| passing)));
        }
        self.timer = None;
        self.calls = Calls::default();
        self.lease = None;
    }

    fn pass(&mut self, direction: Direction) -> &mut Passing {
        let [request, response] = &mut **self.passing.get_or_insert_default();
        match direction {
            Direction::Request => request,
            Direction::Response => response,
        }
    }

    /// Whether there may be something of a body, or trailers, to take.
    fn is_given(&mut self, direction: Direction) -> &mut bool {
        let [request, response] = &mut self.is_given;
        match direction {
            Direction::Request => request,
            Direction::Response => response,
        }
    }

    /// More was held back than may be.
    fn overflow(&mut self, direction: Direction) -> Flow {
        self.give_up();
        let status = match direction {
            Direction::Request => StatusCode::PAYLOAD_TOO_LARGE,
            Direction::Response => StatusCode::BAD_GATEWAY,
        };
        self.verdict(status, "it holds back more of a body than it may")
    }
}

/// How a callback's answer pauses, if it does. The numbers of heads and bodies differ.
fn hold(part: Part, action: i32, pauses_all: bool) -> Option<Hold> {
    match (part, action) {
        (_, 0) | (Part::Head, 2) => None,
        (Part::Head, 1) if pauses_all => Some(Hold::All),
        (Part::Head, 1 | 3) | (Part::Body, 1 | 3) => Some(Hold::Body),
        _ => Some(Hold::All),
    }
}

fn append(held: &mut Bytes, chunk: Bytes) {
    let mut lane = Lane {
        body: std::mem::take(held),
        ..Lane::default()
    };
    lane.append(chunk);
    *held = lane.body;
}

/// Keeps `Content-Length` true. `false`: the head is gone and what it announced does not hold.
fn settle_length(lane: &mut Lane, x: &mut Exchange, direction: Direction) -> bool {
    let headers = match direction {
        Direction::Request => &mut x.request.headers,
        Direction::Response => &mut x.response.headers,
    };
    let length = lane.body.len() as u64;
    if lane.head == Head::Held {
        if lane.is_body_changed && lane.is_complete {
            headers.remove(TRANSFER_ENCODING);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        } else if lane.is_body_changed {
            headers.remove(CONTENT_LENGTH);
        }
        let announced = headers.get(CONTENT_LENGTH);
        lane.announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
    }
    lane.passed += length;
    let Some(announced) = lane.announced.filter(|_| lane.is_body_changed) else {
        return true;
    };
    lane.passed <= announced && (!lane.is_complete || lane.passed == announced)
}

impl FilterRun for Run {
    fn head(&mut self, x: &mut Exchange, direction: Direction, end_of_stream: bool) -> Flow {
        if let Some(flow) = self.check() {
            return flow;
        }
        let entries = match direction {
            // Four pseudo-headers; the authority stands for the host.
            Direction::Request => {
                x.request.headers.len() + 4 - usize::from(x.request.headers.contains_key(HOST))
            }
            Direction::Response => x.response.headers.len() + 1,
        };
        let entries = i32::try_from(entries).unwrap_or(i32::MAX);
        self.drive(x, (direction, Part::Head), |vm, id, x| {
            vm.head(id, direction, x, (entries, end_of_stream))
        })
    }

    fn body(&mut self, x: &mut Exchange, direction: Direction, chunk: Bytes, end_of_stream: bool) -> Flow {
        *self.is_given(direction) = true;
        if let Some(flow) = self.check() {
            append(&mut self.pass(direction).body, chunk);
            return flow;
        }
        let (id, max) = (self.stream, self.pool.generation().options.max_body_bytes);
        let mut chunk = Some(chunk);
        let is_held = self.with(|vm| {
            let lane = vm.state().stream_mut(id)?.lane(direction);
            let was_holding = !lane.body.is_empty();
            lane.append(chunk.take()?);
            lane.is_complete = end_of_stream;
            // A single chunk that passes through may be larger: nothing was held back for it.
            Some(!was_holding || lane.body.len() <= max)
        });
        match is_held.flatten() {
            Some(true) => {}
            Some(false) => return self.overflow(direction),
            None => {
                if let Some(chunk) = chunk {
                    append(&mut self.pass(direction).body, chunk);
                }
                return Flow::Continue;
            }
        }
        self.drive(x, (direction, Part::Body), |vm, id, x| vm.body(id, direction, x))
    }

    fn trailers(&mut self, x: &mut Exchange, direction: Direction, trailers: HeaderMap) -> Flow {
        *self.is_given(direction) = true;
        if let Some(flow) = self.check() {
            self.pass(direction).trailers = Some(trailers);
            return flow;
        }
        let id = self.stream;
        let mut trailers = Some(trailers);
        self.with(|vm| {
            if let Some(stream) = vm.state().stream_mut(id) {
                stream.lane(direction).trailers = trailers.take().map(Box::new);
            }
        });
        if let Some(trailers) = trailers {
            self.pass(direction).trailers = Some(trailers);
            return Flow::Continue;
        }
        self.drive(x, (direction, Part::Trailers), |vm, id, x| {
            vm.trailers(id, direction, x)
        })
    }

    fn hints(&self) -> Hints {
        let hints = Hints::default().with(std::ptr::from_ref(self), size_of::<Self>());
        match &self.lease {
            Some(lease) => lease.vm().hints(hints),
            None => hints,
        }
    }

    fn listens(&self) -> bool {
        self.listens
    }

    fn poll_event(&mut self, x: &mut Exchange, cx: &mut Context<'_>) -> Poll<FilterEvent> {
        let event = self.event(x, cx);
        self.listens =
            event.is_ready() || self.is_shared || !self.calls.is_empty() || self.paused().is_some();
        event
    }

    fn take_body(&mut self, direction: Direction) -> Bytes {
        if !*self.is_given(direction) {
            return Bytes::new();
        }
        let id = self.stream;
        let held = self.with(|vm| {
            let stream = vm.state().stream_mut(id)?;
            Some(std::mem::take(&mut stream.lane(direction).body))
        });
        held.flatten()
            .unwrap_or_else(|| std::mem::take(&mut self.pass(direction).body))
    }

    fn take_trailers(&mut self, direction: Direction) -> Option<HeaderMap> {
        if !*self.is_given(direction) {
            return None;
        }
        let id = self.stream;
        let held = self.with(|vm| {
            vm.state()
                .stream_mut(id)
                .map(|stream| stream.lane(direction).trailers.take().map(|trailers| *trailers))
        });
        held.flatten()
            .unwrap_or_else(|| self.pass(direction).trailers.take())
    }

    fn finish(mut self: Box<Self>, x: &mut Exchange) {
        self.end(Some(x));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end(None);
    }
}
