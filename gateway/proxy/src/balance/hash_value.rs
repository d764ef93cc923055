//! What of this request decides about the target.

use super::cookie::Given;
use crate::phases::Flow;
use tidegate_plan::{HashFacts, HashInput, HashValue, PlannedUpstream};

impl Flow {
    /// The value for this request, and the cookie that the client is given when it lacks one.
    pub(super) fn hash_value(&self, upstream: &PlannedUpstream) -> (Option<HashValue>, Option<Given>) {
        let headers = &self.x.request.headers;
        if upstream.is_sticky {
            return (upstream.cookie_value(headers), None);
        }
        for input in &upstream.hash {
            if *input == HashInput::Cookie
                && let Some((name, path)) = &upstream.cookie
            {
                if let Some(value) = upstream.cookie_value(headers) {
                    return (Some(value), None);
                }
                let value = self.worker.random_uuid().hyphenated().to_string();
                let given = Given::new(name, &value, path);
                return (Some(HashValue::of(value.as_bytes())), given);
            }
            if let Some(value) = input.value(&self.hash_facts()) {
                return (Some(value), None);
            }
        }
        (None, None)
    }

    fn hash_facts(&self) -> HashFacts<'_> {
        let x = &self.x;
        let consumer = x.consumer().map(|entry| entry.consumer.id.0);
        HashFacts {
            headers: &x.request.headers,
            path: x.request.path(),
            query: x.query(),
            client: x.client.address,
            consumer: consumer.or_else(|| x.credential.as_ref().map(|credential| credential.id.0)),
            captures: x.captures.as_deref(),
        }
    }
}
