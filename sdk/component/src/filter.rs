//! What an author implements.

use crate::{Body, BodyDecision, ConfigError, Context, Decision, RequestHead, ResponseHead, Result, Summary};
use serde::de::DeserializeOwned;

/// A filter, made from its configuration once per instance.
pub trait Filter: Sized + 'static {
    /// What the configuration is read into; `()` for filters without one.
    type Config: DeserializeOwned;

    /// Makes the filter. It cannot wait for anything.
    ///
    /// # Errors
    /// What is wrong with the configuration: the gateway refuses the attachment with it.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;
}

/// Phase `request`: the request's head.
pub trait RequestFilter: Filter {
    /// May change the head, answer, and choose how to take part in the body.
    ///
    /// # Errors
    /// Ends as a failure of the filter, as in all phases.
    fn on_request(&self, cx: &Context, head: &RequestHead) -> Result<Decision>;
}

/// Phase `request_body`.
pub trait RequestBodyFilter: Filter {
    /// Runs when a body is there and [`RequestFilter::on_request`] asked for it by `stream` or `hold`.
    ///
    /// # Errors
    /// See [`RequestFilter::on_request`].
    fn on_request_body(&self, cx: &Context, head: &RequestHead, body: &Body) -> Result<BodyDecision>;
}

/// Phase `response`: the response's head, whoever made it.
pub trait ResponseFilter: Filter {
    /// As [`RequestFilter::on_request`].
    ///
    /// # Errors
    /// See there.
    fn on_response(&self, cx: &Context, head: &ResponseHead) -> Result<Decision>;
}

/// Phase `response_body`.
pub trait ResponseBodyFilter: Filter {
    /// As [`RequestBodyFilter::on_request_body`].
    ///
    /// # Errors
    /// See there.
    fn on_response_body(&self, cx: &Context, head: &ResponseHead, body: &Body) -> Result<BodyDecision>;
}

/// Phase `log`: the exchange is over.
pub trait LogFilter: Filter {
    /// Is told how it went.
    ///
    /// # Errors
    /// See [`RequestFilter::on_request`].
    fn on_log(&self, cx: &Context, summary: Summary) -> Result<()>;
}

/// Phase `tick`: work outside of exchanges.
pub trait TickFilter: Filter {
    /// Runs at the attachment's `tick_interval_ms`.
    ///
    /// # Errors
    /// See [`RequestFilter::on_request`].
    fn on_tick(&self) -> Result<()>;
}

