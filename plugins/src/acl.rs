//! Plugin `acl`: only some groups of consumers may pass, or all but some.

use hashbrown::HashSet;
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::headers::{X_AUTHENTICATED_GROUPS, X_CONSUMER_GROUPS, private_copy};
use tidegate_plugin::identity::ConsumerEntry;
use tidegate_plugin::kind::ScopeRules;
use tidegate_plugin::{AccessCx, BuildCx, BuildError, Exchange, Kind, Phase, PhaseSet, Plugin, Reply, Step};

mod config;
#[cfg(test)]
mod tests;

pub use config::AclConfig;

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct Acl;

impl Kind for Acl {
    fn name(&self) -> &'static str {
        "acl"
    }

    fn priority(&self) -> i32 {
        950
    }

    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access])
    }

    fn schema(&self) -> &'static RecordSchema {
        AclConfig::schema()
    }

    fn scopes(&self) -> ScopeRules {
        ScopeRules::NO_CONSUMER
    }

    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let config: AclConfig = cx.config(config)?;
        let denied = config.deny.filter(|groups| !groups.is_empty());
        let rule = match denied {
            Some(groups) => Rule::NoneOf(groups.into_iter().collect()),
            // An empty `deny` is an empty `allow`: nobody passes, as in Kong.
            None => Rule::AnyOf(config.allow.unwrap_or_default().into_iter().collect()),
        };
        Ok(Arc::new(Instance {
            rule,
            hides_groups: config.hide_groups_header,
            prefers_authenticated_groups: config.always_use_authenticated_groups,
        }))
    }
}

/// One configured instance.
struct Instance {
    rule: Rule,
    hides_groups: bool,
    prefers_authenticated_groups: bool,
}

/// Compared exactly, by bytes.
enum Rule {
    AnyOf(HashSet<String, foldhash::fast::RandomState>),
    NoneOf(HashSet<String, foldhash::fast::RandomState>),
}

/// The groups that decide.
enum Groups<'x> {
    Consumer(&'x ConsumerEntry),
    Authenticated(&'x [String]),
}

impl Rule {
    fn admits(&self, groups: &[String]) -> bool {
        match self {
            Self::AnyOf(allowed) => groups.iter().any(|group| allowed.contains(group)),
            Self::NoneOf(denied) => !groups.iter().any(|group| denied.contains(group)),
        }
    }
}

impl Groups<'_> {
    fn list(&self) -> &[String] {
        match self {
            Self::Consumer(entry) => &entry.acl_groups,
            Self::Authenticated(groups) => groups,
        }
    }

    /// The header that tells the upstream; names that cannot be in a header are not told.
    fn header(&self) -> (http::HeaderName, Option<HeaderValue>) {
        match self {
            Self::Consumer(entry) => (X_CONSUMER_GROUPS, Some(private_copy(&entry.acl_groups_header))),
            Self::Authenticated(groups) => (
                X_AUTHENTICATED_GROUPS,
                HeaderValue::try_from(groups.join(", ")).ok(),
            ),
        }
    }
}

impl Instance {
    /// Groups of the consumer, or those that an authentication plugin gave: when there is no consumer, when the
    /// consumer is anonymous, or when the configuration prefers them.
    fn groups<'x>(&self, x: &'x Exchange) -> Option<Groups<'x>> {
        let owner = || x.credential.and_then(|credential| credential.consumer);
        let identities = x.snapshot.identities();
        let consumer = x.consumer().or_else(|| {
            let index = identities.by_id.get(&owner()?.0)?;
            identities.consumer(*index)
        });
        let authenticated = x.authenticated_groups.as_deref();
        let Some(consumer) = consumer else {
            return authenticated.map(Groups::Authenticated);
        };
        let prefers_authenticated = x.credential.is_none() || self.prefers_authenticated_groups;
        match authenticated.filter(|_| prefers_authenticated) {
            Some(groups) => Some(Groups::Authenticated(groups)),
            None => Some(Groups::Consumer(consumer)),
        }
    }

    fn refuse(&self, x: &Exchange, is_known: bool) -> Reply {
        if is_known || x.credential.is_some() {
            return Reply::error(StatusCode::FORBIDDEN, "You cannot consume this service");
        }
        Reply::error(StatusCode::UNAUTHORIZED, "Unauthorized")
    }
}

impl Plugin for Instance {
    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        let groups = self.groups(x.exchange());
        let list = groups.as_ref().map(Groups::list);
        let is_admitted = list.is_some_and(|list| self.rule.admits(list));
        if !is_admitted {
            // Somebody who is in no group at all and has no credential is unknown rather than forbidden.
            let is_known = list.is_some_and(|list| !list.is_empty());
            return Step::reply(self.refuse(x.exchange(), is_known));
        }
        let header = groups
            .filter(|_| !self.hides_groups)
            .map(|groups| groups.header());
        // A client must not be able to claim groups, also when none are told. Kong lets its headers pass then.
        x.request.headers.remove(X_CONSUMER_GROUPS);
        x.request.headers.remove(X_AUTHENTICATED_GROUPS);
        if let Some((name, Some(value))) = header {
            x.request.headers.insert(name, value);
        }
        Step::go_on()
    }
}
