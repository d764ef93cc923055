//! Tells whether an edit of a route concerns the router at all.

use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hash, Hasher};
use tidegate_model::entities::{CidrPort, Route};

/// Hash of every field that the router reads. Equal routes have equal fingerprints.
pub(crate) fn fingerprint(route: &Route, seed: u64) -> u64 {
    let mut hasher = FixedState::with_seed(seed).build_hasher();
    route.id.0.hash(&mut hasher);
    route.created_at.hash(&mut hasher);
    for protocol in &route.protocols {
        protocol.hash(&mut hasher);
    }
    route.methods.hash(&mut hasher);
    route.hosts.hash(&mut hasher);
    route.paths.hash(&mut hasher);
    route.headers.hash(&mut hasher);
    route.regex_priority.hash(&mut hasher);
    route.snis.hash(&mut hasher);
    addresses(route.sources.as_deref(), &mut hasher);
    addresses(route.destinations.as_deref(), &mut hasher);
    route.expression.hash(&mut hasher);
    route.priority.hash(&mut hasher);
    hasher.finish()
}

fn addresses(list: Option<&[CidrPort]>, hasher: &mut impl Hasher) {
    list.map(<[CidrPort]>::len).hash(hasher);
    for one in list.unwrap_or_default() {
        one.ip.hash(hasher);
        one.port.hash(hasher);
    }
}
