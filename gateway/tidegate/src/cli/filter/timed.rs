//! A filter that notes how long each of its callbacks takes.

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tidegate_plugin::filter::Hints;
use tidegate_plugin::{Direction, Exchange, Filter, FilterEvent, FilterFault, FilterNeeds, FilterRun, Flow};

/// Callbacks in the order in which they came, each with its time.
pub(super) type Times = Arc<Mutex<Vec<(&'static str, Duration)>>>;

pub(super) struct Timed {
    pub(super) filter: Arc<dyn Filter>,
    pub(super) times: Times,
}

struct TimedRun {
    run: Box<dyn FilterRun>,
    times: Times,
}

fn note<T>(times: &Times, name: &'static str, call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let answer = call();
    let took = start.elapsed();
    times.lock().push((name, took));
    answer
}

fn of(direction: Direction, [request, response]: [&'static str; 2]) -> &'static str {
    match direction {
        Direction::Request => request,
        Direction::Response => response,
    }
}

impl Filter for Timed {
    fn needs(&self) -> FilterNeeds {
        self.filter.needs()
    }

    fn start(&self, x: &mut Exchange) -> Result<Option<Box<dyn FilterRun>>, Box<FilterFault>> {
        let run = note(&self.times, "start", || self.filter.start(x))?;
        Ok(run.map(|run| {
            let times = Arc::clone(&self.times);
            Box::new(TimedRun { run, times }) as Box<dyn FilterRun>
        }))
    }
}

impl FilterRun for TimedRun {
    fn head(&mut self, x: &mut Exchange, direction: Direction, end_of_stream: bool) -> Flow {
        let name = of(direction, ["request head", "response head"]);
        note(&self.times, name, || self.run.head(x, direction, end_of_stream))
    }

    fn body(&mut self, x: &mut Exchange, direction: Direction, chunk: Bytes, end_of_stream: bool) -> Flow {
        let name = of(direction, ["request body", "response body"]);
        note(&self.times, name, || {
            self.run.body(x, direction, chunk, end_of_stream)
        })
    }

    fn trailers(&mut self, x: &mut Exchange, direction: Direction, trailers: HeaderMap) -> Flow {
        let name = of(direction, ["request trailers", "response trailers"]);
        note(&self.times, name, || self.run.trailers(x, direction, trailers))
    }

    fn hints(&self) -> Hints {
        self.run.hints()
    }

    fn listens(&self) -> bool {
        self.run.listens()
    }

    /// Only polls that bring something count: the others wait.
    fn poll_event(&mut self, x: &mut Exchange, cx: &mut Context<'_>) -> Poll<FilterEvent> {
        let start = Instant::now();
        let event = self.run.poll_event(x, cx);
        if event.is_ready() {
            self.times.lock().push(("call answered", start.elapsed()));
        }
        event
    }

    fn take_body(&mut self, direction: Direction) -> Bytes {
        self.run.take_body(direction)
    }

    fn take_trailers(&mut self, direction: Direction) -> Option<HeaderMap> {
        self.run.take_trailers(direction)
    }

    fn finish(self: Box<Self>, x: &mut Exchange) {
        let Self { run, times } = *self;
        note(&times, "done, log, delete", || run.finish(x));
    }
}
