//! Plugins that users of Kong know and that may not be here, with what to do about it.

/// Kong's bundled plugins that this product is to have; a build that lacks one says so.
const PLANNED: &[&str] = &[
    "acl",
    "acme",
    "ai-prompt-decorator",
    "ai-prompt-guard",
    "ai-prompt-template",
    "ai-proxy",
    "ai-request-transformer",
    "ai-response-transformer",
    "aws-lambda",
    "azure-functions",
    "basic-auth",
    "bot-detection",
    "correlation-id",
    "cors",
    "datadog",
    "file-log",
    "grpc-gateway",
    "grpc-web",
    "hmac-auth",
    "http-log",
    "ip-restriction",
    "jwt",
    "key-auth",
    "ldap-auth",
    "loggly",
    "oauth2",
    "opentelemetry",
    "prometheus",
    "proxy-cache",
    "rate-limiting",
    "redirect",
    "request-size-limiting",
    "request-termination",
    "request-transformer",
    "response-ratelimiting",
    "response-transformer",
    "session",
    "standard-webhooks",
    "statsd",
    "syslog",
    "tcp-log",
    "udp-log",
    "zipkin",
    "mtls-auth",
    "ldap-auth-advanced",
    "rate-limiting-advanced",
    "request-transformer-advanced",
    "route-by-header",
    "route-transformer-advanced",
];

/// Why the plugin is not there, and what takes its place.
pub(super) fn hint(name: &str) -> Option<String> {
    if let "pre-function" | "post-function" = name {
        return Some(
            "this plugin runs Lua, which this gateway does not embed and never will; request-transformer templates, \
             expression routes or a Wasm filter take its place"
                .to_owned(),
        );
    }
    PLANNED
        .contains(&name)
        .then(|| format!("'{name}' is planned, but this build does not have it yet"))
}
