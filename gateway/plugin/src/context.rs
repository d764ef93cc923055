//! What a plugin may touch in each phase. What Kong refuses at run time does not compile here.

use crate::exchange::{Exchange, ResponseHead, Source};
use crate::headers;
use crate::identity::{ConsumerIndex, Credential, Identities};
use crate::services::Services;
use bytes::Bytes;
use http::HeaderValue;
use std::ops::{Deref, DerefMut};

/// Rewrite phase: no route yet.
pub struct RewriteCx<'x> {
    exchange: &'x mut Exchange,
}

/// Access phase: the request is routed and not yet sent.
pub struct AccessCx<'x> {
    exchange: &'x mut Exchange,
}

/// Response phase: the upstream's whole response is in hand.
pub struct ResponseCx<'x> {
    exchange: &'x mut Exchange,
    /// The body; plugins may replace it, `Content-Length` follows.
    pub body: Bytes,
}

/// Header filter: the response head is in hand and not yet sent.
pub struct HeaderCx<'x> {
    exchange: &'x mut Exchange,
}

/// Body filter: a chunk passes. The head is gone.
pub struct BodyCx<'x> {
    exchange: &'x mut Exchange,
}

/// Log phase: everything is over.
pub struct LogCx<'x> {
    exchange: &'x mut Exchange,
}

impl<'x> ResponseCx<'x> {
    /// Over an exchange and the body of its response.
    #[must_use]
    pub fn new(exchange: &'x mut Exchange, body: Bytes) -> Self {
        Self { exchange, body }
    }

    /// The response head, to be changed.
    pub fn response_mut(&mut self) -> &mut ResponseHead {
        &mut self.exchange.response
    }
}

impl Deref for ResponseCx<'_> {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        self.exchange
    }
}

macro_rules! contexts {
    ($($name:ident),+) => {$(
        impl<'x> $name<'x> {
            /// Over an exchange.
            #[must_use]
            pub fn new(exchange: &'x mut Exchange) -> Self {
                Self { exchange }
            }
            /// The exchange.
            #[must_use]
            pub fn exchange(&self) -> &Exchange {
                self.exchange
            }
            /// Scratch of this kind of plugin for this request.
            pub fn slot<T: std::any::Any + Default>(&mut self) -> &mut T {
                self.exchange.slot::<T>()
            }
            /// Process-wide services.
            #[must_use]
            pub fn services(&self) -> &Services {
                self.exchange.snapshot.services()
            }
            /// Consumers and credentials.
            #[must_use]
            pub fn identities(&self) -> &Identities {
                self.exchange.snapshot.identities()
            }
            /// Adds a member to the log object.
            pub fn set_log_field(&mut self, name: impl Into<std::borrow::Cow<'static, str>>, value: serde_json::Value) {
                let name = name.into();
                match self.exchange.log_fields.iter_mut().find(|(known, _)| *known == name) {
                    Some(entry) => entry.1 = value,
                    None => self.exchange.log_fields.push((name, value)),
                }
            }
        }
        impl Deref for $name<'_> {
            type Target = Exchange;
            fn deref(&self) -> &Exchange {
                self.exchange
            }
        }
    )+};
}

contexts!(RewriteCx, AccessCx, HeaderCx, BodyCx, LogCx);

impl DerefMut for RewriteCx<'_> {
    fn deref_mut(&mut self) -> &mut Exchange {
        self.exchange
    }
}

impl DerefMut for AccessCx<'_> {
    fn deref_mut(&mut self) -> &mut Exchange {
        self.exchange
    }
}

impl AccessCx<'_> {
    /// The request body, when the instance asked for it and it fitted.
    #[must_use]
    pub fn request_body(&self) -> Option<&Bytes> {
        self.exchange.request.body.bytes()
    }

    /// Replaces the request body.
    pub fn set_request_body(&mut self, body: Bytes) {
        self.exchange.request.body = crate::body::RequestBody::Replaced(body);
    }

    /// Records who is calling and tells the upstream: sets or removes every identity header, so that a client
    /// cannot send its own. `credential` with its `X-Credential-Identifier` is `None` for anonymous.
    pub fn authenticate(
        &mut self,
        consumer: Option<ConsumerIndex>,
        credential: Option<(Credential, HeaderValue)>,
    ) {
        let (credential, identifier) = credential.unzip();
        let entry = consumer.and_then(|index| self.exchange.snapshot.identities().consumer(index));
        let values = [
            (
                headers::X_CONSUMER_ID,
                entry.map(|entry| headers::private_copy(&entry.id_header)),
            ),
            (
                headers::X_CONSUMER_CUSTOM_ID,
                entry.and_then(|entry| entry.custom_id_header.as_ref().map(headers::private_copy)),
            ),
            (
                headers::X_CONSUMER_USERNAME,
                entry.and_then(|entry| entry.username_header.as_ref().map(headers::private_copy)),
            ),
            (headers::X_CREDENTIAL_IDENTIFIER, identifier),
            (
                headers::X_ANONYMOUS_CONSUMER,
                credential.is_none().then(|| HeaderValue::from_static("true")),
            ),
        ];
        for (name, value) in values {
            match value {
                Some(value) => drop(self.exchange.request.headers.insert(name, value)),
                None => drop(self.exchange.request.headers.remove(name)),
            }
        }
        self.exchange.consumer = consumer;
        self.exchange.credential = credential;
    }
}

impl HeaderCx<'_> {
    /// The response head, to be changed.
    pub fn response_mut(&mut self) -> &mut ResponseHead {
        &mut self.exchange.response
    }

    /// Who made the response.
    #[must_use]
    pub fn source(&self) -> Source {
        self.exchange.source
    }
}
