//! The end of an exchange: metrics, access log, log phase. Exactly once.

use crate::bodies::ResponseBrokenReason;
use crate::phases::Flow;

impl Flow {
    /// The upstream did not finish its response.
    pub(crate) fn upstream_broke(&mut self, reason: ResponseBrokenReason) {
        tracing::warn!(request_id = ?self.x.request_id, %reason, "response cut short");
    }

    /// Ends the exchange. The client may have left long ago.
    pub(crate) fn end(mut self: Box<Self>) {
        self.x.request_body_bytes = self.progress.received.get();
        self.connection.response_done();
        if self.is_counted_upstream {
            self.worker.metrics.upstream_connections_active.decrement();
        }
        self.worker.observe(&self);
        self.log_phase();
    }
}
