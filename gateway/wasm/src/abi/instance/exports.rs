//! The guest's callbacks, looked up once.

use super::super::state::State;
use crate::abi::linker::ModuleCode;
use crate::generation::Bound;
use crate::module::CALLBACKS;
use tidegate_plugin::Direction;
use wasmtime::{Instance, Store, TypedFunc, WasmParams, WasmResults};

/// A callback; the number is its place in [`CALLBACKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Callback {
    ContextCreate = 0,
    VmStart = 1,
    ValidateConfiguration = 2,
    Configure = 3,
    Tick = 4,
    QueueReady = 5,
    RequestHeaders = 7,
    RequestBody = 8,
    RequestTrailers = 9,
    ResponseHeaders = 11,
    ResponseBody = 12,
    ResponseTrailers = 13,
    HttpCallResponse = 15,
    GrpcInitialMetadata = 16,
    GrpcReceive = 17,
    GrpcTrailingMetadata = 18,
    GrpcClose = 19,
    Done = 20,
    Log = 21,
    Delete = 22,
    /// The module's own start functions; not among the callbacks.
    Start = 1_000,
}

impl Callback {
    /// Its name in the ABI.
    pub(crate) fn name(self) -> &'static str {
        CALLBACKS.get(self as usize).map_or("start", |(name, ..)| name)
    }
}

/// A headers callback: 0.1.0 does not know the end of the stream.
pub(super) enum Headers {
    Two(TypedFunc<(i32, i32), i32>),
    Three(TypedFunc<(i32, i32, i32), i32>),
}

impl Headers {
    /// Where the engine keeps the function.
    pub(super) fn address(&self, store: &mut Store<State>) -> *const u8 {
        let function = match self {
            Self::Two(function) => function.func(),
            Self::Three(function) => function.func(),
        };
        function.to_raw(store).cast_const().cast()
    }

    pub(super) fn call(
        &self,
        store: &mut Store<State>,
        id: i32,
        entries: i32,
        end: bool,
    ) -> wasmtime::Result<i32> {
        match self {
            Self::Two(function) => function.call(store, (id, entries)),
            Self::Three(function) => function.call(store, (id, entries, i32::from(end))),
        }
    }
}

type AnswerFn = TypedFunc<(i32, i32, i32, i32, i32), ()>;
type GrpcFn = TypedFunc<(i32, i32, i32), ()>;

/// What the guest exports and is granted.
pub(super) struct Exports {
    pub(super) context_create: Option<TypedFunc<(i32, i32), ()>>,
    pub(super) vm_start: Option<TypedFunc<(i32, i32), i32>>,
    pub(super) validate_configuration: Option<TypedFunc<(i32, i32), i32>>,
    pub(super) configure: Option<TypedFunc<(i32, i32), i32>>,
    pub(super) tick: Option<TypedFunc<i32, ()>>,
    pub(super) queue_ready: Option<TypedFunc<(i32, i32), ()>>,
    request_headers: Option<Headers>,
    request_body: Option<TypedFunc<(i32, i32, i32), i32>>,
    request_trailers: Option<TypedFunc<(i32, i32), i32>>,
    response_headers: Option<Headers>,
    response_body: Option<TypedFunc<(i32, i32, i32), i32>>,
    response_trailers: Option<TypedFunc<(i32, i32), i32>>,
    pub(super) http_call_response: Option<AnswerFn>,
    grpc: [Option<GrpcFn>; 4],
    pub(super) done: Option<TypedFunc<i32, i32>>,
    pub(super) log: Option<TypedFunc<i32, ()>>,
    pub(super) delete: Option<TypedFunc<i32, ()>>,
}

/// Looks exports up in one instance.
struct Lookup<'l> {
    bound: &'l Bound<ModuleCode>,
    instance: Instance,
    store: &'l mut Store<State>,
}

impl Lookup<'_> {
    fn find<P: WasmParams, R: WasmResults>(&mut self, callback: Callback) -> Option<TypedFunc<P, R>> {
        if !self.bound.generation.options.grants(callback.name()) {
            return None;
        }
        let export = self.bound.code.exports.get(callback as usize)?.as_ref()?;
        let function = self
            .instance
            .get_module_export(&mut *self.store, export)?
            .into_func()?;
        function.typed(&*self.store).ok()
    }

    fn headers(&mut self, callback: Callback) -> Option<Headers> {
        self.find(callback)
            .map(Headers::Three)
            .or_else(|| self.find(callback).map(Headers::Two))
    }
}

impl Exports {
    pub(super) fn find(bound: &Bound<ModuleCode>, instance: Instance, store: &mut Store<State>) -> Self {
        let mut lookup = Lookup {
            bound,
            instance,
            store,
        };
        Self {
            context_create: lookup.find(Callback::ContextCreate),
            vm_start: lookup.find(Callback::VmStart),
            validate_configuration: lookup.find(Callback::ValidateConfiguration),
            configure: lookup.find(Callback::Configure),
            tick: lookup.find(Callback::Tick),
            queue_ready: lookup.find(Callback::QueueReady),
            request_headers: lookup.headers(Callback::RequestHeaders),
            request_body: lookup.find(Callback::RequestBody),
            request_trailers: lookup.find(Callback::RequestTrailers),
            response_headers: lookup.headers(Callback::ResponseHeaders),
            response_body: lookup.find(Callback::ResponseBody),
            response_trailers: lookup.find(Callback::ResponseTrailers),
            http_call_response: lookup.find(Callback::HttpCallResponse),
            grpc: [
                lookup.find(Callback::GrpcInitialMetadata),
                lookup.find(Callback::GrpcReceive),
                lookup.find(Callback::GrpcTrailingMetadata),
                lookup.find(Callback::GrpcClose),
            ],
            done: lookup.find(Callback::Done),
            log: lookup.find(Callback::Log),
            delete: lookup.find(Callback::Delete),
        }
    }

    pub(super) const fn headers(&self, direction: Direction) -> Option<&Headers> {
        match direction {
            Direction::Request => self.request_headers.as_ref(),
            Direction::Response => self.response_headers.as_ref(),
        }
    }

    pub(super) const fn body(&self, direction: Direction) -> Option<&TypedFunc<(i32, i32, i32), i32>> {
        match direction {
            Direction::Request => self.request_body.as_ref(),
            Direction::Response => self.response_body.as_ref(),
        }
    }

    pub(super) const fn trailers(&self, direction: Direction) -> Option<&TypedFunc<(i32, i32), i32>> {
        match direction {
            Direction::Request => self.request_trailers.as_ref(),
            Direction::Response => self.response_trailers.as_ref(),
        }
    }

    pub(super) fn grpc(&self, callback: Callback) -> Option<&GrpcFn> {
        let index = (callback as usize).checked_sub(Callback::GrpcInitialMetadata as usize)?;
        self.grpc.get(index)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_have_the_names_at_their_places() {
        let cases = [
            (Callback::Configure, "proxy_on_configure"),
            (Callback::RequestHeaders, "proxy_on_request_headers"),
            (Callback::ResponseHeaders, "proxy_on_response_headers"),
            (Callback::ResponseTrailers, "proxy_on_response_trailers"),
            (Callback::HttpCallResponse, "proxy_on_http_call_response"),
            (
                Callback::GrpcTrailingMetadata,
                "proxy_on_grpc_receive_trailing_metadata",
            ),
            (Callback::Delete, "proxy_on_delete"),
            (Callback::Start, "start"),
        ];
        for (callback, name) in cases {
            assert_eq!(callback.name(), name);
        }
    }
}
