//! Plugin `rate-limiting`: at most so many requests per second, minute, hour, day, month or year.
//!
//! The default algorithm is Kong's: fixed windows of the UTC calendar, counted per node (policy `local`). A request is
//! counted in all windows or in none, in one step, so that a limit holds exactly however many workers serve. Algorithm
//! `gcra` is our own addition: quotas refill continuously and no window boundary lets two bursts through.

use crate::header_lookup::HeaderLookup;
use http::StatusCode;
use serde_json::Value;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::counters::{CounterStore, Identifier, StoreError, Subject};
use tidegate_plugin::{
    AccessCx, BuildCx, BuildError, Exchange, Fault, Kind, Phase, PhaseSet, Plugin, Reply, Step, Verdict,
};
use uuid::Uuid;

mod config;
mod gcra;
mod headers;
mod period;
#[cfg(test)]
mod tests;

pub use config::{RateLimitingConfig, RedisConfig};
use gcra::Gcra;
use period::{Limit, Reading};

/// What is left in every period that was looked at, shortest first.
type Readings = SmallVec<[Reading; 6]>;

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct RateLimiting;

impl Kind for RateLimiting {
    fn name(&self) -> &'static str {
        "rate-limiting"
    }

    fn priority(&self) -> i32 {
        910
    }

    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access])
    }

    fn schema(&self) -> &'static RecordSchema {
        RateLimitingConfig::schema()
    }

    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let config: RateLimitingConfig = cx.config(config)?;
        let meter = match (config.policy.as_str(), config.algorithm.as_deref()) {
            ("local", Some("gcra")) => Meter::Smooth(Gcra::new(&config.limits(), &cx.services.clock)?),
            ("local", _) => Meter::Local,
            ("redis", _) => {
                return Err(refused(
                    "config.policy",
                    "policy 'redis' is not available in this version: use 'local'",
                ));
            }
            // Kong's text for a gateway without a database.
            _ => return Err(refused("config.policy", "expected one of: local, redis")),
        };
        Ok(Arc::new(Instance::new(&config, meter, cx)?))
    }
}

fn refused(path: &str, message: &str) -> BuildError {
    BuildError {
        path: path.to_owned(),
        message: message.to_owned(),
    }
}

/// One configured instance.
struct Instance {
    /// Ids of the scope: instances of the same scope share counters, as in Kong.
    route: Uuid,
    service: Uuid,
    limits: Vec<Limit>,
    limit_by: LimitBy,
    meter: Meter,
    shows_headers: bool,
    is_fault_tolerant: bool,
    error_status: StatusCode,
    error_message: Cow<'static, str>,
}

/// Who keeps the counters.
enum Meter {
    /// Fixed windows in this process.
    Local,
    /// Continuous refill in this process.
    Smooth(Gcra),
    /// Fixed windows elsewhere.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the seam for stores outside of the process")
    )]
    Store(Arc<dyn CounterStore>),
}

enum LimitBy {
    Consumer,
    Credential,
    Ip,
    Service,
    Header(HeaderLookup),
    Path(Box<[u8]>),
}

/// Whether a request may pass, and what clients are told.
struct Decision {
    is_admitted: bool,
    readings: Readings,
}

impl Instance {
    fn new(config: &RateLimitingConfig, meter: Meter, cx: &BuildCx<'_>) -> Result<Self, BuildError> {
        let limit_by = match config.limit_by.as_str() {
            "credential" => LimitBy::Credential,
            "ip" => LimitBy::Ip,
            "service" => LimitBy::Service,
            "header" => {
                let lookup = HeaderLookup::new(config.header_name.as_deref().unwrap_or_default());
                LimitBy::Header(lookup.ok_or_else(|| refused("config.header_name", "not a header name"))?)
            }
            "path" => LimitBy::Path(config.path.as_deref().unwrap_or_default().as_bytes().into()),
            _ => LimitBy::Consumer,
        };
        let message = config.error_message.as_deref().unwrap_or(config::DEFAULT_MESSAGE);
        Ok(Self {
            route: cx.entity.route.map_or(Uuid::nil(), |route| route.id.0),
            service: cx.entity.service.map_or(Uuid::nil(), |service| service.id.0),
            limits: config.limits(),
            limit_by,
            meter,
            shows_headers: !config.hide_client_headers,
            is_fault_tolerant: config.fault_tolerant,
            error_status: config.error_status(),
            error_message: if message == config::DEFAULT_MESSAGE {
                Cow::Borrowed(config::DEFAULT_MESSAGE)
            } else {
                Cow::Owned(message.to_owned())
            },
        })
    }

