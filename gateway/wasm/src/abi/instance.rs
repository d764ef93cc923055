//! One guest: its store, its exports, and the calls into it.

mod boot;
mod exports;
mod vm;

pub(crate) use exports::Callback;
pub(crate) use vm::ModuleVm;

use super::state::{Delivery, Ending, Head, Moment, State, Stream};
use crate::deadline::Meter;
use crate::engine::Pulse;
use crate::failure::Failure;
use crate::generation::Generation;
use crate::scope;
use exports::Exports;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tidegate_plugin::filter::Hints;
use tidegate_plugin::{Direction, Exchange};
use wasmtime::Store;

/// A started and configured guest. Belongs to one thread.
pub(crate) struct Instance {
    store: Store<State>,
    exports: Exports,
    pulse: Rc<Pulse>,
    pub(crate) generation: Arc<Generation>,
    /// It failed: nothing may run in it any more.
    pub(crate) is_poisoned: bool,
    pub(crate) born: Instant,
    /// Exchanges that it took part in.
    pub(crate) uses: u32,
    /// Addresses of the store's data, of what the engine keeps of the instance, and in its memory.
    touched: [*const u8; 3],
}

/// What a callback touches of the store's data, and of what the engine keeps of an instance.
const STATE_BYTES: usize = 640;
const CODE_BYTES: usize = 256;

type Called<T> = Result<T, Failure>;

impl Instance {
    pub(crate) fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// Adds what the next callback will touch.
    pub(crate) fn hints(&self, hints: Hints) -> Hints {
        let [state, code, memory] = self.touched;
        let hints = hints.with(state, STATE_BYTES).with(code, CODE_BYTES);
        match self.uses {
            0 => hints,
            _ => hints.with(memory.wrapping_add(self.store.data().last_key as usize), 1),
        }
    }

    /// Runs `call` in the guest for a context, within the deadline of callbacks.
    fn enter<R>(
        &mut self,
        callback: Callback,
        (context, moment): (u32, Moment),
        x: Option<&mut Exchange>,
        call: impl FnOnce(&mut Store<State>, &Exports) -> wasmtime::Result<R>,
    ) -> Called<R> {
        let deadline = self.generation.options.callback_deadline_ms;
        self.enter_within(callback, (context, moment), x, deadline, call)
    }

    fn enter_within<R>(
        &mut self,
        callback: Callback,
        (context, moment): (u32, Moment),
        x: Option<&mut Exchange>,
        deadline_ms: u64,
        call: impl FnOnce(&mut Store<State>, &Exports) -> wasmtime::Result<R>,
    ) -> Called<R> {
        // The tick that is under way counts for nothing.
        self.store.set_epoch_deadline(deadline_ms.saturating_add(1));
        let state = self.store.data_mut();
        state.meter = Meter::new(deadline_ms);
        state.current = context;
        state.moment = moment;
        state.log_lines = 0;
        let running = self.pulse.enter();
        let (store, exports) = (&mut self.store, &self.exports);
        let called = scope::lend(x, context, || call(store, exports));
        drop(running);
        called.map_err(|error| self.fail(callback, &error))
    }

    fn fail(&mut self, callback: Callback, error: &wasmtime::Error) -> Failure {
        self.is_poisoned = true;
        Failure::of(callback.name(), error, &self.store.data().remains())
    }

    /// Begins a stream. Its id is not that of any other live context.
    pub(crate) fn create_stream(&mut self, x: &mut Exchange) -> Called<u32> {
        self.uses += 1;
        let state = self.store.data_mut();
        let (id, root) = (state.next_context(), state.root);
        state.streams.push(Stream::new(id));
        self.generation.host.totals.streams_created.add(1);
        if self.exports.context_create.is_some() {
            self.enter(
                Callback::ContextCreate,
                (id, Moment::Phase),
                Some(x),
                |store, exports| {
                    call(
                        store,
                        exports.context_create.as_ref(),
                        (id.cast_signed(), root.cast_signed()),
                    )
                    .map(drop)
                },
            )?;
        }
        Ok(id)
    }

