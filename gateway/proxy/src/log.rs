//! The end of an exchange: metrics, access log, log phase. Exactly once.

use crate::bodies::ResponseBrokenReason;
use crate::phases::Flow;
use http::StatusCode;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use tidegate_plugin::Source;

/// nginx's status of requests whose client did not wait for an answer.
static CLIENT_LEFT: LazyLock<StatusCode> =
    LazyLock::new(|| StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT));

impl Flow {
    /// The upstream did not finish its response.
    pub(crate) fn upstream_broke(&mut self, reason: ResponseBrokenReason) {
        tracing::warn!(request_id = ?self.x.request_id, %reason, "response cut short");
    }
}

/// The end of the exchange, exactly once and however it came about: the response body was sent or given up, or the
/// client left before there was a response.
impl Drop for Flow {
    fn drop(&mut self) {
        if !self.is_answered {
            self.x.response.status = *CLIENT_LEFT;
            self.x.source = Source::Error;
        }
        self.x.request_body_bytes = self.progress.received.get();
        self.connection.response_done();
        if self.is_counted_upstream {
            self.worker.metrics.upstream_connections_active.decrement();
        }
        if let Some(filters) = self.filters.take()
            && !std::thread::panicking()
            && catch_unwind(AssertUnwindSafe(|| filters.finish(&mut self.x))).is_err()
        {
            self.worker.metrics.panics.increment();
        }
        self.worker.observe(self);
        // A second panic while the first unwinds would end the process.
        if !std::thread::panicking() && catch_unwind(AssertUnwindSafe(|| self.log_phase())).is_err() {
            self.worker.metrics.panics.increment();
        }
    }
}
