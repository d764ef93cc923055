//! Targets that are names: resolved before the first request, and off the request path from then on.
//!
//! The worker's resolver keeps answers for their TTL and renews them in the background; here they are only handed on to
//! the upstream, now and then while there are requests.

use crate::worker::Worker;
use futures_util::future::join_all;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_net::dns::{Address, Addresses, Dns, DnsError};
use tidegate_upstream::{DnsFault, NamedTarget, ResolvedAddress, Upstream};

/// How often the answers of the resolver are handed on to an upstream.
const REFRESH: Duration = Duration::from_secs(1);
/// How long a request waits for the other names of an upstream that has an address already.
const PATIENCE: Duration = Duration::from_millis(100);

/// Waits for the names of an upstream that were never resolved.
pub(super) async fn first(worker: &Rc<Worker>, upstream: &Arc<Upstream>) {
    let mut asked = join_all(upstream.names().map(|name| {
        let (worker, upstream) = (Rc::clone(worker), Arc::clone(upstream));
        tokio::task::spawn_local(async move { resolve(&worker.resolver, &upstream, name).await })
    }));
    loop {
        let waited = tokio::time::timeout(PATIENCE, &mut asked).await;
        if waited.is_ok() || upstream.weights().1 > 0 {
            return;
        }
    }
}

/// Brings the answers up to date without waiting, if it is time.
pub(super) fn refresh(worker: &Rc<Worker>, upstream: &Arc<Upstream>) {
    if is_due(upstream) {
        let (worker, upstream) = (Rc::clone(worker), Arc::clone(upstream));
        tokio::task::spawn_local(async move { renew(&worker.resolver, &upstream).await });
    }
}

/// Whether somebody should call [`renew`] now. Says so to one of all who ask.
#[must_use]
pub fn is_due(upstream: &Upstream) -> bool {
    upstream.claims_refresh(REFRESH, Instant::now())
}

/// Hands the resolver's answers for all names on to an upstream.
pub async fn renew(resolver: &Dns, upstream: &Upstream) {
    join_all(upstream.names().map(|name| resolve(resolver, upstream, name))).await;
}

async fn resolve(resolver: &Dns, upstream: &Upstream, name: NamedTarget) {
    let (outcome, learned) = resolver.resolve_dated(&name.host).await;
    let answer = match outcome {
        Ok(addresses) => Ok(records(&addresses)),
        Err(DnsError::NotFound) => Err(DnsFault::NotFound),
        Err(DnsError::Other(reason)) => Err(DnsFault::Servers(reason)),
    };
    let fault = answer.as_ref().err().cloned();
    // A name that stays broken is told of once.
    if upstream.resolved(name.target, answer, learned)
        && let Some(fault) = fault
    {
        tracing::warn!(upstream = %upstream.spec().name, target = %name.host, %fault, "target cannot be resolved");
    }
}

/// The records of an answer. An SRV record's own addresses divide its weight among them.
fn records(addresses: &Addresses) -> Vec<ResolvedAddress> {
    let list = addresses.list();
    let is_shared = list.iter().any(|address| address.shared_by > 1);
    let weight = |address: &Address| {
        // 60 parts: whole shares for up to six addresses.
        let parts = if is_shared { 60 } else { 1 };
        u32::from(address.weight) * parts / u32::from(address.shared_by.max(1))
    };
    let records = list.iter().map(|address| ResolvedAddress {
        ip: address.ip,
        port: address.port,
        weight: address.target.is_some().then(|| weight(address)),
        name: address.target.clone(),
    });
    records.collect()
}
