//! The end of the filter's part: its log callback.

use super::super::background::to_end;
use super::super::bindings::exports::log_filter::Summary;
use super::super::bindings::types::Field;
use super::super::call::Call;
use super::super::desk::Desk;
use super::super::instance::Input;
use super::super::phases::Phase;
use super::ComponentRun;
use crate::abi::maps;
use http::HeaderMap;
use std::mem;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tidegate_plugin::Exchange;

impl ComponentRun {
    /// Once. Without an exchange the run was dropped: the guest is not told.
    pub(super) fn end(&mut self, x: Option<&mut Exchange>) {
        if mem::replace(&mut self.is_finished, true) {
            return;
        }
        // A guest that still waits for something is of no use any more.
        let was_cut_off = self.is_busy();
        self.calls = [None, None];
        self.generation().host.totals.streams_ended.add(1);
        if self.is_out {
            return;
        }
        let logged = match x {
            Some(x) if self.has_seen_request && self.phases.has(Phase::Log) => self.log(x),
            _ => true,
        };
        if logged && !was_cut_off {
            self.generation().circuit.succeed();
        }
    }

    /// `false`: the guest failed.
    fn log(&mut self, x: &mut Exchange) -> bool {
        let lease = match self.kept.take().map_or_else(|| self.pool.lease(), Ok) {
            Ok(lease) => lease,
            Err(error) => {
                // The exchange is over: there is nothing to refuse.
                let _ = self.generation().without_instance(error);
                return false;
            }
        };
        let request_id = x.request_id.to_str().ok().map(str::to_owned);
        let mut call = Call::begin(lease, Phase::Log, Input::Summary(Box::new(summary(x))));
        let mut cx = Context::from_waker(Waker::noop());
        match call.poll(&mut self.desk, Some(x), &self.pool, &mut cx) {
            Poll::Ready((lease, answer)) => {
                drop(lease);
                match answer {
                    Ok(_) => true,
                    Err(failure) => {
                        failure.note(self.generation(), request_id);
                        false
                    }
                }
            }
            Poll::Pending => {
                let desk = mem::replace(&mut self.desk, Desk::new(None));
                let limit = Duration::from_millis(self.generation().options.done_timeout_ms);
                let pool = Rc::clone(&self.pool);
                self.pool
                    .linger(async move { to_end(&pool, call, desk, (limit, request_id)).await });
                true
            }
        }
    }
}

fn summary(x: &Exchange) -> Summary {
    let now = Instant::now();
    let total = micros(now.saturating_duration_since(x.timings.start));
    let upstream = x.timings.upstream_start.map(|start| {
        let end = x.timings.upstream_head.unwrap_or(now);
        micros(end.saturating_duration_since(start))
    });
    let upstream = upstream.unwrap_or(0);
    Summary {
        method: x.request.method.as_str().to_owned(),
        path: maps::path(x).into_owned(),
        status: x.response.status.as_u16(),
        upstream_status: x.upstream_status.map(|status| status.as_u16()),
        request_bytes: x.request_body_bytes,
        response_bytes: x.response_body_bytes,
        gateway_us: total.saturating_sub(upstream),
        upstream_us: upstream,
        total_us: total,
        request_headers: fields(&x.request.headers),
        response_headers: fields(&x.response.headers),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn fields(headers: &HeaderMap) -> Vec<Field> {
    let fields = headers.iter().map(|(name, value)| Field {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    });
    fields.collect()
}
