//! Calls of filters, answered by the test.

use crate::Response;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::HeaderMap;
use parking_lot::Mutex;
use std::time::Duration;
use tidegate_plugin::filter::{
    NoOutbound, Outbound, OutboundCall, OutboundError, OutboundResponse, OutboundStream,
};

/// A call that the filter made.
///
/// ```no_run
/// # use tidegate_filter_test::{Harness, Response};
/// # fn f(harness: Harness) {
/// harness.callouts(|call| {
///     assert_eq!((call.target.as_str(), call.method.as_str()), ("auth", "GET"));
///     assert_eq!(call.header("authorization"), Some("Bearer abc"));
///     Ok(Response::new(200))
/// });
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Callout {
    /// Name of an Upstream or Service, or `host:port`.
    pub target: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// How long the filter waits.
    pub timeout: Option<Duration>,
}

impl Callout {
    /// The first header of a name, if it is text.
    ///
    /// ```no_run
    /// # fn f(call: &tidegate_filter_test::Callout) {
    /// assert_eq!(call.header("accept"), None);
    /// # }
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

pub(crate) type Answering = Box<dyn FnMut(&Callout) -> Result<Response, OutboundError> + Send>;

/// Hands calls to the test's closure; without one nobody is there.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) answering: Mutex<Option<Answering>>,
    pub(crate) made: Mutex<Vec<Callout>>,
}

impl Outbound for Calls {
    fn check(&self, _: &str) -> Result<(), OutboundError> {
        match *self.answering.lock() {
            Some(_) => Ok(()),
            None => Err(OutboundError::UnknownTarget),
        }
    }

    fn dispatch(
        &self,
        call: OutboundCall,
    ) -> LocalBoxFuture<'static, Result<OutboundResponse, OutboundError>> {
        let call = Callout {
            target: call.target.to_string(),
            method: call.method.to_string(),
            path: call.path,
            headers: call.headers,
            body: call.body,
            timeout: call.timeout,
        };
        let answer = match &mut *self.answering.lock() {
            Some(answering) => answering(&call),
            None => Err(OutboundError::Connect),
        };
        let timeout = call.timeout;
        self.made.lock().push(call);
        Box::pin(async move {
            match (answer, timeout) {
                // A time-out takes its time, so that the clock says so afterwards.
                (Err(OutboundError::Timeout), Some(timeout)) => {
                    tokio::time::sleep(timeout).await;
                    Err(OutboundError::Timeout)
                }
                (answer, _) => answer.map(Response::into_outbound),
            }
        })
    }

    fn open(&self, call: OutboundCall) -> OutboundStream {
        NoOutbound.open(call)
    }
}