    fn subject<'x>(&self, x: &'x Exchange) -> Subject<'x> {
        Subject {
            route: self.route,
            service: self.service,
            identifier: self.identifier(x),
        }
    }

    /// Whoever cannot be told by the configured attribute is told by address.
    fn identifier<'x>(&self, x: &'x Exchange) -> Identifier<'x> {
        let credential = || x.credential.map(|credential| Identifier::Entity(credential.id.0));
        let found = match &self.limit_by {
            LimitBy::Consumer => x
                .consumer()
                .map(|entry| Identifier::Entity(entry.consumer.id.0))
                .or_else(credential),
            LimitBy::Credential => credential(),
            LimitBy::Ip => None,
            LimitBy::Service => x.service().map(|service| Identifier::Entity(service.id.0)),
            LimitBy::Header(lookup) => {
                let first = lookup
                    .values(&x.request.headers)
                    .next()
                    .map(|value| value.as_bytes());
                first.filter(|value| !value.is_empty()).map(Identifier::Header)
            }
            LimitBy::Path(path) => Some(x.request.path())
                .filter(|given| *given == &**path)
                .map(Identifier::Path),
        };
        found.unwrap_or_else(|| {
            x.client
                .address
                .map_or(Identifier::Anyone, |a| Identifier::Address(a.to_canonical()))
        })
    }

    fn conclude(&self, x: &mut AccessCx<'_>, decision: &Decision) -> Verdict {
        if self.shows_headers {
            headers::tell(x, &self.limits, decision);
        }
        if decision.is_admitted {
            return Verdict::GoOn;
        }
        Verdict::Reply(Box::new(Reply::error(
            self.error_status,
            self.error_message.clone(),
        )))
    }

    async fn ask(&self, store: &dyn CounterStore, x: &mut AccessCx<'_>) -> Verdict {
        let now_millis = x.services().clock.now_millis();
        let mut windows = period::windows(&self.limits, now_millis);
        match store
            .increment(self.subject(x.exchange()), &mut windows, now_millis)
            .await
        {
            Ok(is_admitted) => {
                let readings = period::readings(&self.limits, &windows, is_admitted, now_millis);
                self.conclude(
                    x,
                    &Decision {
                        is_admitted,
                        readings,
                    },
                )
            }
            Err(error) => self.uncounted(&error),
        }
    }

    /// The store did not answer.
    fn uncounted(&self, error: &StoreError) -> Verdict {
        if self.is_fault_tolerant {
            tracing::error!(%error, "rate limits are not enforced: {error}");
            return Verdict::GoOn;
        }
        Verdict::Fail(Box::new(Fault::plugin(error.to_string())))
    }
}

impl Plugin for Instance {
    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        let services = x.services();
        let now_millis = services.clock.now_millis();
        let subject = self.subject(x.exchange());
        let decision = match &self.meter {
            Meter::Local => {
                let mut windows = period::windows(&self.limits, now_millis);
                let is_admitted = services.counters.take(&subject, &mut windows, now_millis);
                Decision {
                    is_admitted,
                    readings: period::readings(&self.limits, &windows, is_admitted, now_millis),
                }
            }
            Meter::Smooth(gcra) => gcra.take(&subject),
            Meter::Store(store) => return Step::Wait(Box::pin(self.ask(&**store, x))),
        };
        Step::Done(self.conclude(x, &decision))
    }
}
