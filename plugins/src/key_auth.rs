//! Plugin `key-auth`: the caller is known by an API key in a header, a query argument or the body.
//!
//! Keys are looked up in a hash table with a secret seed and compared in constant time, so that answers tell nothing of
//! how much of a guess was right.

use crate::header_lookup::HeaderLookup;
use hashbrown::Equivalent;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::identity::{Credential, Identities, KeyEntry};
use tidegate_plugin::kind::ScopeRules;
use tidegate_plugin::services::Clock;
use tidegate_plugin::{
    AccessCx, BodyAccess, BuildCx, BuildError, Kind, Needs, Phase, PhaseSet, Plugin, Reply, Step,
    headers::private_copy,
};

mod body;
mod config;
mod query;
#[cfg(test)]
mod tests;

pub use config::KeyAuthConfig;

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct KeyAuth;

impl Kind for KeyAuth {
    fn name(&self) -> &'static str {
        "key-auth"
    }

    fn priority(&self) -> i32 {
        1_250
    }

    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access])
    }

    fn schema(&self) -> &'static RecordSchema {
        KeyAuthConfig::schema()
    }

    fn scopes(&self) -> ScopeRules {
        ScopeRules::NO_CONSUMER
    }

    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        Ok(Arc::new(Instance::new(cx.config(config)?)?))
    }
}

/// One configured instance.
struct Instance {
    names: Vec<KeyName>,
    in_header: bool,
    in_query: bool,
    in_body: bool,
    hides: bool,
    runs_on_preflight: bool,
    anonymous: Option<String>,
    challenge: HeaderValue,
}

struct KeyName {
    text: String,
    header: HeaderLookup,
}

/// What one place holds under the name of the key.
#[derive(Debug, PartialEq, Eq)]
enum Found<'x> {
    /// Nothing.
    Absent,
    /// Something that cannot be a key; later places of the same name are not looked at.
    Other,
    /// A key; may be empty.
    Key(Cow<'x, [u8]>),
    /// More than one value.
    Many,
}

/// Why a request is not authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NoKey,
    Duplicate,
    Unknown,
}

impl Instance {
    fn new(config: KeyAuthConfig) -> Result<Self, BuildError> {
        let name = |(index, text): (usize, String)| {
            let header = HeaderLookup::new(&text).ok_or_else(|| BuildError {
                path: format!("config.key_names[{index}]"),
                message: "not a header name".to_owned(),
            })?;
            Ok(KeyName { text, header })
        };
        let challenge = match &config.realm {
            None => HeaderValue::from_static("Key"),
            Some(realm) => {
                HeaderValue::try_from(format!("Key realm=\"{realm}\"")).map_err(|_| BuildError {
                    path: "config.realm".to_owned(),
                    message: "cannot be part of a header".to_owned(),
                })?
            }
        };
        Ok(Self {
            names: config
                .key_names
                .into_iter()
                .enumerate()
                .map(name)
                .collect::<Result<_, _>>()?,
            in_header: config.key_in_header,
            in_query: config.key_in_query,
            in_body: config.key_in_body,
            hides: config.hide_credentials,
            runs_on_preflight: config.run_on_preflight,
            anonymous: config.anonymous,
            challenge,
        })
    }

    fn authenticate(&self, x: &mut AccessCx<'_>) -> Result<(), Refusal> {
        let (name, key) = self.key(x)?;
        let snapshot = Rc::clone(&x.snapshot);
        let entry = if key.is_empty() {
            Err(Refusal::NoKey)
        } else {
            find(snapshot.identities(), &key, &*x.services().clock).ok_or(Refusal::Unknown)
        };
        // The key may borrow from the request, which loses it now.
        drop(key);
        if self.hides {
            self.hide(x, name);
        }
        let entry = entry?;
        let credential = Credential {
            id: entry.credential.id,
            consumer: Some(entry.credential.consumer.id),
        };
        x.authenticate(
            Some(entry.consumer),
            Some((credential, private_copy(&entry.identifier_header))),
        );
        Ok(())
    }