/// Makes a type the filter of this component, in the phases that are named: `request`, `request_body`, `response`,
/// `response_body`, `log`, `tick`. Stands once in a crate of type `cdylib`.
///
/// ```no_run
/// # use tidegate_sdk_component::{ConfigError, Context, Filter, LogFilter, Result, Summary, filter};
/// struct Nothing;
///
/// impl Filter for Nothing {
///     type Config = ();
///     fn configure((): ()) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
/// }
///
/// impl LogFilter for Nothing {
///     fn on_log(&self, _: &Context, _: Summary) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// filter!(Nothing: log);
/// ```
#[macro_export]
macro_rules! filter {
    ($filter:ty : $($phase:ident),+ $(,)?) => {
        struct TidegateComponent;

        ::std::thread_local! {
            static TIDEGATE_FILTER: ::std::cell::OnceCell<$filter> = const { ::std::cell::OnceCell::new() };
        }

        impl TidegateComponent {
            fn with<R>(act: impl FnOnce(&$filter) -> $crate::Result<R>) -> R {
                TIDEGATE_FILTER.with(|filter| $crate::guest::answered(filter.get().map(act)))
            }
        }

        impl $crate::bindings::lifecycle::exports::tidegate::filter::lifecycle::Guest for TidegateComponent {
            fn configure(config: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                let filter = $crate::guest::configured::<$filter>(&config)?;
                TIDEGATE_FILTER.with(|known| known.set(filter)).map_err(|_| "it is configured already".into())
            }
        }

        $crate::bindings::lifecycle::export!(
            TidegateComponent with_types_in $crate::bindings::lifecycle
        );

        $($crate::__phase!($filter, $phase);)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __phase {
    ($filter:ty, request) => {
        impl $crate::bindings::request::exports::tidegate::filter::request_filter::Guest for TidegateComponent {
            fn on_request(cx: &$crate::Context, head: &$crate::RequestHead) -> $crate::Decision {
                Self::with(|filter| <$filter as $crate::RequestFilter>::on_request(filter, cx, head))
            }
        }
        $crate::bindings::request::export!(TidegateComponent with_types_in $crate::bindings::request);
    };
    ($filter:ty, request_body) => {
        impl $crate::bindings::request_body::exports::tidegate::filter::request_body_filter::Guest
            for TidegateComponent
        {
            fn on_request_body(
                cx: &$crate::Context,
                head: &$crate::RequestHead,
                body: &$crate::Body,
            ) -> $crate::BodyDecision {
                Self::with(|filter| {
                    <$filter as $crate::RequestBodyFilter>::on_request_body(filter, cx, head, body)
                })
            }
        }
        $crate::bindings::request_body::export!(
            TidegateComponent with_types_in $crate::bindings::request_body
        );
    };
    ($filter:ty, response) => {
        impl $crate::bindings::response::exports::tidegate::filter::response_filter::Guest
            for TidegateComponent
        {
            fn on_response(cx: &$crate::Context, head: &$crate::ResponseHead) -> $crate::Decision {
                Self::with(|filter| <$filter as $crate::ResponseFilter>::on_response(filter, cx, head))
            }
        }
        $crate::bindings::response::export!(TidegateComponent with_types_in $crate::bindings::response);
    };
    ($filter:ty, response_body) => {
        impl $crate::bindings::response_body::exports::tidegate::filter::response_body_filter::Guest
            for TidegateComponent
        {
            fn on_response_body(
                cx: &$crate::Context,
                head: &$crate::ResponseHead,
                body: &$crate::Body,
            ) -> $crate::BodyDecision {
                Self::with(|filter| {
                    <$filter as $crate::ResponseBodyFilter>::on_response_body(filter, cx, head, body)
                })
            }
        }
        $crate::bindings::response_body::export!(
            TidegateComponent with_types_in $crate::bindings::response_body
        );
    };
    ($filter:ty, log) => {
        impl $crate::bindings::log::exports::tidegate::filter::log_filter::Guest for TidegateComponent {
            fn on_log(cx: &$crate::Context, summary: $crate::Summary) {
                Self::with(|filter| <$filter as $crate::LogFilter>::on_log(filter, cx, summary))
            }
        }
        $crate::bindings::log::export!(TidegateComponent with_types_in $crate::bindings::log);
    };
    ($filter:ty, tick) => {
        impl $crate::bindings::tick::exports::tidegate::filter::background::Guest for TidegateComponent {
            fn on_tick() {
                Self::with(|filter| <$filter as $crate::TickFilter>::on_tick(filter))
            }
        }
        $crate::bindings::tick::export!(TidegateComponent with_types_in $crate::bindings::tick);
    };
}

/// What [`filter!`] expands to.
pub mod guest {
    use super::Filter;
    use crate::{Level, Result, logging, parse};

    /// Makes a filter from its configuration.
    ///
    /// # Errors
    /// The reason for which it is not taken.
    pub fn configured<F: Filter>(config: &str) -> Result<F, String> {
        let config = parse::<F::Config>(config).map_err(|error| error.to_string())?;
        F::configure(config).map_err(|error| error.to_string())
    }

    /// A callback's answer. An error is logged and ends the instance: the gateway applies the failure policy.
    #[must_use]
    pub fn answered<R>(answer: Option<Result<R>>) -> R {
        match answer {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => fail(&error.to_string()),
            None => fail("it was not configured"),
        }
    }

    #[allow(clippy::panic, reason = "this is how a component says that it failed")]
    fn fail(reason: &str) -> ! {
        logging::emit(Level::Error, reason, &[]);
        panic!("{reason}")
    }
}
