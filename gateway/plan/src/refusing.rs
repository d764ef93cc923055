//! What stands in for a plugin that cannot be put to work, where the rest is to serve all the same.

use http::StatusCode;
use tidegate_plugin::{AccessCx, Phase, PhaseSet, Plugin, Reply, Step};

/// Ends each request that the plugin would have seen: what it was there for, protection maybe, is not to be had.
pub(crate) struct Refusing;

impl Refusing {
    pub(crate) const PHASES: PhaseSet = PhaseSet::of(&[Phase::Access]);
    /// Stands for the kind where there is none.
    pub(crate) const KIND: &'static str = "plugin out of service";
}

impl Plugin for Refusing {
    fn access<'a>(&'a self, _: &'a mut AccessCx<'_>) -> Step<'a> {
        Step::reply(Reply::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "a plugin of this route is out of service",
        ))
    }
}
