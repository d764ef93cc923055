//! Runs the plugins of a request, phase by phase.

use crate::balance::Balancing;
use crate::bodies::{BodyFault, UpstreamStream};
use crate::bodies::{BodySource, Progress, Sending};
use crate::filters::Filters;
use crate::hop_by_hop::ClientWants;
use crate::serve::Connection;
use crate::worker::{Live, Worker};
use bytes::Bytes;
use smallvec::SmallVec;
use std::rc::Rc;
use tidegate_plan::snapshot::wants_request_body;
use tidegate_plan::{ChainIndex, Instance, InstanceIndex, Snapshot};
use tidegate_plugin::body::RequestBody;
use tidegate_plugin::{
    AccessCx, BodyCx, Exchange, HeaderCx, LogCx, Phase, Reply, ResponseCx, RewriteCx, Source, Step, Verdict,
};

/// A request with everything that belongs to it on the proxy's side.
pub(crate) struct Flow {
    pub(crate) x: Exchange,
    pub(crate) worker: Rc<Worker>,
    pub(crate) live: Rc<Live>,
    pub(crate) connection: Rc<Connection>,
    pub(crate) wants: ClientWants,
    pub(crate) progress: Rc<Progress>,
    pub(crate) sending: Sending,
    /// Filters at work on this exchange, from the end of the access phase on.
    pub(crate) filters: Option<Box<Filters>>,
    /// The choice of a target, when the service has an upstream.
    pub(crate) balancing: Option<Box<Balancing>>,
    /// Instances that were chosen for this request, in order.
    pub(crate) selected: SmallVec<[InstanceIndex; 8]>,
    /// Whether the upstream was asked, or would have been: latency headers differ.
    pub(crate) is_proxied: bool,
    /// Whether a response head was handed over.
    pub(crate) is_answered: bool,
    /// Whether it is counted among the upstream connections in use.
    pub(crate) is_counted_upstream: bool,
}

/// How a phase ended early.
pub(crate) enum Ending {
    /// A plugin answered.
    Reply(Box<Reply>),
    /// A plugin failed: 500.
    Failed,
    /// The request body could not be read.
    Body(BodyFault),
}

impl Flow {
    /// Counts the upstream connection in use, until the exchange ends.
    pub(crate) fn holds_upstream(&mut self) {
        if !std::mem::replace(&mut self.is_counted_upstream, true) {
            self.worker.metrics.upstream_connections_active.increment();
        }
    }

    pub(crate) fn plan(&self) -> &Snapshot {
        &self.live.snapshot
    }

    /// Rewrite phase: global instances only.
    pub(crate) async fn rewrite(&mut self) -> Result<(), Ending> {
        // Boxed, as every rare wait: the state of a request is moved about and should be small.
        if self.live.snapshot.has_rewrite {
            Box::pin(self.run_rewrite()).await
        } else {
            Ok(())
        }
    }

    async fn run_rewrite(&mut self) -> Result<(), Ending> {
        let live = Rc::clone(&self.live);
        let snapshot = &live.snapshot;
        for entry in snapshot.chain(snapshot.global_chain) {
            let Some(instance) = entry.base().and_then(|index| snapshot.instance(index)) else {
                continue;
            };
            if !instance.phases.contains(Phase::Rewrite) {
                continue;
            }
            let verdict = step_verdict(instance.plugin.rewrite(&mut RewriteCx::new(&mut self.x))).await;
            self.settle(instance, verdict)?;
        }
        Ok(())
    }

    /// Chooses instances by what is known so far and runs their access handlers. After an early end the rest is still
    /// chosen, since its later phases run (kong-core D.4).
    pub(crate) async fn access(&mut self, chain: ChainIndex, body: &mut BodySource) -> Result<(), Ending> {
        let live = Rc::clone(&self.live);
        let snapshot = &live.snapshot;
        let mut ended = Ok(());
        for entry in snapshot.chain(chain) {
            let Some(index) = entry.select(self.x.consumer()) else {
                continue;
            };
            let Some(instance) = snapshot.instance(index) else {
                continue;
            };
            self.selected.push(index);
            if ended.is_err() || !instance.phases.contains(Phase::Access) {
                continue;
            }
            if wants_request_body(instance)
                && let Err(fault) = Box::pin(self.gather(body)).await
            {
                ended = Err(Ending::Body(fault));
                continue;
            }
            let verdict = step_verdict(instance.plugin.access(&mut AccessCx::new(&mut self.x))).await;
            ended = self.settle(instance, verdict);
        }
        ended
    }

    /// Requests that never reached access: later phases run for global instances.
    pub(crate) fn select_global(&mut self) {
        let live = Rc::clone(&self.live);
        let snapshot = &live.snapshot;
        self.selected.clear();
        let chain = snapshot.chain(snapshot.global_chain);
        self.selected
            .extend(chain.iter().filter_map(tidegate_plan::ChainEntry::base));
    }