    /// A head: `Ok(None)` when the guest has no callback for it.
    pub(crate) fn head(
        &mut self,
        id: u32,
        direction: Direction,
        x: &mut Exchange,
        (entries, end_of_stream): (i32, bool),
    ) -> Called<Option<i32>> {
        if let Some(stream) = self.store.data_mut().stream_mut(id) {
            let lane = stream.lane(direction);
            lane.head = Head::Held;
            lane.is_complete = end_of_stream;
        }
        let callback = match direction {
            Direction::Request => Callback::RequestHeaders,
            Direction::Response => Callback::ResponseHeaders,
        };
        if self.exports.headers(direction).is_none() {
            return Ok(None);
        }
        self.enter(callback, (id, Moment::Phase), Some(x), |store, exports| {
            exports
                .headers(direction)
                .map(|function| function.call(store, id.cast_signed(), entries, end_of_stream))
                .transpose()
        })
    }

    /// Whether the guest has a callback for the body.
    pub(crate) const fn sees_body(&self, direction: Direction) -> bool {
        self.exports.body(direction).is_some()
    }

    /// The bytes that the lane holds.
    pub(crate) fn body(&mut self, id: u32, direction: Direction, x: &mut Exchange) -> Called<Option<i32>> {
        let (mut length, mut end) = (0, 0);
        if let Some(stream) = self.store.data_mut().stream_mut(id) {
            let lane = stream.lane(direction);
            lane.is_body_open = true;
            length = i32::try_from(lane.body.len()).unwrap_or(i32::MAX);
            end = i32::from(lane.is_complete);
        }
        let callback = match direction {
            Direction::Request => Callback::RequestBody,
            Direction::Response => Callback::ResponseBody,
        };
        if self.exports.body(direction).is_none() {
            return Ok(None);
        }
        self.enter(callback, (id, Moment::Phase), Some(x), |store, exports| {
            call(store, exports.body(direction), (id.cast_signed(), length, end))
        })
    }

    pub(crate) fn trailers(
        &mut self,
        id: u32,
        direction: Direction,
        x: &mut Exchange,
    ) -> Called<Option<i32>> {
        let mut entries = 0;
        if let Some(stream) = self.store.data_mut().stream_mut(id) {
            let lane = stream.lane(direction);
            lane.is_trailers_open = true;
            lane.is_complete = true;
            entries = super::calls::callouts::count(lane.trailers.as_deref());
        }
        let callback = match direction {
            Direction::Request => Callback::RequestTrailers,
            Direction::Response => Callback::ResponseTrailers,
        };
        if self.exports.trailers(direction).is_none() {
            return Ok(None);
        }
        self.enter(callback, (id, Moment::Phase), Some(x), |store, exports| {
            call(store, exports.trailers(direction), (id.cast_signed(), entries))
        })
    }

    /// Whether the guest is content to end the stream now.
    pub(crate) fn done(&mut self, id: u32, x: Option<&mut Exchange>) -> Called<bool> {
        if self.exports.done.is_none() {
            return Ok(true);
        }
        if let Some(stream) = self.store.data_mut().stream_mut(id) {
            // `proxy_done` may be called before the callback has answered.
            stream.ending = Ending::Deferred;
        }
        let answer = self.enter(Callback::Done, (id, Moment::Done), x, |store, exports| {
            call(store, exports.done.as_ref(), id.cast_signed())
        })?;
        let stream = self.store.data_mut().stream_mut(id);
        Ok(answer != Some(0) || stream.is_some_and(|stream| stream.ending == Ending::Confirmed))
    }

    /// `on_log` and `on_delete`: the stream is gone afterwards, whatever they do.
    pub(crate) fn log_and_delete(&mut self, id: u32, mut x: Option<&mut Exchange>) -> Called<()> {
        let logged = match &self.exports.log {
            Some(_) => self.enter(
                Callback::Log,
                (id, Moment::Log),
                x.as_deref_mut(),
                |store, exports| call(store, exports.log.as_ref(), id.cast_signed()).map(drop),
            ),
            None => Ok(()),
        };
        let deleted = match (&logged, &self.exports.delete) {
            (Ok(()), Some(_)) => self.enter(Callback::Delete, (id, Moment::Delete), x, |store, exports| {
                call(store, exports.delete.as_ref(), id.cast_signed()).map(drop)
            }),
            _ => Ok(()),
        };
        self.forget_stream(id);
        logged.and(deleted)
    }

