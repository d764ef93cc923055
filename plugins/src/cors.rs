//! Plugin `cors`: answers preflight requests and marks responses as readable by other origins.

mod config;
mod origin;

pub use config::Config;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use origin::Origins;
use serde_json::Value;
use std::sync::Arc;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::headers::private_copy;
use tidegate_plugin::{
    AccessCx, BuildCx, BuildError, Fault, HeaderCx, Kind, Phase, PhaseSet, Plugin, Reply, ScopeRules, Step,
};

const TRUE: HeaderValue = HeaderValue::from_static("true");
const ANY: HeaderValue = HeaderValue::from_static("*");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
#[allow(
    clippy::declare_interior_mutable_const,
    reason = "static names hold no interior state"
)]
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
#[allow(
    clippy::declare_interior_mutable_const,
    reason = "static names hold no interior state"
)]
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cors;

impl Kind for Cors {
    fn name(&self) -> &'static str {
        "cors"
    }
    fn priority(&self) -> i32 {
        2000
    }
    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access, Phase::HeaderFilter])
    }
    fn schema(&self) -> &'static RecordSchema {
        Config::schema()
    }
    fn scopes(&self) -> ScopeRules {
        ScopeRules::NO_CONSUMER
    }
    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        Ok(Arc::new(Instance::new(&cx.config(config)?)?))
    }
}

struct Instance {
    origins: Origins,
    allowed_headers: Option<HeaderValue>,
    exposed_headers: Option<HeaderValue>,
    methods: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
    credentials: bool,
    private_network: bool,
    preflight_continue: bool,
    allow_origin_absent: bool,
}

/// Whether this request was a preflight: its response is finished, or none of our business.
#[derive(Default)]
struct WasPreflight(bool);

/// What the response says about the origin.
struct Verdict {
    allowed: Option<HeaderValue>,
    varies: bool,
    with_credentials: bool,
}

impl Instance {
    fn new(config: &Config) -> Result<Self, BuildError> {
        let methods = config
            .methods
            .iter()
            .map(|method| method.as_str())
            .collect::<Vec<_>>()
            .join(",");
        Ok(Self {
            origins: Origins::new(config.origins.as_deref().unwrap_or_default())?,
            allowed_headers: joined(config.headers.as_deref(), "config.headers")?,
            exposed_headers: joined(config.exposed_headers.as_deref(), "config.exposed_headers")?,
            methods: if methods.is_empty() {
                None
            } else {
                Some(value(methods, "config.methods")?)
            },
            max_age: match config.max_age {
                Some(seconds) => Some(value(seconds.to_string(), "config.max_age")?),
                None => None,
            },
            credentials: config.credentials,
            private_network: config.private_network,
            preflight_continue: config.preflight_continue,
            allow_origin_absent: config.allow_origin_absent.unwrap_or(true),
        })
    }

    fn judge(&self, origin: Option<&HeaderValue>) -> Verdict {
        let (allowed, allows_all) = match &self.origins {
            Origins::All => (Some(ANY), true),
            Origins::Fixed(fixed) => (Some(private_copy(fixed)), false),
            Origins::Listed(listed) => match origin.and_then(|origin| listed.find(origin)) {
                Some(origin::Match::Any) => (Some(ANY), true),
                Some(origin::Match::Origin(origin)) => (Some(origin), false),
                None => (None, false),
            },
        };
        let varies = !matches!(self.origins, Origins::All);
        match (self.credentials, allows_all, origin) {
            // A browser does not accept credentials together with `*`.
            (true, true, Some(origin)) => Verdict {
                allowed: Some(origin.clone()),
                varies: true,
                with_credentials: true,
            },
            (credentials, _, _) => Verdict {
                allowed,
                varies,
                with_credentials: credentials && !allows_all,
            },
        }
    }

    fn preflight(&self, headers: &HeaderMap, origin: &HeaderValue) -> Reply {
        let verdict = self.judge(Some(origin));
        let asked = |name: HeaderName| headers.get(name);
        let wants_private_network = asked(REQUEST_PRIVATE_NETWORK).is_some_and(|value| value == "true");
        let answers = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, verdict.allowed),
            (VARY, verdict.varies.then_some(VARY_ORIGIN)),
            (
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                verdict.with_credentials.then_some(TRUE),
            ),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                match &self.allowed_headers {
                    Some(listed) => Some(private_copy(listed)),
                    None => asked(ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
                },
            ),
            (
                ACCESS_CONTROL_ALLOW_METHODS,
                self.methods.as_ref().map(private_copy),
            ),
            (ACCESS_CONTROL_MAX_AGE, self.max_age.as_ref().map(private_copy)),
            (
                ALLOW_PRIVATE_NETWORK,
                (self.private_network && wants_private_network).then_some(TRUE),
            ),
        ];
        let mut reply = Reply::empty(StatusCode::OK);
        reply.headers.extend(
            answers
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        reply
    }
}

fn given_origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(ORIGIN).filter(|origin| !origin.is_empty())
}

impl Plugin for Instance {
    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        if x.request.method != Method::OPTIONS
            || !x.request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Step::go_on();
        }
        let Some(origin) = given_origin(&x.request.headers).cloned() else {
            return Step::go_on();
        };
        x.slot::<WasPreflight>().0 = true;
        if self.preflight_continue {
            return Step::go_on();
        }
        Step::reply(self.preflight(&x.request.headers, &origin))
    }

    fn header_filter(&self, x: &mut HeaderCx<'_>) -> Result<(), Fault> {
        if x.exchange()
            .find_slot::<WasPreflight>()
            .is_some_and(|preflight| preflight.0)
        {
            return Ok(());
        }
        let origin = given_origin(&x.request.headers);
        if origin.is_none() && !self.allow_origin_absent {
            return Ok(());
        }
        let verdict = self.judge(origin);
        let headers = &mut x.response_mut().headers;
        if verdict.varies {
            headers.append(VARY, VARY_ORIGIN);
        }
        match verdict.allowed {
            Some(allowed) => drop(headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed)),
            None => drop(headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN)),
        }
        if verdict.with_credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        if let Some(exposed) = &self.exposed_headers {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, private_copy(exposed));
        }
        Ok(())
    }
}

fn joined(names: Option<&[String]>, path: &str) -> Result<Option<HeaderValue>, BuildError> {
    match names {
        None | Some([]) => Ok(None),
        Some(names) => value(names.join(","), path).map(Some),
    }
}

fn value(text: String, path: &str) -> Result<HeaderValue, BuildError> {
    HeaderValue::try_from(text).map_err(|_| BuildError {
        path: path.to_owned(),
        message: "cannot be a header value".to_owned(),
    })
}

#[cfg(test)]
mod tests;
