//! Answers calls from a script.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tidegate_plugin::filter::{
    Outbound, OutboundCall, OutboundError, OutboundEvent, OutboundResponse, OutboundSender, OutboundStream,
};

/// How a call ends; `None`: it never does.
pub type Script = Option<Result<OutboundResponse, OutboundError>>;

/// What a stream brings before it stays open.
pub type StreamScript = Vec<Result<OutboundEvent, OutboundError>>;

/// Calls are answered in the order of their dispatch; without a script for it, a call fails. The targets `nowhere` and
/// `forbidden` are refused.
#[derive(Default)]
pub struct ScriptedOutbound {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    answers: VecDeque<Script>,
    streams: VecDeque<StreamScript>,
    calls: Vec<OutboundCall>,
    sent: Vec<(Bytes, bool)>,
}

impl ScriptedOutbound {
    /// Adds the answer to the next call.
    pub fn answer(&self, script: Script) {
        self.inner.lock().answers.push_back(script);
    }

    /// Adds what the next stream brings.
    pub fn stream(&self, script: StreamScript) {
        self.inner.lock().streams.push_back(script);
    }

    /// Calls and streams so far.
    #[must_use]
    pub fn calls(&self) -> Vec<OutboundCall> {
        self.inner.lock().calls.clone()
    }

    /// Messages sent on streams so far, with whether they ended theirs.
    #[must_use]
    pub fn sent(&self) -> Vec<(Bytes, bool)> {
        self.inner.lock().sent.clone()
    }
}

impl Outbound for ScriptedOutbound {
    fn check(&self, target: &str) -> Result<(), OutboundError> {
        match target {
            "nowhere" => Err(OutboundError::UnknownTarget),
            "forbidden" => Err(OutboundError::Forbidden),
            _ => Ok(()),
        }
    }

    fn dispatch(
        &self,
        call: OutboundCall,
    ) -> LocalBoxFuture<'static, Result<OutboundResponse, OutboundError>> {
        let mut inner = self.inner.lock();
        inner.calls.push(call);
        let script = inner
            .answers
            .pop_front()
            .unwrap_or(Some(Err(OutboundError::Connect)));
        Box::pin(async move {
            match script {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }

    fn open(&self, call: OutboundCall) -> OutboundStream {
        let mut inner = self.inner.lock();
        inner.calls.push(call);
        let script = inner.streams.pop_front().unwrap_or_default();
        OutboundStream {
            sender: Box::new(Sender(Arc::clone(&self.inner))),
            events: futures_util::stream::iter(script)
                .chain(futures_util::stream::pending())
                .boxed_local(),
        }
    }
}

struct Sender(Arc<Mutex<Inner>>);

impl OutboundSender for Sender {
    fn send(&mut self, data: Bytes, end: bool) -> Result<(), OutboundError> {
        self.0.lock().sent.push((data, end));
        Ok(())
    }
}
