//! Where a call goes.

use super::TIMEOUT;
use crate::balance::{self, host_of};
use crate::tls_targets::TlsTarget;
use crate::worker::Worker;
use bytes::Bytes;
use http::HeaderValue;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tidegate_net::connect::{self, ConnectError, Connected, UpstreamAddress, split_port};
use tidegate_net::pool::{Owner, PoolKey};
use tidegate_plan::{Destination, PlannedService, PlannedUpstream};
use tidegate_plugin::filter::{OutboundCall, OutboundError};
use tidegate_upstream::{Pick, Tried};

/// A peer, and how to speak to it.
pub(super) struct Place {
    pub(super) address: UpstreamAddress<'static>,
    /// For `Host`, or `:authority`.
    pub(super) host: HeaderValue,
    tls: Option<Rc<TlsTarget>>,
    connect_timeout: Duration,
    /// Counts as an exchange in flight on its target until the call is over.
    pick: Option<Pick>,
}

impl Place {
    /// Chooses the peer of a call.
    pub(super) async fn of(worker: &Rc<Worker>, call: &OutboundCall) -> Result<Self, OutboundError> {
        let live = worker.live();
        if let Some(service) = live.snapshot.service_by_name(&call.target)
            && live.snapshot.upstream_by_name(&call.target).is_none()
        {
            return of_service(worker, service, call.http2).await;
        }
        let (address, host, pick) = match live.snapshot.upstream_by_name(&call.target) {
            Some(upstream) => {
                let pick = target_of(worker, upstream).await?;
                let host = pick_host(&pick).ok_or(OutboundError::UnknownTarget)?;
                (balance::peer(pick.address()), host, Some(pick))
            }
            None => {
                let (host, port) = split_port(&call.target);
                let usual = if call.tls == Some(true) { 443 } else { 80 };
                let address = address_of(worker, host, port.unwrap_or(usual)).await?;
                (address, host_value(host, port)?, None)
            }
        };
        let tls = match call.tls {
            Some(true) => Some(
                worker
                    .tls_targets
                    .of_host(&host, call.http2, worker)
                    .map_err(|_| OutboundError::Tls)?,
            ),
            _ => None,
        };
        Ok(Self {
            address,
            host,
            tls,
            connect_timeout: TIMEOUT,
            pick,
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Who owns a connection to it.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.pick.as_ref().map(balance::owner_of)
    }

    pub(super) fn key(&self, is_http2: bool) -> PoolKey {
        PoolKey {
            address: self.address,
            tls: self.tls.as_ref().map_or(0, |tls| tls.id),
            is_http2,
        }
    }

    /// A fresh connection.
    pub(super) async fn connect(&self, http2: bool) -> Result<Connected, OutboundError> {
        let tls = self
            .tls
            .as_ref()
            .map(|tls| (&tls.config, tls.server_name.clone()));
        let connected = connect::connect(self.address, self.connect_timeout, tls)
            .await
            .map_err(|error| match error {
                ConnectError::Timeout => OutboundError::Timeout,
                ConnectError::Tls(_) => OutboundError::Tls,
                _ => OutboundError::Connect,
            })?;
        if http2 && connected.is_tls() && !connected.is_http2() {
            return Err(OutboundError::Connect);
        }
        Ok(connected)
    }
}

async fn of_service(
    worker: &Rc<Worker>,
    service: &PlannedService,
    http2: bool,
) -> Result<Place, OutboundError> {
    let (address, host, pick) = match &service.destination {
        Destination::Address(address) => (UpstreamAddress::Tcp(*address), service.host_header.clone(), None),
        Destination::Name(name, port) => (
            address_of(worker, name, *port).await?,
            service.host_header.clone(),
            None,
        ),
        Destination::Upstream(upstream) => {
            let pick = target_of(worker, upstream).await?;
            let host = host_of(&pick, service.default_port).ok_or(OutboundError::UnknownTarget)?;
            (balance::peer(pick.address()), host, Some(pick))
        }
    };
    let tls = service
        .is_tls
        .then(|| worker.tls_targets.get(service, &host, http2, worker))
        .transpose()
        .map_err(|_| OutboundError::Tls)?;
    Ok(Place {
        address,
        host,
        tls,
        connect_timeout: service.connect_timeout,
        pick,
    })
}

async fn target_of(worker: &Rc<Worker>, upstream: &PlannedUpstream) -> Result<Pick, OutboundError> {
    let chosen = balance::choose(worker, upstream, None, &Tried::default()).await;
    chosen.map_err(|_| OutboundError::Connect)
}

async fn address_of(
    worker: &Rc<Worker>,
    host: &str,
    port: u16,
) -> Result<UpstreamAddress<'static>, OutboundError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port).into());
    }
    let addresses = worker
        .resolver
        .resolve(host)
        .await
        .map_err(|_| OutboundError::Resolve)?;
    let next = addresses.next(port).ok_or(OutboundError::Resolve)?;
    Ok(next.into())
}

/// `Host` for a picked target, without a port.
fn pick_host(pick: &Pick) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(pick.host().clone()).ok()
}

fn host_value(host: &str, port: Option<u16>) -> Result<HeaderValue, OutboundError> {
    let text = match port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| OutboundError::UnknownTarget)
}