    /// Drops a stream of a guest that cannot be told.
    pub(crate) fn forget_stream(&mut self, id: u32) {
        let streams = &mut self.store.data_mut().streams;
        let before = streams.len();
        streams.retain(|stream| stream.id != id);
        let ended = (before - streams.len()) as u64;
        self.generation.host.totals.streams_ended.add(ended);
    }

    pub(crate) fn tick(&mut self) -> Called<()> {
        let root = self.store.data().root;
        self.enter(Callback::Tick, (root, Moment::Root), None, |store, exports| {
            call(store, exports.tick.as_ref(), root.cast_signed()).map(drop)
        })
    }

    pub(crate) fn queue_ready(&mut self, queue: u32) -> Called<()> {
        let root = self.store.data().root;
        self.enter(
            Callback::QueueReady,
            (root, Moment::Root),
            None,
            |store, exports| {
                call(
                    store,
                    exports.queue_ready.as_ref(),
                    (root.cast_signed(), queue.cast_signed()),
                )
                .map(drop)
            },
        )
    }

    /// Delivers the answer of a call to the plugin context, on behalf of the stream whose exchange is lent.
    pub(crate) fn deliver(
        &mut self,
        (owner, x): (u32, Option<&mut Exchange>),
        token: u32,
        news: (Callback, Delivery),
    ) -> Called<()> {
        let (callback, delivery) = news;
        let root = self.store.data().root;
        let (root, token) = (root.cast_signed(), token.cast_signed());
        let numbers = delivery.numbers(callback);
        let state = self.store.data_mut();
        state.delivery = Some(delivery);
        // The guest acts as its plugin context until it chooses the stream; only then is the exchange seen.
        let called = scope::lend(x, owner, || {
            self.enter_nested(callback, |store, exports| match callback {
                Callback::HttpCallResponse => {
                    let (headers, body, trailers) = numbers;
                    call(
                        store,
                        exports.http_call_response.as_ref(),
                        (root, token, headers, body, trailers),
                    )
                    .map(drop)
                }
                _ => call(store, exports.grpc(callback), (root, token, numbers.0)).map(drop),
            })
        });
        self.store.data_mut().delivery = None;
        called
    }

    /// As [`Instance::enter`] on the plugin context, while an exchange is lent for another one.
    fn enter_nested<R>(
        &mut self,
        callback: Callback,
        call: impl FnOnce(&mut Store<State>, &Exports) -> wasmtime::Result<R>,
    ) -> Called<R> {
        let deadline = self.generation.options.callback_deadline_ms;
        self.store.set_epoch_deadline(deadline.saturating_add(1));
        let state = self.store.data_mut();
        state.meter = Meter::new(deadline);
        state.current = state.root;
        state.moment = Moment::Root;
        state.log_lines = 0;
        let running = self.pulse.enter();
        let called = call(&mut self.store, &self.exports);
        drop(running);
        called.map_err(|error| self.fail(callback, &error))
    }

    /// Ends the plugin context, as far as the guest can be told.
    pub(crate) fn shut_down(&mut self) {
        if self.is_poisoned {
            return;
        }
        let root = self.store.data().root;
        self.store.data_mut().root_ending = Ending::Deferred;
        let done = self.enter(Callback::Done, (root, Moment::Done), None, |store, exports| {
            call(store, exports.done.as_ref(), root.cast_signed()).map(drop)
        });
        if done.is_ok() {
            let _ = self.enter(
                Callback::Delete,
                (root, Moment::Delete),
                None,
                |store, exports| call(store, exports.delete.as_ref(), root.cast_signed()).map(drop),
            );
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let left = self.store.data().streams.len() as u64;
        let denied = u64::from(self.store.data().limiter.denied);
        let totals = &self.generation.host.totals;
        totals.streams_ended.add(left);
        totals.memory_denied.add(denied);
    }
}

/// Calls an export, if there is one.
fn call<P: wasmtime::WasmParams, R: wasmtime::WasmResults>(
    store: &mut Store<State>,
    function: Option<&wasmtime::TypedFunc<P, R>>,
    parameters: P,
) -> wasmtime::Result<Option<R>> {
    function
        .map(|function| function.call(store, parameters))
        .transpose()
}