    fn settle(&mut self, instance: &Instance, verdict: Verdict) -> Result<(), Ending> {
        match verdict {
            Verdict::GoOn => Ok(()),
            Verdict::Reply(reply) => {
                self.x.source = Source::Exit;
                Err(Ending::Reply(reply))
            }
            Verdict::Fail(fault) => {
                tracing::error!(plugin = instance.kind, id = %instance.entity.id, error = %fault, "plugin failed");
                self.x.source = Source::Error;
                Err(Ending::Failed)
            }
        }
    }

    /// Brings the request body into memory, once.
    async fn gather(&mut self, body: &mut BodySource) -> Result<(), BodyFault> {
        if self.x.request.body != RequestBody::Streaming {
            return Ok(());
        }
        let max = self.worker.settings.client.request_buffer_max_bytes;
        *body = match std::mem::replace(body, BodySource::Empty) {
            BodySource::Stream(stream) => UpstreamStream::gather(stream, max).await?,
            in_hand => in_hand,
        };
        self.x.request.body = match body {
            BodySource::Empty => RequestBody::Buffered(Bytes::new()),
            BodySource::Whole(bytes) => RequestBody::Buffered(bytes.clone()),
            BodySource::Stream(_) | BodySource::Filtered(..) => {
                tracing::warn!(
                    limit = max,
                    "request body is larger than request_buffer_max: plugins do not see it"
                );
                RequestBody::TooLarge
            }
        };
        Ok(())
    }

    /// Whether a chosen plugin wants the upstream's whole response.
    pub(crate) fn wants_whole_response(&self) -> bool {
        self.has_phase(Phase::Response)
    }

    /// Response phase: the body is in hand.
    pub(crate) async fn response_phase(&mut self, mut body: Bytes) -> Result<Bytes, Ending> {
        let live = Rc::clone(&self.live);
        for index in self.selected.clone() {
            let Some(instance) = live.snapshot.instance(index) else {
                continue;
            };
            if !instance.phases.contains(Phase::Response) {
                continue;
            }
            let mut cx = ResponseCx::new(&mut self.x, body);
            let verdict = step_verdict(instance.plugin.response(&mut cx)).await;
            body = cx.body;
            self.settle(instance, verdict)?;
        }
        Ok(body)
    }

    fn has_phase(&self, phase: Phase) -> bool {
        self.selected
            .iter()
            .filter_map(|index| self.plan().instance(*index))
            .any(|instance| instance.phases.contains(phase))
    }

    pub(crate) fn header_filter(&mut self) {
        let live = Rc::clone(&self.live);
        let snapshot = &live.snapshot;
        for index in self.selected.clone() {
            let Some(instance) = snapshot.instance(index) else {
                continue;
            };
            if !instance.phases.contains(Phase::HeaderFilter) {
                continue;
            }
            if let Err(fault) = instance.plugin.header_filter(&mut HeaderCx::new(&mut self.x)) {
                tracing::error!(plugin = instance.kind, error = %fault, "header filter failed");
            }
        }
    }

    pub(crate) fn has_body_filters(&self) -> bool {
        self.has_phase(Phase::BodyFilter)
    }

    /// Whether a later phase will look at the response's headers.
    pub(crate) fn keeps_response_headers(&self) -> bool {
        self.filters.as_ref().is_some_and(|filters| filters.look_back())
            || self.has_phase(Phase::Log)
            || self.has_phase(Phase::BodyFilter)
    }

    pub(crate) fn body_filter(&mut self, mut chunk: Bytes, last: bool) -> Bytes {
        let live = Rc::clone(&self.live);
        let snapshot = &live.snapshot;
        for index in self.selected.clone() {
            let Some(instance) = snapshot.instance(index) else {
                continue;
            };
            if !instance.phases.contains(Phase::BodyFilter) {
                continue;
            }
            match instance
                .plugin
                .body_filter(&mut BodyCx::new(&mut self.x), chunk.clone(), last)
            {
                Ok(filtered) => chunk = filtered,
                Err(fault) => tracing::error!(plugin = instance.kind, error = %fault, "body filter failed"),
            }
        }
        chunk
    }

    pub(crate) fn log_phase(&mut self) {
        let live = Rc::clone(&self.live);
        let snapshot = &live.snapshot;
        for index in self.selected.clone() {
            let Some(instance) = snapshot.instance(index) else {
                continue;
            };
            if instance.phases.contains(Phase::Log) {
                instance.plugin.log(&mut LogCx::new(&mut self.x));
            }
        }
    }
}

async fn step_verdict(step: Step<'_>) -> Verdict {
    match step {
        Step::Done(verdict) => verdict,
        Step::Wait(future) => future.await,
    }
}
