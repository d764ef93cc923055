//! An exchange and its upstream: the choice of a target over all tries, and what is reported of each (kong-core F.2,
//! F.4, F.7).

mod cookie;
mod hash_value;
pub mod names;

use crate::forward::ForwardFault;
use crate::phases::Flow;
use crate::worker::Worker;
use cookie::Given;
use http::{HeaderValue, StatusCode};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tidegate_model::address::Address;
use tidegate_net::connect::UpstreamAddress;
use tidegate_net::pool::Owner;
use tidegate_plan::{HashValue, PlannedUpstream};
use tidegate_upstream::{Asked, Endpoint, HealthEvent, NoPeer, Outcome, Pick, Tried};

/// What an exchange remembers of its choices.
pub(crate) struct Balancing {
    /// The target of the last try; in flight until the exchange ends or goes elsewhere.
    pick: Option<Pick>,
    tried: Tried,
    /// Computed once, so that a retry asks the same question.
    value: Option<HashValue>,
    /// The cookie that the client is given.
    cookie: Option<Given>,
}

impl Balancing {
    /// The target in use, for what goes on after the exchange.
    pub(crate) fn hand_over(&mut self) -> Option<Pick> {
        self.pick.take()
    }
}

/// Chooses a target; names that nobody resolved yet are waited for.
pub(crate) async fn choose(
    worker: &Rc<Worker>,
    upstream: &PlannedUpstream,
    value: Option<&[u8]>,
    tried: &Tried,
) -> Result<Pick, NoPeer> {
    if upstream.has_names {
        if upstream.live.has_unresolved() {
            Box::pin(names::first(worker, &upstream.live)).await;
        }
        names::refresh(worker, &upstream.live);
    }
    upstream.live.choose(&Asked {
        value,
        tried,
        random: worker.random(),
        now: Instant::now(),
    })
}

/// A target's address as connections take it.
#[must_use]
pub fn peer(address: Address) -> UpstreamAddress<'static> {
    match address {
        Address::Tcp(address) => UpstreamAddress::Tcp(address),
        Address::Unix(file) => UpstreamAddress::Unix(file.path()),
    }
}

/// Connections to a target are its address's: they go when it goes.
pub(crate) fn owner_of(pick: &Pick) -> Owner {
    Arc::<Endpoint>::downgrade(pick.endpoint())
}

/// `Host` for a picked target: without its port when that is `default_port`.
pub(crate) fn host_of(pick: &Pick, default_port: u16) -> Option<HeaderValue> {
    let host = if pick.address().port() == Some(default_port) {
        pick.host()
    } else {
        pick.authority()
    };
    HeaderValue::from_maybe_shared(host.clone()).ok()
}

/// Tells the log that a target went out of use or came back; `detail` is what a probe found.
pub fn tell(event: &HealthEvent, detail: Option<&str>) {
    let (upstream, target, address) = (&event.upstream_name, &event.host, event.address);
    if event.to.is_routable() {
        tracing::info!(%upstream, %target, %address, cause = ?event.cause, detail, "target is back in use");
    } else {
        tracing::warn!(%upstream, %target, %address, cause = ?event.cause, detail, "target is out of use");
    }
}

impl Flow {
    /// The target of the next try, with its `Host`.
    pub(crate) async fn choose_target(
        &mut self,
        upstream: &PlannedUpstream,
        default_port: u16,
    ) -> Result<(Address, HeaderValue), ForwardFault> {
        let mut balancing = match self.balancing.take() {
            Some(balancing) => balancing,
            None => Box::new(self.first_choice(upstream)),
        };
        let value = balancing.value.as_ref().map(HashValue::bytes);
        let chosen = choose(&self.worker, upstream, value, &balancing.tried).await;
        let chosen = chosen.map(|pick| (pick.address(), host_of(&pick, default_port), pick));
        let Ok((address, Some(host), pick)) = chosen else {
            return Err(ForwardFault::NoPeer);
        };
        if upstream.is_sticky {
            balancing.cookie = self.sticky_cookie(upstream, &pick);
        }
        balancing.pick = Some(pick);
        self.balancing = Some(balancing);
        Ok((address, host))
    }

    fn first_choice(&self, upstream: &PlannedUpstream) -> Balancing {
        let (value, cookie) = self.hash_value(upstream);
        Balancing {
            pick: None,
            tried: Tried::default(),
            value,
            cookie,
        }
    }

    /// Reports a try that failed. One that is repeated counts as what it was; the last one counts by the status that
    /// the client gets, as in Kong.
    pub(crate) fn report_failure(&mut self, fault: &ForwardFault, is_repeated: bool, began: Instant) {
        let outcome = match (fault, is_repeated) {
            (ForwardFault::Timeout, _) => Outcome::Timeout,
            (ForwardFault::Unreachable, true) => Outcome::TcpFailure,
            (ForwardFault::Unreachable, false) => Outcome::Status(StatusCode::BAD_GATEWAY.as_u16()),
            // Not of the target's making.
            _ => return,
        };
        let Some(balancing) = &mut self.balancing else {
            return;
        };
        let Some(pick) = balancing.pick.take() else {
            return;
        };
        report(&pick, outcome, began);
        if is_repeated {
            balancing.tried.add(&pick);
        } else {
            balancing.pick = Some(pick);
        }
    }

    /// Reports the head of the upstream's answer.
    pub(crate) fn report_answer(&self, status: StatusCode, began: Instant) {
        if let Some(pick) = self.pick() {
            let outcome = match status {
                StatusCode::GATEWAY_TIMEOUT => Outcome::Timeout,
                _ => Outcome::Status(status.as_u16()),
            };
            report(pick, outcome, began);
        }
    }

    /// Whether the upstream's retry budget allows one more; it is counted.
    pub(crate) fn has_retry_budget(&self) -> bool {
        self.pick().is_none_or(|pick| pick.upstream().may_retry())
    }

    /// Who owns a connection to the target in use.
    pub(crate) fn owner(&self) -> Option<Owner> {
        self.pick().map(owner_of)
    }

    /// The target in use.
    fn pick(&self) -> Option<&Pick> {
        self.balancing.as_ref()?.pick.as_ref()
    }
}

fn report(pick: &Pick, outcome: Outcome, began: Instant) {
    let now = Instant::now();
    pick.took(now.saturating_duration_since(began), now);
    if let Some(event) = pick.report(outcome, now) {
        tell(&event, None);
    }
}
