//! Names of headers that the gateway and several plugins use.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

/// A copy that shares nothing: cloning would touch a reference count that all workers share.
#[must_use]
pub fn private_copy(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(value.as_bytes()))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

macro_rules! names {
    ($($ident:ident = $name:literal),+ $(,)?) => {$(
        #[doc = concat!("`", $name, "`")]
        #[allow(clippy::declare_interior_mutable_const, reason = "static names hold no interior state")]
        pub const $ident: HeaderName = HeaderName::from_static($name);
    )+};
}

names! {
    X_REAL_IP = "x-real-ip",
    X_FORWARDED_FOR = "x-forwarded-for",
    X_FORWARDED_PROTO = "x-forwarded-proto",
    X_FORWARDED_HOST = "x-forwarded-host",
    X_FORWARDED_PORT = "x-forwarded-port",
    X_FORWARDED_PATH = "x-forwarded-path",
    X_FORWARDED_PREFIX = "x-forwarded-prefix",
    X_KONG_REQUEST_ID = "x-kong-request-id",
    X_KONG_UPSTREAM_LATENCY = "x-kong-upstream-latency",
    X_KONG_PROXY_LATENCY = "x-kong-proxy-latency",
    X_KONG_RESPONSE_LATENCY = "x-kong-response-latency",
    X_KONG_UPSTREAM_STATUS = "x-kong-upstream-status",
    X_CONSUMER_ID = "x-consumer-id",
    X_CONSUMER_CUSTOM_ID = "x-consumer-custom-id",
    X_CONSUMER_USERNAME = "x-consumer-username",
    X_CONSUMER_GROUPS = "x-consumer-groups",
    X_CREDENTIAL_IDENTIFIER = "x-credential-identifier",
    X_ANONYMOUS_CONSUMER = "x-anonymous-consumer",
    X_AUTHENTICATED_GROUPS = "x-authenticated-groups",
    KEEP_ALIVE = "keep-alive",
    PROXY_CONNECTION = "proxy-connection",
    PROXY = "proxy",
    GRPC_STATUS = "grpc-status",
    GRPC_MESSAGE = "grpc-message",
}
