//! Carries callbacks of the ABI to an author's types.

use crate::message::{Body, Head, Headers};
use crate::{Answer, CallId, Error, Exchange, Filter, Flow, Result};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use std::rc::Rc;
use std::time::SystemTime;

/// Makes `F` the filter of this module; [`crate::filter!`] calls it when the module is started.
///
/// ```no_run
/// # use std::rc::Rc;
/// # use tidegate_sdk::{ConfigError, Exchange, Filter};
/// # struct Mine;
/// # impl Filter for Mine {
/// #     type Config = ();
/// #     type Exchange = Self;
/// #     fn configure((): ()) -> Result<Self, ConfigError> { Ok(Self) }
/// #     fn exchange(self: Rc<Self>) -> Self { Self }
/// # }
/// # impl Exchange for Mine {}
/// tidegate_sdk::register::<Mine>();
/// ```
pub fn register<F: Filter>() {
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::<F> { filter: None }));
}

/// The time of day, from the gateway's clock; under test, from the test's.
///
/// ```no_run
/// let seconds = tidegate_sdk::now()?.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// # Errors
/// When the gateway has no clock.
pub fn now() -> Result<SystemTime> {
    hostcalls::get_current_time().map_err(Error::host("now"))
}

struct Root<F> {
    filter: Option<Rc<F>>,
}

impl<F: Filter> Context for Root<F> {
    fn on_http_call_response(&mut self, token: u32, _: usize, body: usize, _: usize) {
        if let Some(filter) = &self.filter {
            let answered = Answer::take(CallId(token), body).and_then(|answer| filter.call_answered(&answer));
            settle("call_answered", answered);
        }
    }
}

impl<F: Filter> RootContext for Root<F> {
    fn on_configure(&mut self, _: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        let filter = match crate::parse(&bytes).and_then(F::configure) {
            Ok(filter) => filter,
            Err(fault) => {
                log::error!("{fault}");
                return false;
            }
        };
        if let Some(period) = filter.tick_period() {
            self.set_tick_period(period);
        }
        self.filter = Some(Rc::new(filter));
        true
    }

    fn on_tick(&mut self) {
        if let Some(filter) = &self.filter {
            settle("tick", filter.tick());
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let exchange = Rc::clone(self.filter.as_ref()?).exchange();
        Some(Box::new(Stream {
            exchange,
            paused: None,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

struct Stream<E> {
    exchange: E,
    paused: Option<Direction>,
}

/// A failure of the filter: the trap makes the gateway apply the failure policy and replace the instance.
fn settle<T>(callback: &str, result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => {
            log::error!("{callback}: {error}");
            std::process::abort()
        }
    }
}

impl<E: Exchange> Stream<E> {
    fn apply(&mut self, direction: Direction, callback: &str, flow: Result<Flow>) -> Action {
        match settle(callback, flow) {
            Flow::Continue => {
                self.paused = None;
                Action::Continue
            }
            Flow::Pause => {
                self.paused = Some(direction);
                Action::Pause
            }
            Flow::Reply(reply) => {
                settle(callback, reply.send());
                Action::Pause
            }
        }
    }
}

impl<E: Exchange> Context for Stream<E> {
    fn on_http_call_response(&mut self, token: u32, _: usize, body: usize, _: usize) {
        let flow = Answer::take(CallId(token), body).and_then(|answer| self.exchange.call_answered(&answer));
        match settle("call_answered", flow) {
            Flow::Continue => match self.paused.take() {
                Some(Direction::Request) => self.resume_http_request(),
                Some(Direction::Response) => self.resume_http_response(),
                None => {}
            },
            Flow::Pause => {}
            Flow::Reply(reply) => settle("call_answered", reply.send()),
        }
    }
}

impl<E: Exchange> HttpContext for Stream<E> {
    fn on_http_request_headers(&mut self, _: usize, ends_here: bool) -> Action {
        let flow = self
            .exchange
            .request_head(&Head::new(Headers::REQUEST, ends_here));
        self.apply(Direction::Request, "request_head", flow)
    }

    fn on_http_request_body(&mut self, length: usize, is_complete: bool) -> Action {
        let flow = self.exchange.request_body(&Body::request(length, is_complete));
        self.apply(Direction::Request, "request_body", flow)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let flow = self.exchange.request_trailers(&Headers::REQUEST_TRAILERS);
        self.apply(Direction::Request, "request_trailers", flow)
    }

    fn on_http_response_headers(&mut self, _: usize, ends_here: bool) -> Action {
        let flow = self
            .exchange
            .response_head(&Head::new(Headers::RESPONSE, ends_here));
        self.apply(Direction::Response, "response_head", flow)
    }

    fn on_http_response_body(&mut self, length: usize, is_complete: bool) -> Action {
        let flow = self.exchange.response_body(&Body::response(length, is_complete));
        self.apply(Direction::Response, "response_body", flow)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        let flow = self.exchange.response_trailers(&Headers::RESPONSE_TRAILERS);
        self.apply(Direction::Response, "response_trailers", flow)
    }

    fn on_log(&mut self) {
        self.exchange.end();
    }
}