    /// The first key of the request and the name it goes by.
    fn key<'s, 'x>(&'s self, x: &'x AccessCx<'_>) -> Result<(&'s KeyName, Cow<'x, [u8]>), Refusal> {
        let body = if self.in_body {
            body::Fields::of(x.exchange())
        } else {
            body::Fields::default()
        };
        for name in &self.names {
            match self.find(x, &body, name) {
                Found::Key(key) => return Ok((name, key)),
                Found::Many => return Err(Refusal::Duplicate),
                Found::Absent | Found::Other => {}
            }
        }
        Err(Refusal::NoKey)
    }

    fn find<'x>(&self, x: &'x AccessCx<'_>, body: &body::Fields<'x>, name: &KeyName) -> Found<'x> {
        let mut found = Found::Absent;
        if self.in_header {
            found = in_header(x, &name.header);
        }
        if self.in_query && found == Found::Absent {
            found = query::find(x.query().unwrap_or_default().as_bytes(), &name.text);
        }
        if found == Found::Absent {
            found = body.find(&name.text);
        }
        found
    }

    /// Takes the key away from what the upstream gets: from every place, wherever it was found.
    fn hide(&self, x: &mut AccessCx<'_>, name: &KeyName) {
        name.header.remove(&mut x.request.headers);
        if let Some(query) = x.query().and_then(|query| query::without(query, &name.text)) {
            x.set_query(query);
        }
        if self.in_body
            && let Some(body) = body::without(x.exchange(), &name.text)
        {
            x.set_request_body(body.into());
        }
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        let message = match refusal {
            Refusal::NoKey => "No API key found in request",
            Refusal::Duplicate => "Duplicate API key found",
            Refusal::Unknown => "Unauthorized",
        };
        Reply::error(StatusCode::UNAUTHORIZED, message).header(WWW_AUTHENTICATE, self.challenge.clone())
    }
}

impl Plugin for Instance {
    fn needs(&self) -> Needs {
        let request_body = if self.in_body {
            BodyAccess::Buffered
        } else {
            BodyAccess::None
        };
        Needs { request_body }
    }

    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        if !self.runs_on_preflight && x.request.method == Method::OPTIONS {
            return Step::go_on();
        }
        let Some(anonymous) = &self.anonymous else {
            return match self.authenticate(x) {
                Ok(()) => Step::go_on(),
                Err(refusal) => Step::reply(self.refuse(refusal)),
            };
        };
        if x.credential.is_some() || self.authenticate(x).is_ok() {
            return Step::go_on();
        }
        let Some(consumer) = x.identities().find(anonymous) else {
            let message = format!("anonymous consumer {anonymous} is configured but doesn't exist");
            return Step::reply(Reply::error(StatusCode::INTERNAL_SERVER_ERROR, message));
        };
        x.authenticate(Some(consumer), None);
        Step::go_on()
    }
}

fn in_header<'x>(x: &'x AccessCx<'_>, lookup: &HeaderLookup) -> Found<'x> {
    let mut values = lookup.values(&x.request.headers);
    match (values.next(), values.next()) {
        (None, _) => Found::Absent,
        (Some(key), None) => Found::Key(Cow::Borrowed(key.as_bytes())),
        (Some(_), Some(_)) => Found::Many,
    }
}

/// The credential of a key that has not expired.
fn find<'i>(identities: &'i Identities, key: &[u8], clock: &dyn Clock) -> Option<&'i KeyEntry> {
    let entry = identities.keys.get(&Presented(std::str::from_utf8(key).ok()?))?;
    #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact")]
    let is_alive = |end: f64| (clock.now_millis() as f64) < end * 1_000.0;
    entry.expires_at.is_none_or(is_alive).then_some(entry)
}

/// A key as the caller sent it: hashed as text, compared without telling where it differs.
#[derive(Hash)]
struct Presented<'k>(&'k str);

impl Equivalent<String> for Presented<'_> {
    fn equivalent(&self, known: &String) -> bool {
        self.0.as_bytes().ct_eq(known.as_bytes()).into()
    }
}
