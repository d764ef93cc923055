//! Calls that filters make, over the connections of the worker that they run on.

mod http1;
mod http2;
mod place;

use crate::worker::Worker;
use futures_util::future::LocalBoxFuture;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;
use tidegate_net::connect::split_port;
use tidegate_plugin::filter::{
    NoOutbound, Outbound, OutboundCall, OutboundError, OutboundResponse, OutboundStream,
};

thread_local! {
    static WORKER: RefCell<Weak<Worker>> = const { RefCell::new(Weak::new()) };
}

/// Makes a worker the one that calls of its thread go through.
pub(crate) fn enter(worker: &Rc<Worker>) {
    WORKER.set(Rc::downgrade(worker));
}

/// Calls over HTTP/1.1, or HTTP/2 where it must be, to Upstreams and Services by name, and to hosts that the operator
/// allows.
#[derive(Debug, Default)]
pub struct WorkerOutbound {
    /// `host`, `host:port` or `*`.
    pub allowed_hosts: Vec<String>,
}

/// For calls that set no limit.
const TIMEOUT: Duration = Duration::from_secs(60);
impl Outbound for WorkerOutbound {
    fn check(&self, target: &str) -> Result<(), OutboundError> {
        let Some(worker) = WORKER.with_borrow(Weak::upgrade) else {
            return Ok(());
        };
        let live = worker.live();
        let is_known = live.snapshot.upstream_by_name(target).is_some()
            || live.snapshot.service_by_name(target).is_some();
        if is_known || self.allows(target) {
            return Ok(());
        }
        Err(if target.contains(['.', ':']) {
            OutboundError::Forbidden
        } else {
            OutboundError::UnknownTarget
        })
    }

    fn dispatch(
        &self,
        call: OutboundCall,
    ) -> LocalBoxFuture<'static, Result<OutboundResponse, OutboundError>> {
        let checked = self.check(&call.target);
        Box::pin(async move {
            checked?;
            let worker = WORKER.with_borrow(Weak::upgrade).ok_or(OutboundError::Connect)?;
            let limit = call.timeout.unwrap_or(TIMEOUT);
            let answer = async {
                if call.http2 {
                    http2::call(&worker, call).await
                } else {
                    http1::call(&worker, call).await
                }
            };
            tokio::time::timeout(limit, answer)
                .await
                .unwrap_or(Err(OutboundError::Timeout))
        })
    }

    fn open(&self, call: OutboundCall) -> OutboundStream {
        let worker = WORKER.with_borrow(Weak::upgrade);
        match (self.check(&call.target), worker) {
            (Ok(()), Some(worker)) => http2::open(worker, call),
            _ => NoOutbound.open(call),
        }
    }
}

impl WorkerOutbound {
    fn allows(&self, target: &str) -> bool {
        let host = split_port(target).0;
        self.allowed_hosts.iter().any(|allowed| {
            allowed == "*" || allowed.eq_ignore_ascii_case(target) || allowed.eq_ignore_ascii_case(host)
        })
    }
}

/// Fields of a call that the connection does not set itself.
fn headers_to_send(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    headers
        .iter()
        .filter(|(name, _)| ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(name))
}
