//! All upstreams of a configuration.

use crate::spec::UpstreamSpec;
use crate::upstream::Upstream;
use hashbrown::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tidegate_model::ids::UpstreamId;

/// All upstreams of a configuration. The next configuration's are made from it, so that nothing is lost that stays.
#[derive(Debug, Default)]
pub struct Upstreams {
    by_id: HashMap<UpstreamId, Arc<Upstream>, foldhash::fast::RandomState>,
}

impl Upstreams {
    /// The upstreams of `specs`. One that did not change is the same as before; one that did takes over the state of
    /// its addresses.
    #[must_use]
    pub fn apply(&self, specs: impl IntoIterator<Item = UpstreamSpec>, now: Instant) -> Self {
        let upstreams = specs.into_iter().map(|spec| {
            let upstream = match self.by_id.get(&spec.id()) {
                Some(known) if **known.spec() == spec => Arc::clone(known),
                Some(known) => known.renewed(spec),
                None => Upstream::new(spec, now),
            };
            (upstream.spec().id(), upstream)
        });
        Self {
            by_id: upstreams.collect(),
        }
    }

    /// The upstream of an id.
    #[must_use]
    pub fn get(&self, id: UpstreamId) -> Option<&Arc<Upstream>> {
        self.by_id.get(&id)
    }

    /// Every upstream, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.by_id.values()
    }
}
